"""Each GPU as NVML tells it: clocks, what holds them down, heat and power, modes, other processes, counters."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cotenant.profiler.doctor.check import Check, State
from cotenant.profiler.quality.container import ROOT, in_container
from cotenant.profiler.quality.environment import COMPUTE_MODES, VIRTUALIZATION
from cotenant.profiler.quality.nvml_reading import GETTERS, GpuReading, NvmlReading

GIB = 1 << 30
REASONS = {  # nvmlClocksEventReasons
    0x1: "idle",
    0x2: "application clocks",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display clock",
}
BAD_MASK = 0xEC | 0x10  # what slows work down; idle and application clocks do not (design section 6)
NEEDED = ("uuid", "sm_clock_mhz", "sm_clock_max_mhz", "throttle_mask", "temperature_c", "power_mw", "utilization_pct")


def checks(nvml: NvmlReading, root: Path = ROOT) -> Iterator[Check]:
    """Tell every GPU that the driver shows."""
    for gpu in nvml.gpus:
        name = f"gpu.{gpu.index}"
        if "handle" in gpu.refused:
            remedy = "see what `nvidia-smi` and the kernel log (NVRM) say; measure on another GPU meanwhile"
            yield Check(f"{name}.device", "unknown", gpu.refused["handle"], remedy)
            continue
        yield _device(name, gpu.values)
        yield _clocks(name, gpu.values)
        yield _throttle(name, gpu.values)
        yield _heat(name, gpu.values)
        yield _modes(name, gpu.values)
        yield _strangers(name, gpu.values, root)
        yield _gpm(name, gpu)
        yield _getters(name, gpu)


def _device(name: str, told: dict[str, Any]) -> Check:
    dram = told.get("dram_bytes")
    parts = [
        str(told.get("name", "name not told")),
        f"capability {told['capability']}" if "capability" in told else None,
        f"{dram / GIB:.1f} GiB" if dram is not None else None,
        str(told.get("uuid", "UUID not told")),
        _pcie(told),
    ]
    state: State = "ok" if {"name", "uuid"} <= told.keys() else "unknown"
    return Check(f"{name}.device", state, ", ".join(part for part in parts if part))


def _pcie(told: dict[str, Any]) -> str | None:
    if not {"pcie_generation_max", "pcie_lane_count_max"} <= told.keys():
        return None
    return f"PCIe {told['pcie_generation_max']} x{told['pcie_lane_count_max']}"


def _clocks(name: str, told: dict[str, Any]) -> Check:
    parts = [
        f"{label} {told[f'{clock}_mhz']} of {_or_unknown(told, f'{clock}_max_mhz')} MHz"
        for label, clock in (("SM", "sm_clock"), ("memory", "memory_clock"))
        if f"{clock}_mhz" in told
    ]
    if not parts:
        return Check(f"{name}.clocks", "unknown", "the driver tells no clocks here: a drop of clocks goes unseen")
    state = f", P{told['performance_state']}" if "performance_state" in told else ""
    return Check(f"{name}.clocks", "ok", ", ".join(parts) + state)


def _throttle(name: str, told: dict[str, Any]) -> Check:
    if "throttle_mask" not in told:
        return Check(f"{name}.throttle", "unknown", "the driver does not tell here what holds the clocks down")
    mask = int(told["throttle_mask"])
    words = [word for bit, word in REASONS.items() if mask & bit]
    unnamed = mask & ~sum(REASONS)
    words += [f"unnamed reasons {unnamed:#x}"] if unnamed else []
    value = f"{', '.join(words) or 'nothing'} ({mask:#x})"
    if not mask & BAD_MASK:
        return Check(f"{name}.throttle", "ok", value)
    remedy = "let it cool or give it power before measuring; rows measured meanwhile are marked"
    return Check(f"{name}.throttle", "limited", value, remedy)


def _heat(name: str, told: dict[str, Any]) -> Check:
    parts = []
    if "temperature_c" in told:
        margin = f" ({told['temperature_margin_c']} C below slowing down)" if "temperature_margin_c" in told else ""
        parts.append(f"{told['temperature_c']} C{margin}")
    if "power_mw" in told:
        limit = f" of {told['power_limit_mw'] / 1000:.0f} W" if "power_limit_mw" in told else " W"
        parts.append(f"{told['power_mw'] / 1000:.0f}{limit}")
    if not parts:
        return Check(f"{name}.heat", "unknown", "the driver tells neither temperature nor power here")
    return Check(f"{name}.heat", "ok", ", ".join(parts))


def _modes(name: str, told: dict[str, Any]) -> Check:
    """Tell the settings that decide what can be measured; cotenant reads them and never changes them."""
    modes = [f"{label} {_on_off(told.get(key))}" for label, key in (("MIG", "mig_mode"), ("ECC", "ecc_mode"))]
    modes.append(f"compute mode {COMPUTE_MODES.get(told.get('compute_mode', -1), 'not told')}")
    modes.append(f"persistence {_on_off(told.get('persistence_mode'))}")
    if told.get("virtualization_mode"):
        modes.append(f"virtualisation: {VIRTUALIZATION.get(told['virtualization_mode'], 'unnamed')}")
    value = ", ".join(modes)
    if told.get("mig_mode"):
        return Check(f"{name}.modes", "limited", value, "measure on a GPU without MIG: its instances share less")
    if told.get("compute_mode"):
        remedy = "measure on a GPU in default compute mode: this one takes no second process"
        return Check(f"{name}.modes", "limited", value, remedy)
    if not {"mig_mode", "ecc_mode", "compute_mode"} & told.keys():
        return Check(f"{name}.modes", "unknown", "the driver tells no modes here")
    return Check(f"{name}.modes", "ok", value)


def _strangers(name: str, told: dict[str, Any], root: Path) -> Check:
    """Tell who else computes; an empty list inside a container says nothing, so the utilisation stands beside it."""
    pids = sorted({*told.get("compute_pids", []), *told.get("mps_pids", [])})
    busy = told.get("utilization_pct")
    shown = "utilisation not told" if busy is None else f"utilisation {busy} %"
    remedy = "wait until it is idle, or measure on another GPU"
    if pids:
        told_pids = f"{len(pids)} other processes compute ({', '.join(map(str, pids))}), {shown}"
        return Check(f"{name}.strangers", "limited", told_pids, remedy)
    if busy:
        return Check(f"{name}.strangers", "limited", f"no other process is shown, but {shown}", remedy)
    if "compute_pids" not in told:
        return Check(f"{name}.strangers", "unknown", f"the driver lists no processes here; {shown}")
    if in_container(root):
        return Check(f"{name}.strangers", "unknown", f"a container is shown no processes but its own; {shown}")
    return Check(f"{name}.strangers", "ok", f"no other process computes, {shown}")


def _gpm(name: str, gpu: GpuReading) -> Check:
    supported = gpu.values.get("gpm_supported")
    if supported:
        return Check(f"{name}.gpm", "ok", "NVML's own counters (GPM) answer, without ncu")
    why = "not on this GPU (from Hopper on)" if supported is False else gpu.refused.get("gpm_supported", "not told")
    return Check(f"{name}.gpm", "missing", f"NVML's own counters (GPM): {why}", "use ncu for throughputs")


def _getters(name: str, gpu: GpuReading) -> Check:
    value = f"{len(gpu.values)} of {len(GETTERS)} getters answer"
    if gpu.refused:
        refusals = (f"{getter} ({why.split(':')[0].removeprefix('NVMLError_')})" for getter, why in gpu.refused.items())
        value += f"; not: {', '.join(refusals)}"
    lacking = [getter for getter in NEEDED if getter in gpu.refused]
    if not lacking:
        return Check(f"{name}.nvml", "ok", value)
    state: State = "limited" if gpu.values else "unknown"
    return Check(f"{name}.nvml", state, value, f"without {', '.join(lacking)} some doubts about rows go unseen")


def _on_off(mode: Any) -> str:
    return {0: "off", 1: "on"}.get(mode, "not told")


def _or_unknown(told: dict[str, Any], key: str) -> str:
    return str(told.get(key, "an unknown number of"))
