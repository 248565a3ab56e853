"""The processor: cores, lanes, what a control group grants, how its clock is governed, memory."""

import os
from collections.abc import Iterator
from pathlib import Path

from cotenant.profiler.doctor.check import Check
from cotenant.profiler.quality.container import ROOT, read_text
from cotenant.runners.onnxruntime_cpu.cores import allowed_cores, physical_cores, quota_cores

STEADY_GOVERNOR = "performance"
GIB = 1 << 30


def checks(root: Path = ROOT) -> Iterator[Check]:
    """Tell cores, lanes, quota, governor and memory."""
    allowed = allowed_cores()
    physical, quota = len(physical_cores(allowed)), quota_cores()
    told = f"{physical} physical, {len(allowed)} with SMT, of {os.cpu_count()} in the machine"
    yield Check("processor.cores", "ok", told)
    yield quota_check(quota, physical)
    yield lanes_check(physical if quota is None else min(physical, int(quota)))
    yield governor(root)
    yield memory(root)


def quota_check(quota: float | None, physical: int) -> Check:
    """Tell the cores' time that the control group grants; a fraction of a core stalls lanes in the middle."""
    if quota is None:
        return Check("processor.quota", "ok", "no limit on cores' time")
    told = f"the control group grants the time of {quota:g} cores"
    if quota >= physical:
        return Check("processor.quota", "ok", told)
    return Check("processor.quota", "limited", told, f"raise the limit to {physical} cores, or use fewer lanes")


def lanes_check(usable: int) -> Check:
    """Tell for how many lanes of one thread there are cores."""
    if usable >= 2:
        return Check("processor.lanes", "ok", f"{usable} lanes of one thread without oversubscription")
    told = "one lane without oversubscription: co-tenants would share a core (rows are marked `oversubscribed`)"
    return Check("processor.lanes", "limited", told, "use a machine, or allow this process, two cores or more")


def governor(root: Path = ROOT) -> Check:
    """Tell how the kernel governs the cores' clocks; read only."""
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    found = sorted({text.strip() for path in files if (text := read_text(path)) is not None})
    if not found:
        return Check("processor.governor", "unknown", "the kernel tells no frequency governor (as in most guests)")
    if found == [STEADY_GOVERNOR]:
        return Check("processor.governor", "ok", STEADY_GOVERNOR)
    remedy = f"sudo cpupower frequency-set -g {STEADY_GOVERNOR}, if the machine is yours"
    return Check("processor.governor", "limited", f"{', '.join(found)}: clocks follow the load", remedy)


def memory(root: Path = ROOT) -> Check:
    """Tell available and total memory, and the control group's limit if it is lower."""
    lines = (line.split(":", 1) for line in (read_text(root / "proc/meminfo") or "").splitlines() if ":" in line)
    told_kib = {name: int(rest.split()[0]) for name, rest in lines if rest.split()}
    if not {"MemTotal", "MemAvailable"} <= told_kib.keys():
        return Check("processor.memory", "unknown", "the kernel does not tell its memory")
    total_bytes, available_bytes = told_kib["MemTotal"] << 10, told_kib["MemAvailable"] << 10
    told = f"{available_bytes / GIB:.1f} GiB available of {total_bytes / GIB:.1f} GiB"
    limit_bytes = _group_limit_bytes(root)
    if limit_bytes is not None and limit_bytes < total_bytes:
        told = f"{told}; the control group allows {limit_bytes / GIB:.1f} GiB"
        return Check("processor.memory", "limited", told, "raise the container's memory limit if a lane is killed")
    return Check("processor.memory", "ok", told)


def _group_limit_bytes(root: Path) -> int | None:
    texts = (read_text(root / "sys/fs/cgroup" / name) for name in ("memory.max", "memory/memory.limit_in_bytes"))
    limits = [int(text) for text in texts if text is not None and text.strip().isdigit()]
    return min(limits) if limits else None
