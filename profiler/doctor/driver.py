"""The NVIDIA driver: is it there, which CUDA does it serve, how many GPUs does it show; for what fails, what to do."""

import os
from collections.abc import Iterator
from pathlib import Path

from cotenant.profiler.doctor.apart import NoAnswer, ask
from cotenant.profiler.doctor.check import Check
from cotenant.profiler.doctor.cuda_wheels import CudaWheel
from cotenant.profiler.quality.container import ROOT, in_container, read_text
from cotenant.profiler.quality.nvml_reading import NvmlReading

PROBE = "cotenant.profiler.doctor.nvml_probe"
NVIDIA_VENDOR = "0x10de"  # PCI vendor id
NO_GPU_REMEDY = "use a machine with an NVIDIA GPU and its driver"
CONTAINER_REMEDY = "start the container with its GPUs (`--gpus all`, NVIDIA_DRIVER_CAPABILITIES=compute,utility)"
REMEDIES = {  # class of the NVML error -> what to do
    "NVMLError_DriverNotLoaded": f"load the driver (sudo modprobe nvidia); in a container, {CONTAINER_REMEDY}",
    "NVMLError_LibRmVersionMismatch": "reboot: the loaded driver and its libraries are of two versions"
    " (in a container: start it again)",
    "NVMLError_NoPermission": "run as a user who may open /dev/nvidia*",
    "NVMLError_GpuIsLost": "reboot: a GPU fell off the bus; the kernel log (NVRM) says when",
    "ModuleNotFoundError": "pip install nvidia-ml-py",
}
OTHER_REMEDY = "see what `nvidia-smi` and the kernel log (NVRM) say"


def reading() -> NvmlReading:
    """Ask NVML in a process of its own; a crash or a hang is a failure like another."""
    try:
        return NvmlReading.from_stored(ask(PROBE))
    except NoAnswer as error:
        return NvmlReading(failure=str(error))


def checks(nvml: NvmlReading, wheels: list[CudaWheel], root: Path = ROOT) -> Iterator[Check]:
    """Tell driver, CUDA and GPUs."""
    if nvml.driver_version is None:
        yield _no_driver(nvml, root)
        return
    yield Check("driver.version", "ok", nvml.driver_version)
    yield cuda(nvml, wheels)
    yield _gpus(nvml)


def cuda(nvml: NvmlReading, wheels: list[CudaWheel]) -> Check:
    """Tell the driver's CUDA version, and which installed packages want a newer driver.

    Within one major version newer packages run on older drivers; a new major version needs a new driver (CUDA
    Compatibility, minor version compatibility).
    """
    code, major = nvml.cuda_version_code, nvml.cuda_major
    if code is None or major is None:
        return Check("driver.cuda", "unknown", "the driver does not tell its CUDA version")
    told = f"CUDA {major}.{code % 1000 // 10}"
    too_new = [wheel for wheel in wheels if wheel.cuda_major > major]
    if not too_new:
        return Check("driver.cuda", "ok", told)
    names = ", ".join(f"{wheel.name} (CUDA {wheel.cuda_major})" for wheel in too_new)
    wanted = max(wheel.cuda_major for wheel in too_new)
    remedy = f"install a driver for CUDA {wanted}, or builds of these packages for CUDA {major}"
    return Check("driver.cuda", "limited", f"{told}: too old for {names}", remedy)


def _gpus(nvml: NvmlReading) -> Check:
    if nvml.failure is not None:
        return Check("driver.gpus", "unknown", nvml.failure, _remedy(nvml.failure))
    if not nvml.gpus:
        return Check("driver.gpus", "missing", "the driver shows no GPU", CONTAINER_REMEDY)
    told, visible = str(len(nvml.gpus)), os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return Check("driver.gpus", "ok", told)
    told = f"{told}; CUDA sees only CUDA_VISIBLE_DEVICES={visible}"
    return Check("driver.gpus", "limited", told, "unset CUDA_VISIBLE_DEVICES to measure on all of them")


def _no_driver(nvml: NvmlReading, root: Path) -> Check:
    reason = nvml.failure or "the driver tells no version"
    if not reason.startswith("NVMLError_LibraryNotFound"):
        there = "missing" if reason.startswith("NVMLError_DriverNotLoaded") else "unknown"
        return Check("driver.version", there, reason, _remedy(reason))  # type: ignore[arg-type]
    if (root / "proc/driver/nvidia").exists():
        told = "the driver is loaded, but its libraries (libnvidia-ml.so.1) are not found here"
        remedy = CONTAINER_REMEDY if in_container(root) else "install the driver's libraries of the same version"
        return Check("driver.version", "missing", told, remedy)
    if _has_nvidia_card(root):
        remedy = CONTAINER_REMEDY if in_container(root) else "install the NVIDIA driver"
        return Check("driver.version", "missing", "an NVIDIA card is there, but no driver", remedy)
    return Check("driver.version", "missing", "no NVIDIA driver and no NVIDIA card", NO_GPU_REMEDY)


def _has_nvidia_card(root: Path) -> bool:
    vendors = (root / "sys/bus/pci/devices").glob("*/vendor")
    return any((read_text(path) or "").strip() == NVIDIA_VENDOR for path in vendors)


def _remedy(reason: str) -> str:
    return next((remedy for name, remedy in REMEDIES.items() if reason.startswith(name)), OTHER_REMEDY)
