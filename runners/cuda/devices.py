"""NVIDIA GPUs of this machine as devices: sizes from the CUDA driver, identity and limits from NVML.

GPUs are counted as CUDA counts them in this process (CUDA_VISIBLE_DEVICES applies; in the order of the PCI bus, as
nvidia-smi shows them). The two libraries meet by UUID. GPUs in MIG mode are refused: a lane would get one instance, and
what runs on the others cannot be told from outside.
"""

import functools
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.cuda.driver_context import set_driver_variables
from cotenant.runners.cuda.driver_errors import done
from cotenant.runners.protocol import Device

NO_DRIVER = (
    "no NVIDIA GPU was found on this machine: its driver is not installed; install it, or use a machine with a GPU"
)
REPAIR = "`nvidia-smi` must work first: reboot after an update of the driver, or install it anew"
HIDDEN = "the CUDA driver shows no GPU; look at CUDA_VISIBLE_DEVICES, and at what the container was given"
NO_BINDINGS = "the package cuda-bindings is missing; pip install 'cotenant[cuda]'"
NAME_BYTES = 256
# NVML's name of a card -> the packaged device file that holds its data sheet; only names that mean one card alone
DATASHEETS = {
    "NVIDIA A10": "a10",
    "NVIDIA A100-SXM4-40GB": "a100",
    "NVIDIA H100 80GB HBM3": "h100",
    "NVIDIA H200": "h200",
    "NVIDIA L4": "l4",
    "NVIDIA L40S": "l40s",
    "Tesla T4": "t4",
}


@dataclass(frozen=True)
class FoundGpu:
    """One GPU that lanes can be opened on.

    Attributes:
        index: CUDA ordinal in this process.
        capability: Compute capability, e.g. `9.0`.
        driver_version: Of the NVIDIA driver, e.g. `580.82.07`.
        cuda_version: Newest CUDA that the driver knows, e.g. `13.0`.
        dram_bytes_per_s: Peak of the memory as the driver tells it (clock x bus width); None where it does not.
    """

    index: int
    device: Device
    capability: str
    driver_version: str
    cuda_version: str
    dram_bytes_per_s: float | None

    @property
    def architecture(self) -> str:
        """The capability as compilers write it, e.g. `sm_90`."""
        return f"sm_{self.capability.replace('.', '')}"


@dataclass(frozen=True)
class Survey:
    """What was found: GPUs, and one line for each thing that keeps others from being used."""

    gpus: tuple[FoundGpu, ...]
    troubles: tuple[str, ...]


def survey() -> Survey:
    """Return what this machine has; never raises, and starts no CUDA context."""
    set_driver_variables()
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return _survey()


@functools.cache
def _survey() -> Survey:
    try:
        import pynvml
    except ImportError:
        return Survey((), ("the package nvidia-ml-py is missing; pip install nvidia-ml-py",))
    return survey_with(pynvml, _driver)


def _driver() -> Any:
    from cuda.bindings import driver

    return driver


def survey_with(nvml: Any, import_driver: Callable[[], Any]) -> Survey:
    """Return what the modules `pynvml` and `cuda.bindings.driver` tell; the latter is imported where there is a GPU."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        absent = isinstance(error, (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded))
        return Survey((), (NO_DRIVER if absent else f"NVIDIA's driver does not answer (NVML: {error}); {REPAIR}",))
    try:
        driver = import_driver()
        done(driver.cuInit(0), "cuInit")
        _check_version(driver)
        ordinals = range(done(driver.cuDeviceGetCount(), "cuDeviceGetCount"))
    except ImportError:
        return Survey((), (NO_BINDINGS,))
    except (WorkError, RuntimeError) as error:  # cuda.pathfinder raises RuntimeErrors where there is no driver
        return Survey((), (f"the CUDA driver cannot be used ({error}); {REPAIR}",))
    gpus: list[FoundGpu] = []
    troubles: list[str] = []
    for index in ordinals:
        try:
            gpus.append(_gpu(nvml, driver, index))
        except (WorkError, nvml.NVMLError) as error:
            troubles.append(f"GPU {index} cannot be used: {error}")
    return Survey(tuple(gpus), tuple(troubles) or (() if gpus else (HIDDEN,)))


def gpu_of(device: Device) -> FoundGpu:
    """Return what was found of a device of this machine; UserError if it is none."""
    for gpu in survey().gpus:
        if gpu.device.device_id == device.device_id:
            return gpu
    raise UserError(f"device {device.name} ({device.device_id}) is no GPU of this machine; {_choices(survey())}")


def gpu_named(name: str) -> FoundGpu:
    """Return a GPU by index, UUID or name; UserError with the choices otherwise."""
    found = survey()
    wanted = name.lower()
    matching = [
        gpu for gpu in found.gpus if wanted in (str(gpu.index), gpu.device.device_id.lower(), gpu.device.name.lower())
    ]
    if len(matching) > 1:
        indices = " or ".join(str(gpu.index) for gpu in matching)
        raise UserError(f"{len(matching)} GPUs are called {name!r}; name one by its index, {indices}")
    if not matching:
        raise UserError(f"unknown device {name!r}; {_choices(found)}")
    return matching[0]


def _choices(found: Survey) -> str:
    gpus = ", ".join(f"{gpu.index} ({gpu.device.name}, {gpu.device.device_id})" for gpu in found.gpus)
    return "; ".join([*([f"there is {gpus}"] if gpus else []), *found.troubles])


def _check_version(driver: Any) -> None:
    """Refuse a driver older than the bindings: calls that it does not know would fail one by one later."""
    has, needs = done(driver.cuDriverGetVersion(), "cuDriverGetVersion"), driver.CUDA_VERSION
    if has // 1000 < needs // 1000:
        raise WorkError(
            f"the driver knows CUDA {_version(has)}, cuda-bindings was made for {_version(needs)}: update the driver,"
            f" or pip install 'cuda-bindings<{has // 1000 + 1}'"
        )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _gpu(nvml: Any, driver: Any, index: int) -> FoundGpu:
    handle = done(driver.cuDeviceGet(index), "cuDeviceGet")
    name = done(driver.cuDeviceGetName(NAME_BYTES, handle), "cuDeviceGetName").rstrip(b"\0").decode()
    identity = uuid.UUID(bytes=bytes(done(driver.cuDeviceGetUuid(handle), "cuDeviceGetUuid").bytes))
    device_id = f"GPU-{identity}"
    board = _board(nvml, device_id, name)

    def attribute(word: str) -> int:
        which = getattr(driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{word}")
        return int(done(driver.cuDeviceGetAttribute(which, handle), "cuDeviceGetAttribute"))

    capability = f"{attribute('COMPUTE_CAPABILITY_MAJOR')}.{attribute('COMPUTE_CAPABILITY_MINOR')}"
    # two transfers a clock; a clock or a width of 0 means that the driver does not know
    rate = 2 * attribute("MEMORY_CLOCK_RATE") * 1000 * attribute("GLOBAL_MEMORY_BUS_WIDTH") / 8
    dram_bytes = int(done(driver.cuDeviceTotalMem(handle), "cuDeviceTotalMem"))
    driver_version = str(nvml.nvmlSystemGetDriverVersion())
    flop_per_s, bytes_per_s = _datasheet(name)
    limit = _power_limit(nvml, board)
    gib = round(dram_bytes / (1 << 30))
    device = Device(
        device_id=device_id,
        device_type=f"{name}, {gib} GiB, sm_{capability.replace('.', '')}, driver {driver_version}, {limit}",
        kind="gpu",
        name=name,
        sm_count=attribute("MULTIPROCESSOR_COUNT"),
        l2_bytes=attribute("L2_CACHE_SIZE"),
        dram_bytes=dram_bytes,
        datasheet_flop_per_s=flop_per_s,
        datasheet_dram_bytes_per_s=bytes_per_s,
    )
    cuda_version = _version(done(driver.cuDriverGetVersion(), "cuDriverGetVersion"))
    return FoundGpu(index, device, capability, driver_version, cuda_version, rate or None)


def _board(nvml: Any, device_id: str, name: str) -> Any:
    """Return NVML's handle; WorkError if the GPU is in MIG mode (CUDA then tells the UUID of an instance)."""
    refusal = WorkError(f"{name} is in MIG mode; use a GPU without MIG, or ask who runs this machine to switch it off")
    try:
        board = nvml.nvmlDeviceGetHandleByUUID(device_id)
    except nvml.NVMLError_NotFound as error:
        raise refusal from error
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(board)
    except nvml.NVMLError:  # a card without MIG
        return board
    if current == nvml.NVML_DEVICE_MIG_ENABLE:
        raise refusal
    return board


def _power_limit(nvml: Any, board: Any) -> str:
    try:
        return f"{nvml.nvmlDeviceGetPowerManagementLimit(board) / 1000:g} W"
    except nvml.NVMLError:
        return "power limit unknown"


def _datasheet(name: str) -> tuple[float | None, float | None]:
    """Return peak arithmetic (float32 on the vector units) and memory bandwidth by the data sheet, if it is known."""
    if name not in DATASHEETS:
        return None, None
    try:
        from cotenant.runners.simulated.device_file import load_device
    except ModuleNotFoundError:  # what checks device files may be missing on a bare GPU machine; lanes do without
        return None, None
    sheet = load_device(DATASHEETS[name])
    return float(sheet.peak_flop_per_s.fp32_vector), float(sheet.dram_bytes_per_s)
