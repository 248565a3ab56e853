"""Which counter sources this machine allows and why, told in about a second and before anything long begins.

ncu        program found and runs -> it fits the driver and the GPU -> the driver lets this user read the counters
gpm        NVML shows the device -> it is no MIG instance -> the GPU has GPM
probe      two lanes -> `kind: sensitivity` experiments in the spec

What cannot be told is `unknown`, and is tried.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cotenant.profiler.counters.ncu.errors import NcuMissing
from cotenant.profiler.counters.ncu.program import examined
from cotenant.profiler.counters.ncu.versions import misfit
from cotenant.profiler.counters.tiers import Tier, merged
from cotenant.profiler.doctor import ncu as ncu_doctor
from cotenant.profiler.quality.container import ROOT, read_text
from cotenant.runners.protocol import Device, Runner

KIND_WORDS = {"cpu": "a CPU", "simulated": "a simulated device"}
GPU_REMEDY = "measure on an NVIDIA GPU"
# gVisor's kernel calls itself so in /proc/version: the name in newer versions, and a build date that is fixed in its
# source in older ones that call themselves 4.4.0 (github.com/google/gvisor, pkg/sentry/syscalls/linux)
GVISOR_SIGNS = ("gvisor", "sun jan 10 15:06:54 pst 2016")
GVISOR_DOUBT = "this is a gVisor sandbox, where profilers usually cannot load the driver's library (LibraryNotLoaded)"
GVISOR_REMEDY = "run on a host or in a container without gVisor, or use another counter source"
NOT_SHOWN_DRIVER = "0"  # the runner opened a GPU, so there is a driver, whatever its files show


def of_placement(
    runner: Runner,
    device: Device,
    reading: Any,
    lane_count: int,
    has_sensitivity: bool,
    root: Path = ROOT,
) -> dict[str, Tier]:
    """Return each source's tier for a runner's device.

    Args:
        reading: What NVML tells (`NvmlReading`); asked only where the device is a GPU.
        has_sensitivity: Whether the spec has `kind: sensitivity` experiments.
    """
    tiers = [
        _ncu_of(runner, device, reading, root),
        _gpm_of(device, reading),
        _analytic(),
        probe(lane_count, has_sensitivity),
        _simulated(device.kind == "simulated"),
    ]
    return {tier.source: tier for tier in tiers}


def of_machine(reading: Any, root: Path = ROOT) -> list[Tier]:
    """Return the tiers of a machine's GPUs, without a runner: what `cotenant doctor` shows."""
    if reading.driver_version is None and not reading.gpus:
        ncu = _ncu(reading, None, None, root)
        gpm = Tier("gpm", "no", f"NVML shows no GPU ({reading.failure or 'none is there'})", GPU_REMEDY)
    else:
        first: Mapping[str, Any] = next((gpu.values for gpu in reading.gpus), {})
        ncu = _ncu(reading, reading.driver_version, first.get("capability"), root)
        gpm = _gpm(first)
    return [
        ncu,
        gpm,
        _analytic(),
        Tier("probe", "yes", "with two lanes and `kind: sensitivity` experiments, on every device"),
        _simulated(is_simulated=True),
    ]


def is_gvisor(root: Path = ROOT) -> bool:
    """Tell whether the kernel is gVisor's."""
    version = (read_text(root / "proc/version") or "").lower()
    return any(sign in version for sign in GVISOR_SIGNS)


def probe(lane_count: int, has_sensitivity: bool) -> Tier:
    """Tell whether engines will run beside probes."""
    if lane_count < 2:
        return Tier("probe", "no", "engines run beside probes only on two lanes or more", "raise `lanes`")
    if not has_sensitivity:
        remedy = "add `{kind: sensitivity}` to `experiments`"
        return Tier("probe", "no", "the spec has no sensitivity experiments", remedy)
    return Tier("probe", "yes", "slowdowns beside calibrated probes")


def _ncu_of(runner: Runner, device: Device, reading: Any, root: Path) -> Tier:
    if device.kind != "gpu":
        return Tier(
            "ncu", "no", f"Nsight Compute profiles NVIDIA GPUs, and this is {KIND_WORDS[device.kind]}", GPU_REMEDY
        )
    if getattr(runner, "alone", None) is None:
        remedy = "choose a runner that can, as tensorrt or torch-cuda"
        return Tier("ncu", "no", f"runner {runner.name} cannot execute an engine alone", remedy)
    capability = _values(device, reading).get("capability")
    return _ncu(reading, reading.driver_version or NOT_SHOWN_DRIVER, capability, root)


def _ncu(reading: Any, driver_version: str | None, capability: str | None, root: Path) -> Tier:
    try:
        program = examined()
    except NcuMissing as error:
        what, _, remedy = str(error).rpartition("; ")
        return Tier("ncu", "no", what, remedy.removesuffix(", or use another counter source"))
    allowed = ncu_doctor.permission(driver_version, root)
    if allowed.state == "missing":
        return Tier("ncu", "no", allowed.value, allowed.remedy)
    if is_gvisor(root):
        return Tier("ncu", "unknown", f"version {program.version}; {GVISOR_DOUBT}", GVISOR_REMEDY)
    state: Any = "yes" if allowed.state == "ok" else "unknown"
    tier = Tier("ncu", state, f"version {program.version}; {allowed.value}")
    fault = misfit(program.version, reading.cuda_major, capability)
    return tier if fault is None else merged(tier, fault)


def _gpm_of(device: Device, reading: Any) -> Tier:
    if device.kind != "gpu":
        return Tier("gpm", "no", f"GPM belongs to NVIDIA GPUs, and this is {KIND_WORDS[device.kind]}", GPU_REMEDY)
    values = _values(device, reading)
    if not values:
        why = reading.failure or f"it does not list {device.device_id}"
        return Tier("gpm", "no", f"NVML does not show this device ({why})", "see `driver` in `cotenant doctor`")
    return _gpm(values)


def _gpm(values: Mapping[str, Any]) -> Tier:
    if values.get("mig_mode"):
        return Tier("gpm", "no", "the GPU is split by MIG, whose instances are not sampled", "measure on a whole GPU")
    if "gpm_supported" not in values:
        return Tier("gpm", "unknown", "the driver does not tell whether this GPU has GPM")
    if not values["gpm_supported"]:
        return Tier("gpm", "no", "this GPU has no GPM, which Hopper and newer have", "use another counter source")
    return Tier("gpm", "yes", "compute and memory throughput without permission; no L2")


def _analytic() -> Tier:
    return Tier("analytic", "yes", "operator costs over measured time, on every device")


def _simulated(is_simulated: bool) -> Tier:
    if is_simulated:
        return Tier("simulated", "yes", "simulated devices tell their own")
    return Tier("simulated", "no", "this device is not simulated", "choose --runner simulated")


def _values(device: Device, reading: Any) -> Mapping[str, Any]:
    """Return what NVML tells of a device; {} if it does not show it."""
    gpus: Sequence[Any] = reading.gpus
    return next((gpu.values for gpu in gpus if gpu.values.get("uuid") == device.device_id), {})
