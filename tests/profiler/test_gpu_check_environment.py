"""What the check asks NVML for exists in the real module, and its answers become plain JSON."""

import importlib
import json

from cotenant.profiler.gpu_check import clocks
from cotenant.profiler.gpu_check.parts import environment

pynvml = importlib.import_module("pynvml")


def test_every_call_exists() -> None:
    assert [call for call in environment.BOARD.values() if not hasattr(pynvml, call)] == []
    assert environment.CLOCKS == {
        "graphics": pynvml.NVML_CLOCK_GRAPHICS,
        "sm": pynvml.NVML_CLOCK_SM,
        "memory": pynvml.NVML_CLOCK_MEM,
    }


def test_the_throttle_mask_is_what_slows_work_down() -> None:
    slowing = (
        pynvml.nvmlClocksEventReasonSwPowerCap,
        pynvml.nvmlClocksThrottleReasonHwSlowdown,
        pynvml.nvmlClocksEventReasonSwThermalSlowdown,
        pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
        pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
    )
    assert sum(slowing) == clocks.THROTTLE_MASK
    assert not clocks.THROTTLE_MASK & pynvml.nvmlClocksEventReasonGpuIdle


def test_answers_become_plain_values() -> None:
    friendly = pynvml.nvmlFriendlyObject({"pid": 7, "usedGpuMemory": None})
    told = environment._plain([friendly, pynvml.c_nvmlMemory_t(3, 2, 1), (9, 0), "name"])
    assert json.loads(json.dumps(told)) == [
        {"pid": 7, "usedGpuMemory": None},
        {"total": 3, "free": 2, "used": 1},
        [9, 0],
        "name",
    ]
