"""The GPU of a placement as NVML knows it, found by UUID; whatever NVML refuses becomes one line with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cotenant.models.errors import WorkError
from cotenant.profiler.quality.failure import failure
from cotenant.profiler.quality.nvml import CLOCK_MEMORY, CLOCK_SM, Nvml, NvmlGpm
from cotenant.profiler.quality.nvml_reading import text, tried
from cotenant.runners.protocol import Device

REMEDIES = {  # by class of the binding's errors
    "ModuleNotFoundError": "install nvidia-ml-py",
    "AttributeError": "nvidia-ml-py is too old; upgrade it",
    "NVMLError_LibraryNotFound": "install NVIDIA's driver, or give the container its libraries (--gpus)",
    "NVMLError_DriverNotLoaded": "load NVIDIA's driver",
    "NVMLError_NotFound": "NVML does not see this GPU; compare its UUID with `nvidia-smi -L`",
    "NVMLError_InvalidArgument": "NVML does not see this GPU; compare its UUID with `nvidia-smi -L`",
    "NVMLError_NotSupported": "this GPU or its mode lacks it; list another source in `counters: sources`",
    "NVMLError_NoPermission": "ask for the right to read it, or list another source in `counters: sources`",
    "NVMLError_FunctionNotFound": "the driver is too old for it; upgrade the driver",
}
OTHERWISE = "run `cotenant doctor`, or list another source in `counters: sources`"


class NvmlUnavailable(WorkError):
    """NVML does not tell it here: what, why, and what to do."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what} is not available: {why}; {remedy}")
        self.why = why


@contextmanager
def refusals(what: str, kind: type[NvmlUnavailable]) -> Iterator[None]:
    """Turn what the binding raises into `kind`; other errors of ours pass through."""
    try:
        yield
    except Exception as error:
        if not _of_binding(error):
            raise
        raise kind(what, failure(error), REMEDIES.get(type(error).__name__, OTHERWISE)) from error


def _of_binding(error: Exception) -> bool:
    """Tell whether the binding raised it, is missing, or lacks a name that newer ones have."""
    if isinstance(error, ImportError):
        return error.name == "pynvml"
    if isinstance(error, AttributeError):
        return getattr(error.obj, "__name__", None) == "pynvml"
    return type(error).__name__.startswith("NVMLError")


@contextmanager
def opened(device: Device, what: str, kind: type[NvmlUnavailable]) -> Iterator[tuple[NvmlGpm, Any]]:
    """Yield the module and the GPU's handle, attached to the driver.

    Raises:
        NvmlUnavailable: Of the kind given.
    """
    if device.kind != "gpu":
        raise kind(what, f"{device.name} is no GPU", OTHERWISE)
    with refusals(what, kind):
        import pynvml

        pynvml.nvmlInit()
    try:
        with refusals(what, kind):
            handle = pynvml.nvmlDeviceGetHandleByUUID(device.device_id)
        yield pynvml, handle
    finally:
        tried({}, "shutdown", pynvml.nvmlShutdown)


def clocks_mhz(nvml: Nvml, handle: Any) -> dict[str, float | None]:
    """Return both clocks now; None where NVML does not tell."""
    asked = {"sm_clock_mhz": CLOCK_SM, "memory_clock_mhz": CLOCK_MEMORY}
    return {
        name: tried({}, name, lambda which=which: float(nvml.nvmlDeviceGetClockInfo(handle, which)))  # type: ignore[misc]
        for name, which in asked.items()
    }


def library_version(nvml: Nvml) -> str | None:
    """Return the driver's version, which NVML comes with; None where it is not told."""
    version = tried({}, "driver", lambda: text(nvml.nvmlSystemGetDriverVersion()))
    return None if version is None else f"driver {version}"
