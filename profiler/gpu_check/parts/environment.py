"""Driver, GPUs as NVML tells them, CUDA versions: what every other number has to be read with."""

import ctypes
import shutil
from typing import Any

from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.inside import LIBRARY, gpu_trouble, missing_modules

MODULES = (
    "torch",
    "numpy",
    "cuda.bindings",
    "cuda.core",
    "cupy",
    "numba",
    "pandas",
    "pyarrow",
    "yaml",
    "click",
    "rich",
)
OPTIONAL = ("pynvml", "pydantic", "nvtx", "onnx", "onnxruntime", "hypothesis", "pytest", "psutil", "cupti", "tensorrt")
PROGRAMS = ("nvidia-smi", "ncu", "nvcc", "nvidia-cuda-mps-control")
BOARD = {
    "name": "nvmlDeviceGetName",
    "device_id": "nvmlDeviceGetUUID",
    "vbios": "nvmlDeviceGetVbiosVersion",
    "capability": "nvmlDeviceGetCudaComputeCapability",
    "memory": "nvmlDeviceGetMemoryInfo",
    "power_limit_mw": "nvmlDeviceGetEnforcedPowerLimit",
    "power_mw": "nvmlDeviceGetPowerUsage",
    "energy_mj": "nvmlDeviceGetTotalEnergyConsumption",
    "performance_state": "nvmlDeviceGetPerformanceState",
    "persistence_mode": "nvmlDeviceGetPersistenceMode",
    "compute_mode": "nvmlDeviceGetComputeMode",
    "mig_mode": "nvmlDeviceGetMigMode",
    "ecc_mode": "nvmlDeviceGetEccMode",
    "virtualization_mode": "nvmlDeviceGetVirtualizationMode",
    "clock_event_reasons": "nvmlDeviceGetCurrentClocksEventReasons",
    "utilization": "nvmlDeviceGetUtilizationRates",
    "pcie_generation": "nvmlDeviceGetCurrPcieLinkGeneration",
    "pcie_width": "nvmlDeviceGetCurrPcieLinkWidth",
    "compute_processes": "nvmlDeviceGetComputeRunningProcesses_v3",
    "mps_processes": "nvmlDeviceGetMPSComputeRunningProcesses_v3",
}
CLOCKS = {"graphics": 0, "sm": 1, "memory": 2}  # nvmlClockType_t


def measure(facts: Facts) -> None:
    """Tell all of it; without a GPU the part fails, because there is nothing to check then."""
    facts.note(
        modules={name: not missing_modules((name,)) for name in (*MODULES, *OPTIONAL)},
        programs={name: shutil.which(name) is not None for name in PROGRAMS},
    )
    trouble = gpu_trouble()
    facts.check(trouble is None, trouble or "the CUDA driver shows a GPU")
    if trouble is None:
        facts.note(cuda_driver_version=_cuda_version())
    if missing_modules(("pynvml",)):
        facts.note(nvml="the module pynvml is missing")
        return
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        facts.note(nvml=str(error))
        return
    count = pynvml.nvmlDeviceGetCount()
    boards = [_board(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
    facts.note(nvml="answers", driver_version=pynvml.nvmlSystemGetDriverVersion(), gpus=boards)


def _cuda_version() -> str | None:
    number = ctypes.c_int(0)
    if ctypes.CDLL(LIBRARY).cuDriverGetVersion(ctypes.byref(number)):
        return None
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _board(nvml: Any, board: Any) -> dict[str, Any]:
    told = {name: _told(nvml, call, board) for name, call in BOARD.items()}
    for clock, number in CLOCKS.items():
        told[f"{clock}_clock_mhz"] = _told(nvml, "nvmlDeviceGetClockInfo", board, number)
        told[f"{clock}_clock_max_mhz"] = _told(nvml, "nvmlDeviceGetMaxClockInfo", board, number)
    told["temperature_c"] = _told(nvml, "nvmlDeviceGetTemperature", board, 0)
    return told


def _told(nvml: Any, call: str, *arguments: Any) -> Any:
    """Return what NVML answers as JSON takes it, or `not told: <why>`; a value is never made up."""
    try:
        return _plain(getattr(nvml, call)(*arguments))
    except (nvml.NVMLError, AttributeError) as error:
        return f"not told: {error}"


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if hasattr(value, "_fields_"):  # a structure of ctypes
        return {name: _plain(getattr(value, name)) for name, *_ in value._fields_}
    return _plain(vars(value)) if hasattr(value, "__dict__") and not isinstance(value, type) else value
