"""NVML with GPM as a script tells it: names, structures, constants and error classes are the real binding's own.

Nothing of it was recorded on a GPU.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pynvml = pytest.importorskip("pynvml", reason="needs nvidia-ml-py")

UUID = "GPU-model"
Values = dict[str, float | int]  # name of a metric -> its value; an int is the code with which it is refused


class NvmlGpm:
    """Window i has the values `windows[i]`; `raising` maps a call's name to (how often it works before, the error)."""

    def __init__(
        self,
        windows: list[Values],
        raising: dict[str, tuple[int, Exception]] | None = None,
        now_ns: Callable[[], int] = lambda: 0,
        supported: int = 1,
        mig_mode: int = 0,
        utilizations_pct: list[int] | None = None,
        lacking: tuple[str, ...] = (),
    ) -> None:
        self.__name__ = "pynvml"
        self.windows = windows
        self.now_ns = now_ns
        self.sampled_ns: list[int] = []
        self.utilization_ns: list[int] = []
        self.allocated: list[Any] = []
        self.freed: list[Any] = []
        self.uuids: list[str] = []
        self.attached = 0
        self._raising = dict(raising or {})
        self._calls: dict[str, int] = {}
        self._taken: dict[int, int] = {}  # address of a sample -> number of the visit that filled it
        self._supported = supported
        self._mig_mode = mig_mode
        self._utilizations_pct = utilizations_pct or [100]
        self._lacking = lacking

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml"):
            if name in self._lacking:
                raise AttributeError(f"module 'pynvml' has no attribute '{name}'", name=name, obj=self)
            self._count(name)
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("NVML", "c_nvml")):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def _count(self, name: str) -> None:
        self._calls[name] = self._calls.get(name, 0) + 1
        works, error = self._raising.get(name, (0, None))
        if error is not None and self._calls[name] > works:
            raise error

    def nvmlInit(self) -> None:  # noqa: N802
        self.attached += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.attached -= 1

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.65.06"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.uuids.append(uuid)
        if uuid != UUID:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "handle"

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:  # noqa: N802
        return [self._mig_mode, self._mig_mode]

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        return {pynvml.NVML_CLOCK_SM: 1980, pynvml.NVML_CLOCK_MEM: 2619}[kind]

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:  # noqa: N802
        self.utilization_ns.append(self.now_ns())
        index = min(len(self.utilization_ns), len(self._utilizations_pct)) - 1
        return SimpleNamespace(gpu=self._utilizations_pct[index], memory=0)

    def nvmlGpmQueryDeviceSupport(self, handle: str) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(isSupportedDevice=self._supported)

    def nvmlGpmSampleAlloc(self) -> Any:  # noqa: N802
        sample = pynvml.c_nvmlGpmSample_t(pynvml.struct_c_nvmlGpmSample_t())
        self.allocated.append(sample)
        return sample

    def nvmlGpmSampleFree(self, sample: Any) -> None:  # noqa: N802
        assert sample in self.allocated
        assert sample not in self.freed
        self.freed.append(sample)

    def nvmlGpmSampleGet(self, handle: str, sample: Any) -> Any:  # noqa: N802
        assert sample in self.allocated
        assert sample not in self.freed
        self._taken[_address(sample)] = len(self.sampled_ns)
        self.sampled_ns.append(self.now_ns())
        return sample

    def nvmlGpmMetricsGet(self, asked: Any) -> Any:  # noqa: N802
        assert isinstance(asked, pynvml.c_nvmlGpmMetricsGet_t)
        assert asked.version == pynvml.NVML_GPM_METRICS_GET_VERSION
        first, second = (self._taken[_address(sample)] for sample in (asked.sample1, asked.sample2))
        assert second == first + 1, "a window lies between two samples, the earlier one first"
        names = {getattr(pynvml, name): name for name in self.windows[first]}
        for index in range(asked.numMetrics):
            value = self.windows[first][names[asked.metrics[index].metricId]]
            refused = isinstance(value, int)
            asked.metrics[index].nvmlReturn = value if refused else pynvml.NVML_SUCCESS
            asked.metrics[index].value = 0.0 if refused else value
        return asked


def _address(sample: Any) -> int:
    return int(pynvml.cast(sample, pynvml.c_void_p).value)
