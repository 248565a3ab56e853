"""A stand-in for the module `pynvml`, written by hand after its signatures: nothing here was recorded on a GPU.

It answers for one card as NVML would, refuses what it is told to refuse, and knows no function beyond its table.
"""

from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

GIB = 1 << 30


class NVMLError(Exception):
    """The root of NVML's errors."""


class NVMLError_NotSupported(NVMLError):  # noqa: N801
    """This card does not know that."""


class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801
    """No libnvidia-ml.so.1."""


class NVMLError_DriverNotLoaded(NVMLError):  # noqa: N801
    """No kernel module."""


class NVMLError_LibRmVersionMismatch(NVMLError):  # noqa: N801
    """Library and kernel module differ."""


class NVMLError_GpuIsLost(NVMLError):  # noqa: N801
    """Off the bus."""


class NVMLError_NotFound(NVMLError):  # noqa: N801
    """No such card."""


ANSWERS: dict[str, Any] = {
    "nvmlInit": None,
    "nvmlShutdown": None,
    "nvmlSystemGetDriverVersion": "580.65.06",
    "nvmlSystemGetCudaDriverVersion": 13000,
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": "handle",
    "nvmlDeviceGetHandleByUUID": "handle",
    "nvmlDeviceGetName": "NVIDIA L4",
    "nvmlDeviceGetUUID": "GPU-11111111-2222-3333-4444-555555555555",
    "nvmlDeviceGetCudaComputeCapability": (8, 9),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=23 * GIB, free=22 * GIB, used=GIB),
    "nvmlDeviceGetClockInfo": 2040,
    "nvmlDeviceGetMaxClockInfo": 2040,
    "nvmlDeviceGetPerformanceState": 0,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x1,
    "nvmlDeviceGetTemperature": 41,
    "nvmlDeviceGetMarginTemperature": 44,
    "nvmlDeviceGetTemperatureThreshold": 85,
    "nvmlDeviceGetPowerUsage": 16500,
    "nvmlDeviceGetEnforcedPowerLimit": 72000,
    "nvmlDeviceGetTotalEnergyConsumption": 123456789,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=0, memory=0),
    "nvmlDeviceGetComputeRunningProcesses": [],
    "nvmlDeviceGetMPSComputeRunningProcesses": [],
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetComputeMode": 0,
    "nvmlDeviceGetPersistenceMode": 1,
    "nvmlDeviceGetVirtualizationMode": 0,
    "nvmlDeviceGetVbiosVersion": "95.04.29.00.06",
    "nvmlDeviceGetCurrPcieLinkGeneration": 1,
    "nvmlDeviceGetMaxPcieLinkGeneration": 4,
    "nvmlDeviceGetCurrPcieLinkWidth": 16,
    "nvmlDeviceGetMaxPcieLinkWidth": 16,
    "nvmlGpmQueryDeviceSupport": SimpleNamespace(isSupportedDevice=0),
}
GETTERS = frozenset(name for name in ANSWERS if name.startswith(("nvmlDeviceGet", "nvmlGpm"))) - {
    "nvmlDeviceGetCount",
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetHandleByUUID",
}


class NvmlByHand:
    """Answers from the table; `raising` maps functions to the error they raise; `lacking` are not in this binding."""

    def __init__(
        self,
        answers: dict[str, Any] | None = None,
        refused: Collection[str] = (),
        raising: dict[str, Exception] | None = None,
        lacking: Collection[str] = (),
    ) -> None:
        self._answers = ANSWERS | (answers or {})
        self._raising = {name: NVMLError_NotSupported("Not Supported") for name in refused} | (raising or {})
        self._lacking = frozenset(lacking)
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self._answers or name in self._lacking:
            raise AttributeError(f"module 'pynvml' has no attribute {name!r}")

        def call(*_arguments: Any) -> Any:
            self.called.append(name)
            if name in self._raising:
                raise self._raising[name]
            return self._answers[name]

        return call
