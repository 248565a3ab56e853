"""What is said of the driver, and what to do where it fails; machines are small trees of kernel files."""

from pathlib import Path

import nvml_by_hand
import pytest
from nvml_by_hand import NvmlByHand

from cotenant.profiler.doctor import cuda_lanes, driver
from cotenant.profiler.doctor.apart import NoAnswer
from cotenant.profiler.doctor.check import Check
from cotenant.profiler.doctor.cuda_wheels import CudaWheel, installed, torch_version_file
from cotenant.profiler.quality.nvml_reading import NvmlReading, read

NO_LIBRARY = NvmlReading(failure="NVMLError_LibraryNotFound: NVML Shared Library Not Found")


def only(nvml: NvmlReading, root: Path) -> Check:
    (check,) = driver.checks(nvml, [], root)
    return check


def card(root: Path, vendor: str = "0x10de") -> None:
    folder = root / "sys/bus/pci/devices/0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")


def test_neither_driver_nor_card(tmp_path: Path) -> None:
    card(tmp_path, "0x8086")
    check = only(NO_LIBRARY, tmp_path)
    assert (check.state, check.value) == ("missing", "no NVIDIA driver and no NVIDIA card")
    assert check.remedy == driver.NO_GPU_REMEDY


def test_a_card_without_driver_is_told_where_to_go_on(tmp_path: Path) -> None:
    card(tmp_path)
    assert only(NO_LIBRARY, tmp_path).remedy == "install the NVIDIA driver"
    (tmp_path / ".dockerenv").touch()
    assert only(NO_LIBRARY, tmp_path).remedy == driver.CONTAINER_REMEDY


def test_a_loaded_driver_whose_libraries_are_not_in_the_container(tmp_path: Path) -> None:
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.containerenv").touch()
    check = only(NO_LIBRARY, tmp_path)
    assert "libnvidia-ml" in check.value
    assert "--gpus all" in str(check.remedy)


@pytest.mark.parametrize(
    ("error", "state", "word"),
    [
        (nvml_by_hand.NVMLError_DriverNotLoaded("Driver Not Loaded"), "missing", "modprobe"),
        (nvml_by_hand.NVMLError_LibRmVersionMismatch("Driver/library version mismatch"), "unknown", "reboot"),
        (RuntimeError("what nobody expects"), "unknown", "nvidia-smi"),
    ],
)
def test_each_failure_of_nvml_has_its_remedy(tmp_path: Path, error: Exception, state: str, word: str) -> None:
    check = only(read(NvmlByHand(raising={"nvmlInit": error})), tmp_path)
    assert check.state == state
    assert str(error) in check.value
    assert word in str(check.remedy)


def test_a_driver_too_old_for_installed_packages(tmp_path: Path) -> None:
    nvml = read(
        NvmlByHand({"nvmlSystemGetDriverVersion": "535.183.01", "nvmlSystemGetCudaDriverVersion": 12020}),
    )
    wheels = [CudaWheel("cuda-bindings", 13), CudaWheel("torch", 12)]
    found = {check.id: check for check in driver.checks(nvml, wheels, tmp_path)}
    assert found["driver.version"].value == "535.183.01"
    assert (found["driver.cuda"].state, found["driver.cuda"].value) == (
        "limited",
        "CUDA 12.2: too old for cuda-bindings (CUDA 13)",
    )
    assert "CUDA 13" in str(found["driver.cuda"].remedy)
    (same_major,) = [driver.cuda(nvml, [CudaWheel("torch", 12)])]
    assert (same_major.state, same_major.value) == ("ok", "CUDA 12.2")


def test_what_hides_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = {check.id: check for check in driver.checks(read(NvmlByHand()), [], tmp_path)}["driver.gpus"]
    assert (gpus.state, gpus.value) == ("ok", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert driver._gpus(read(NvmlByHand())).state == "limited"
    assert driver._gpus(read(NvmlByHand({"nvmlDeviceGetCount": 0}))).state == "missing"
    uncounted = read(NvmlByHand(raising={"nvmlDeviceGetCount": nvml_by_hand.NVMLError("Unknown Error")}))
    assert driver._gpus(uncounted).state == "unknown"


def test_a_probe_that_dies_is_a_failure_of_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def dies(_module: str) -> dict[str, object]:
        raise NoAnswer("the probe died of SIGSEGV")

    monkeypatch.setattr(driver, "ask", dies)
    assert "SIGSEGV" in only(driver.reading(), tmp_path).value


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", None),
        ("from typing import Optional\ncuda: Optional[str] = '13.0'\n", 13),
        ("cuda = '12.8'\nhip = None\n", 12),
        ("hip = '6.2'\n", None),
    ],
)
def test_the_cuda_version_of_torch_is_read_from_its_version_file(text: str, major: int | None) -> None:
    assert torch_version_file(text) == major


def test_installed_packages_tell_their_cuda_version() -> None:
    majors = {wheel.name: wheel.cuda_major for wheel in installed()}
    from importlib.metadata import PackageNotFoundError, version

    try:
        expected = int(version("cuda-bindings").split(".")[0])
    except PackageNotFoundError:
        pytest.skip("cuda-bindings is not installed: pip install cuda-bindings")
    assert majors["cuda-bindings"] == expected


def ticks(facts: dict[str, object]) -> Check:
    (check,) = cuda_lanes.checks(read(NvmlByHand()), lambda: facts)
    return check


def test_the_tick_is_told_by_the_gpu_it_was_measured_on() -> None:
    mine = {nvml_by_hand.ANSWERS["nvmlDeviceGetUUID"]: {"tick_ns": 32}}
    assert ticks({"gpus": mine, "troubles": []}).value.startswith("steps of 32 ns")
    other = ticks({"gpus": {"GPU-other": {"tick_ns": 32}}, "troubles": []})
    assert (other.state, "CUDA_VISIBLE_DEVICES" in other.value) == ("unknown", True)


def test_why_no_tick_was_measured() -> None:
    refused = {nvml_by_hand.ANSWERS["nvmlDeviceGetUUID"]: {"refused": "GpuError: NVRTC is missing"}}
    assert "NVRTC is missing" in ticks({"gpus": refused, "troubles": []}).value
    lacking = ticks({"gpus": {}, "troubles": ["cuda-bindings is missing; pip install cuda-bindings"]})
    assert (lacking.value, lacking.remedy) == (
        "not measured (cuda-bindings is missing)",
        "pip install cuda-bindings",
    )


def test_no_tick_is_asked_for_without_a_gpu() -> None:
    def never() -> dict[str, object]:
        raise AssertionError("asked")

    assert list(cuda_lanes.checks(NO_LIBRARY, never)) == []
