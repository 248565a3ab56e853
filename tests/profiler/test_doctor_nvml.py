"""What is made of NVML's answers; cards are written by hand (`nvml_by_hand`), the binding's names are the real ones."""

import inspect
import json
from pathlib import Path

import nvml_by_hand
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvml_by_hand import NvmlByHand

from cotenant.profiler.doctor.check import Check
from cotenant.profiler.doctor.gpus import REASONS, checks
from cotenant.profiler.quality import nvml as asked
from cotenant.profiler.quality.nvml_reading import GETTERS, NvmlReading, read

pynvml = pytest.importorskip("pynvml")

ASKED = [name for name, _ in inspect.getmembers(asked.Nvml, inspect.isfunction) if name.startswith("nvml")]


def told(nvml: NvmlByHand, root: Path = Path("/nowhere")) -> dict[str, Check]:
    found = {check.id: check for check in checks(read(nvml), root)}
    for check in found.values():
        assert check.remedy or check.state in ("ok", "unknown"), check
    return found


@pytest.mark.parametrize("name", ASKED)
def test_every_call_is_in_the_real_binding(name: str) -> None:
    assert callable(getattr(pynvml, name))
    assert name in nvml_by_hand.ANSWERS


def test_constants_and_error_names_are_the_real_ones() -> None:
    real = (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM, pynvml.NVML_TEMPERATURE_GPU)
    assert real == (asked.CLOCK_SM, asked.CLOCK_MEMORY, asked.TEMPERATURE_GPU)
    errors = [name for name in dir(nvml_by_hand) if name.startswith("NVMLError")]
    assert [name for name in errors if not hasattr(pynvml, name)] == []


@pytest.mark.parametrize("bit", REASONS)
def test_reasons_are_those_of_the_real_binding(bit: int) -> None:
    real = {getattr(pynvml, name) for name in dir(pynvml) if name.startswith("nvmlClocksEventReason")}
    assert bit in real


def test_the_real_binding_without_the_drivers_library() -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("an NVIDIA driver is loaded here")
    assert (read(pynvml).failure or "").startswith("NVMLError_LibraryNotFound")


def test_a_card_that_answers_everything() -> None:
    nvml = NvmlByHand()
    found = told(nvml)
    assert {check.state for name, check in found.items() if name != "gpu.0.gpm"} == {"ok"}
    assert found["gpu.0.device"].value == (
        "NVIDIA L4, capability 8.9, 23.0 GiB, GPU-11111111-2222-3333-4444-555555555555, PCIe 4 x16"
    )
    assert found["gpu.0.clocks"].value == "SM 2040 of 2040 MHz, memory 2040 of 2040 MHz, P0"
    assert found["gpu.0.throttle"].value == "idle (0x1)"
    assert found["gpu.0.heat"].value == "41 C (44 C below slowing down), 16 of 72 W"
    assert found["gpu.0.modes"].value == "MIG off, ECC on, compute mode default, persistence on"
    assert found["gpu.0.nvml"].value == f"{len(GETTERS)} of {len(GETTERS)} getters answer"
    assert nvml.called[-1] == "nvmlShutdown"


def test_a_reading_survives_json() -> None:
    reading = read(NvmlByHand(refused={"nvmlDeviceGetEccMode"}))
    assert NvmlReading.from_stored(json.loads(json.dumps(reading.stored()))) == reading


@given(st.sets(st.sampled_from(sorted(nvml_by_hand.GETTERS))), st.sets(st.sampled_from(sorted(nvml_by_hand.GETTERS))))
def test_whatever_is_refused_or_lacking_nothing_raises_or_is_lost(refused: set[str], lacking: set[str]) -> None:
    nvml = NvmlByHand(refused=refused, lacking=lacking)
    (gpu,) = read(nvml).gpus
    assert gpu.values.keys() | gpu.refused.keys() == GETTERS.keys()
    assert not gpu.values.keys() & gpu.refused.keys()
    assert bool(gpu.refused) == bool(refused | lacking)
    assert not told(nvml)["gpu.0.device"].value.startswith(",")


def test_a_card_that_refuses_every_getter() -> None:
    found = told(NvmlByHand(refused=nvml_by_hand.GETTERS))
    states = {name.removeprefix("gpu.0."): check.state for name, check in found.items()}
    assert states.pop("gpm") == "missing"
    assert states.pop("modes") == "unknown"
    assert set(states.values()) == {"unknown"}
    assert "NotSupported" in found["gpu.0.nvml"].value
    assert f"0 of {len(GETTERS)}" in found["gpu.0.nvml"].value


def test_an_older_binding_without_a_getter_is_told_by_its_name() -> None:
    nvml = NvmlByHand(lacking={"nvmlDeviceGetMarginTemperature"})
    (gpu,) = read(nvml).gpus
    assert "nvmlDeviceGetMarginTemperature" in gpu.refused["temperature_margin_c"]
    assert told(nvml)["gpu.0.heat"].value == "41 C, 16 of 72 W"


def test_an_older_binding_gives_bytes() -> None:
    assert told(NvmlByHand({"nvmlDeviceGetName": b"NVIDIA T4"}))["gpu.0.device"].value.startswith("NVIDIA T4, ")


def test_a_lost_card_is_told_and_the_others_are_read() -> None:
    nvml = NvmlByHand({"nvmlDeviceGetCount": 2})
    answer, gone = nvml.nvmlDeviceGetHandleByIndex, nvml_by_hand.NVMLError_GpuIsLost("GPU is lost")

    def handle(index: int) -> object:
        if index == 0:
            raise gone
        return answer(index)

    nvml.nvmlDeviceGetHandleByIndex = handle  # type: ignore[method-assign]
    found = told(nvml)
    assert (found["gpu.0.device"].state, found["gpu.0.device"].value) == ("unknown", "NVMLError_GpuIsLost: GPU is lost")
    assert found["gpu.1.device"].state == "ok"
    assert len([name for name in found if name.startswith("gpu.0.")]) == 1


@given(st.integers(0, 0x1FF))
def test_only_reasons_that_slow_work_down_count_as_throttled(mask: int) -> None:
    check = told(NvmlByHand({"nvmlDeviceGetCurrentClocksEventReasons": mask}))["gpu.0.throttle"]
    slowed = any(mask & 1 << bit for bit in (2, 3, 4, 5, 6, 7))
    assert (check.state == "limited") == slowed
    assert [word in check.value for word in ("idle", "power brake", "display clock")] == [
        bool(mask & bit) for bit in (0x1, 0x80, 0x100)
    ]


def test_a_reason_without_a_name_is_shown_as_a_number() -> None:
    assert "0x8000" in told(NvmlByHand({"nvmlDeviceGetCurrentClocksEventReasons": 0x8001}))["gpu.0.throttle"].value


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        ({"nvmlDeviceGetMigMode": [1, 1]}, "MIG on"),
        ({"nvmlDeviceGetComputeMode": 3}, "exclusive process"),
        ({"nvmlDeviceGetComputeMode": 2}, "prohibited"),
    ],
)
def test_modes_that_stand_in_the_way(answers: dict[str, object], word: str) -> None:
    check = told(NvmlByHand(answers))["gpu.0.modes"]
    assert check.state == "limited"
    assert word in check.value


def test_an_empty_process_list_inside_a_container_says_nothing(tmp_path: Path) -> None:
    assert told(NvmlByHand(), tmp_path)["gpu.0.strangers"].state == "ok"
    (tmp_path / ".dockerenv").touch()
    check = told(NvmlByHand(), tmp_path)["gpu.0.strangers"]
    assert (check.state, "utilisation 0 %" in check.value) == ("unknown", True)


def test_strangers_are_found_by_list_or_by_load(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    busy = {"nvmlDeviceGetUtilizationRates": type("Rates", (), {"gpu": 63})}
    assert "63 %" in told(NvmlByHand(busy), tmp_path)["gpu.0.strangers"].value
    listed = {"nvmlDeviceGetComputeRunningProcesses": [type("Process", (), {"pid": 4711})]}
    for answers in (busy, listed):
        assert told(NvmlByHand(answers), tmp_path)["gpu.0.strangers"].state == "limited"
    assert "4711" in told(NvmlByHand(listed))["gpu.0.strangers"].value
