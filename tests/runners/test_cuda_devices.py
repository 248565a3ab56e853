"""GPUs as devices: what NVML and the CUDA driver answer, and each way in which one of them may not answer."""

import inspect
import sys
from typing import Any

import pytest
from fake_nvml import Card, Machine, pynvml, real_driver

from cotenant.models.errors import UserError
from cotenant.runners.cuda import devices
from cotenant.runners.cuda.devices import Survey, gpu_named, gpu_of, survey_with
from cotenant.runners.simulated.device_file import load_device

CALLED_NVML = (
    *("nvmlInit", "nvmlSystemGetDriverVersion", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetMigMode"),
    "nvmlDeviceGetPowerManagementLimit",
)
CALLED_DRIVER = (
    *("cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetUuid"),
    *("cuDeviceTotalMem", "cuDeviceGetAttribute"),
)


def surveyed(machine: Machine) -> Survey:
    return survey_with(machine.nvml(), machine.driver)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Survey:
    cards = [Card(number=1), Card("NVIDIA L4", 2, 58, capability=(8, 9)), Card(number=3)]
    found = surveyed(Machine(cards))
    monkeypatch.setattr(devices, "survey", lambda: found)
    return found


def test_every_call_exists_on_the_real_modules() -> None:
    source = inspect.getsource(devices)
    assert all(hasattr(pynvml, name) and name in source for name in CALLED_NVML)
    assert all(hasattr(real_driver, name) and name in source for name in CALLED_DRIVER)


def test_a_gpu_is_told_with_its_sizes_and_identity() -> None:
    (gpu,) = surveyed(Machine()).gpus
    assert gpu.device.device_id == "GPU-00000000-0000-0000-0000-000000000001"
    assert gpu.device.device_type == "NVIDIA H100 80GB HBM3, 80 GiB, sm_90, driver 580.82.07, 700 W"
    assert (gpu.index, gpu.capability, gpu.architecture) == (0, "9.0", "sm_90")
    assert (gpu.device.sm_count, gpu.device.l2_bytes, gpu.device.dram_bytes) == (132, 50 << 20, 80 << 30)
    assert gpu.dram_bytes_per_s == pytest.approx(3.352e12, rel=1e-3)  # the data sheet says 3.35 TB/s


def test_peaks_of_the_data_sheet_are_told_for_known_cards_only() -> None:
    known, unknown = surveyed(Machine([Card("NVIDIA L4"), Card("NVIDIA GeForce RTX 4090", 2)])).gpus
    sheet = load_device("l4")
    assert known.device.datasheet_flop_per_s == sheet.peak_flop_per_s.fp32_vector
    assert known.device.datasheet_dram_bytes_per_s == sheet.dram_bytes_per_s
    assert (unknown.device.datasheet_flop_per_s, unknown.device.datasheet_dram_bytes_per_s) == (None, None)


def test_a_known_card_is_told_where_device_files_cannot_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cotenant.runners.simulated.device_file", None)  # as where pydantic is missing
    (gpu,) = surveyed(Machine([Card("NVIDIA H200")])).gpus
    assert gpu.device.datasheet_flop_per_s is None


@pytest.mark.parametrize("name", devices.DATASHEETS)
def test_every_known_card_has_its_data_sheet(name: str) -> None:
    sheet = load_device(devices.DATASHEETS[name])
    assert set(sheet.name.upper().split("-")[0].split()) & set(name.upper().replace("-", " ").split())


def test_what_a_card_does_not_tell_is_unknown() -> None:
    card = Card(memory_clock_khz=0, power_limit_mw=None, mig_mode=None)
    (gpu,) = surveyed(Machine([card])).gpus
    assert gpu.dram_bytes_per_s is None
    assert gpu.device.device_type.endswith("power limit unknown")


@pytest.mark.parametrize("error", [pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded])
def test_no_driver_is_told_with_what_to_do(error: type[Exception]) -> None:
    found = surveyed(Machine(nvml_error=error))
    assert found.gpus == ()
    assert "driver is not installed; install it" in found.troubles[0]


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine(nvml_error=pynvml.NVMLError_LibRmVersionMismatch), "does not answer (NVML: RM has detected"),
        (
            Machine(init_status=real_driver.CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH),
            "SYSTEM_DRIVER_MISMATCH); `nvidia-smi`",
        ),
        (Machine(cuda_version=12040), "the driver knows CUDA 12.4, cuda-bindings was made for 13."),
        (Machine(cards=[]), "look at CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_driver_that_cannot_be_used_is_one_line(machine: Machine, words: str) -> None:
    found = surveyed(machine)
    assert found.gpus == ()
    assert words in found.troubles[0]
    assert "\n" not in found.troubles[0]


def missing() -> Any:
    raise ModuleNotFoundError("No module named 'cuda'")


def test_missing_bindings_are_told_where_there_is_a_driver() -> None:
    assert survey_with(Machine().nvml(), missing).troubles == (devices.NO_BINDINGS,)
    absent = Machine(nvml_error=pynvml.NVMLError_LibraryNotFound)
    assert survey_with(absent.nvml(), missing).troubles == (devices.NO_DRIVER,)


@pytest.mark.parametrize("card", [Card(mig_mode=1), Card(mig_instance=True)])
def test_mig_is_refused_and_other_gpus_stay(card: Card) -> None:
    found = surveyed(Machine([card, Card("NVIDIA L4", 2)]))
    assert [gpu.index for gpu in found.gpus] == [1]
    assert "GPU 0 cannot be used: NVIDIA H100 80GB HBM3 is in MIG mode" in found.troubles[0]


def test_a_gpu_is_named_by_index_uuid_or_name(three: Survey) -> None:
    assert gpu_named("2") == three.gpus[2]
    assert gpu_named("nvidia l4") == three.gpus[1]
    assert gpu_named(three.gpus[0].device.device_id.upper()) == three.gpus[0]
    assert all(gpu_of(gpu.device) == gpu for gpu in three.gpus)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NVIDIA H100 80GB HBM3", r"2 GPUs are called .*index, 0 or 2"),
        ("3", r"unknown device '3'; there is 0 \(NVIDIA H100 80GB HBM3, GPU-0+-"),
    ],
)
def test_an_unclear_name_is_answered_with_the_choices(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        gpu_named(name)


def test_a_device_of_another_machine_is_told(three: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = surveyed(Machine(nvml_error=pynvml.NVMLError_LibraryNotFound))
    monkeypatch.setattr(devices, "survey", lambda: nothing)
    with pytest.raises(UserError, match=r"is no GPU of this machine; no NVIDIA GPU was found"):
        gpu_of(three.gpus[0].device)


def test_the_real_libraries_of_this_machine_answer() -> None:
    found = devices.survey()
    assert found.gpus or found.troubles
    assert all("\n" not in trouble for trouble in found.troubles)
