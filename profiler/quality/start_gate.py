"""Is the device idle before anything is measured? A busy one is refused, unless the user says otherwise.

GPU        utilisation while we do nothing, which holds inside containers too, and processes of others that compute
processor  cores that others keep busy, or that other guests of the host take: the lanes must have enough
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from cotenant.models.errors import UserError
from cotenant.profiler.quality.cpu_times import Load
from cotenant.profiler.quality.host import HostSource
from cotenant.profiler.quality.nvml_source import NvmlSource
from cotenant.profiler.quality.own_processes import named
from cotenant.profiler.quality.source import Source, SourceFailed
from cotenant.profiler.quality.thresholds import Quality

HOST_LOOK_S = 0.5
SPARE_CORES = 0.5  # beyond what lanes need: half a core's load fits beside them where a core is free, and is noise else
UTILIZATION_SETTLES_S = 1.0  # the longest period that NVML's utilisation looks back over (nvml.h, nvmlUtilization_t)
UTILIZATION_LOOKS, UTILIZATION_LOOK_S = 5, 0.2
WORST_COUNT = 3  # programs named in the error
WORST_MIN_PCT = 10.0  # of a core
REMEDY = "stop it or wait, or go on with --allow-busy (every experiment is then marked)"

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Idleness:
    """What a look found.

    Attributes:
        busy: Who or what keeps the device busy, in words; None if nothing does.
        unknown: Why it cannot be told; None if it can.
    """

    busy: str | None = None
    unknown: str | None = None


def check_idle(idleness: Idleness, device_name: str, allowed: bool) -> bool | None:
    """Return whether the device is busy (None = cannot be told); UserError if it is and that is not allowed."""
    if idleness.busy is not None and not allowed:
        raise UserError(f"{device_name} is not idle: {idleness.busy}; {REMEDY}")
    return None if idleness.unknown is not None else idleness.busy is not None


def look(
    source: Source, quality: Quality, lanes_cores: int, free_cores: frozenset[int], sleep: Sleep = time.sleep
) -> Idleness:
    """Look at a device while we do nothing.

    Args:
        lanes_cores: Cores that the lanes need (processors).
        free_cores: Cores that this process may use (processors).
    """
    if isinstance(source, NvmlSource):
        return look_at_gpu(source, quality.idle_utilization_max_pct, sleep)
    if isinstance(source, HostSource):
        return look_at_cores(source, lanes_cores, free_cores, sleep)
    return Idleness(unknown=f"nothing is known of a source {source.name}")


def look_at_gpu(source: NvmlSource, max_pct: float, sleep: Sleep = time.sleep) -> Idleness:
    """Look at a GPU: most looks must show no more than `max_pct` utilisation, and no other process."""
    source.begin()
    strangers = source.strangers()
    if not isinstance(strangers, str) and strangers:
        return Idleness(busy=f"{named(strangers)} computes on it")
    sleep(UTILIZATION_SETTLES_S)
    told = []
    for _ in range(UTILIZATION_LOOKS):
        sleep(UTILIZATION_LOOK_S)
        try:
            told.append(source.sample().get("utilization_pct"))
        except SourceFailed as error:
            return Idleness(unknown=f"the driver answers nothing any more: {error}")
    known = sorted(pct for pct in told if pct is not None)
    if not known:
        return Idleness(unknown="the driver tells no utilisation")
    middle = known[len(known) // 2]
    if middle > max_pct:
        who = f"; others cannot be seen: {strangers}" if isinstance(strangers, str) else ""
        return Idleness(busy=f"its utilisation is {middle} % while nothing of ours runs (at most {max_pct:g} %){who}")
    return Idleness()


def look_at_cores(source: HostSource, needed_cores: int, cores: frozenset[int], sleep: Sleep = time.sleep) -> Idleness:
    """Look at the cores that this process may use."""
    source.begin(cores)
    source.load()
    programs = _Programs()
    sleep(HOST_LOOK_S)
    load = source.load()
    if load is None:
        return Idleness(unknown="the kernel does not tell where the cores' time goes")
    told = crowded(load, needed_cores)
    if told is None:
        return Idleness()
    worst = programs.worst(source.own)
    return Idleness(busy=told + (f" ({worst})" if worst else ""))


def crowded(load: Load, needed_cores: int) -> str | None:
    """Return what leaves fewer free cores than are needed, in words; None if enough are free.

    More lanes than cores are asked for on purpose: then others may use no more than if every core had a lane.
    """
    spare = max(0, load.core_count - needed_cores) + SPARE_CORES
    if load.foreign_cores <= spare:
        return None
    stolen = f" and other guests of this machine's host take {load.steal_pct:.0f} % of their time"
    return (
        f"other processes keep {load.foreign_pct / 100 * load.core_count:.1f} of {load.core_count} cores busy"
        f"{stolen if load.steal_pct >= 1 else ''}, and lanes need {needed_cores}"
    )


class _Programs:
    """Who had how much CPU time since it was made."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._before = _cpu_s()

    def worst(self, own: set[int]) -> str:
        """Return the busiest other programs that can be seen, in words; "" if none can."""
        passed_s = time.monotonic() - self._began_s
        used = {
            pid: (name, 100 * (cpu_s - self._before[pid][1]) / passed_s)
            for pid, (name, cpu_s) in _cpu_s().items()
            if pid in self._before and pid not in own
        }
        worst = sorted(used.items(), key=lambda item: -item[1][1])[:WORST_COUNT]
        return ", ".join(f"{name} (pid {pid}) {pct:.0f} %" for pid, (name, pct) in worst if pct >= WORST_MIN_PCT)


def _cpu_s() -> dict[int, tuple[str, float]]:
    """Return (name, CPU seconds) of every process that can be seen."""
    found: dict[int, tuple[str, float]] = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None:
            found[process.pid] = (process.info["name"] or "?", times.user + times.system)
    return found
