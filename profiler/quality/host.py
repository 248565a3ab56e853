"""A processor as its kernel tells it while we measure: load of others, stolen time, clock, quota."""

import os
import platform
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from cotenant.profiler.quality.cgroup import groups_of_this_process, quota_cores, throttled_ns
from cotenant.profiler.quality.container import ROOT, in_container, read_text
from cotenant.profiler.quality.cpu_times import CpuTimes, Load, cpu_times, load_between, too_soon
from cotenant.profiler.quality.own_processes import own_cpu_ns, own_pids
from cotenant.profiler.quality.source import Snapshot

CPUFREQ = "sys/devices/system/cpu/cpu{}/cpufreq/{}"
NO_CLOCK = "the kernel tells no frequency (as in most guests)"
NO_TIMES = "the kernel does not tell where the cores' time goes"


class HostSource:
    """Asks the kernel about the whole machine; our own processes' time is taken out."""

    name = "host"

    def __init__(
        self,
        root: Path = ROOT,
        own: Callable[[], set[int]] = own_pids,
        cpu_ns: Callable[[Collection[int], dict[int, int]], int] = own_cpu_ns,
    ) -> None:
        """Ask below `root`; `own` tells our pids and `cpu_ns` what CPU time they have had."""
        self._root = root
        self._list_own = own
        self._cpu_ns = cpu_ns
        self.begin()

    def begin(self, cores: Collection[int] | None = None) -> None:
        """Look which processes are ours: lanes are there before an experiment begins. `cores` = load of these alone."""
        self.own = self._list_own()
        self._looked_at = cores
        self._cores = lane_cores(self.own)
        self._groups = groups_of_this_process(self._root)
        self._known_ns: dict[int, int] = {}
        self._times: CpuTimes | None = None
        self._own_ns = 0
        self._held_back: dict[Path, int] = {}

    def close(self) -> None:
        """Hold nothing."""

    def load(self) -> Load | None:
        """Return how the cores' time was used since the last call that told it, or since the first.

        None the first time, where it is not told, and after too few ticks: the next call covers these too.
        """
        before, before_ns = self._times, self._own_ns
        now, now_ns = cpu_times(self._root, self._looked_at), self._cpu_ns(self.own, self._known_ns)
        if before is not None and now is not None and too_soon(before, now):
            return None
        self._times, self._own_ns = now, now_ns
        return None if before is None or now is None else load_between(before, now, now_ns - before_ns)

    def sample(self) -> dict[str, Any]:
        """Return load, steal, clock and quota; shares are of the time since the sample before."""
        load = self.load()
        held_back, before = throttled_ns(self._groups), self._held_back
        self._held_back = held_back
        same = held_back.keys() & before.keys()
        return {
            "sm_clock_mhz": clock_mhz(self._root, self._cores),
            "load_average_count": load_average(self._root),
            "steal_pct": None if load is None else load.steal_pct,
            "foreign_cpu_pct": None if load is None else load.foreign_pct,
            "quota_throttled_ns": max((held_back[group] - before[group] for group in same), default=None),
        }

    def snapshot(self) -> Snapshot:
        """Ask everything; a part of it needs two looks and stands in the telemetry."""
        asked: dict[str, tuple[Callable[[], Any], str]] = {
            "kernel": (platform.release, "not told"),
            "load_average_count": (lambda: load_average(self._root), "no /proc/loadavg"),
            "sm_clock_mhz": (lambda: clock_mhz(self._root, self._cores), NO_CLOCK),
            "governor": (lambda: governor(self._root), NO_CLOCK),
            "quota_cores": (lambda: quota_cores(self._groups), "no limit on cores' time"),
            "quota_throttled_ns": (lambda: max(throttled_ns(self._groups).values(), default=None), "not told"),
            "container": (lambda: in_container(self._root), "not told"),
            "stolen_ns": (lambda: (times := cpu_times(self._root)) and times.stolen_ns, NO_TIMES),
            "core_count": (lambda: (times := cpu_times(self._root)) and times.core_count, NO_TIMES),
        }
        snapshot = Snapshot()
        for name, (ask, why) in asked.items():
            began_ns = time.perf_counter_ns()
            value = ask()
            snapshot.cost_ns[name] = time.perf_counter_ns() - began_ns
            if value is None:
                snapshot.refused[name] = why
            else:
                snapshot.values[name] = value
        return snapshot


def lane_cores(pids: Collection[int]) -> set[int]:
    """Return the cores that our other processes are bound to: the lanes'; our own where there is none yet."""
    cores: set[int] = set()
    for pid in set(pids) - {os.getpid()}:
        try:
            cores |= os.sched_getaffinity(pid)
        except OSError:  # gone
            continue
    return cores or set(os.sched_getaffinity(0))


def load_average(root: Path = ROOT) -> float | None:
    """Return how many processes wanted to run, over the last minute, ours included."""
    words = (read_text(root / "proc/loadavg") or "").split()
    try:
        return float(words[0])
    except (IndexError, ValueError):
        return None


def clock_mhz(root: Path, cores: Collection[int]) -> int | None:
    """Return the mean frequency of these cores; None unless the kernel tells each."""
    texts = [read_text(root / CPUFREQ.format(core, "scaling_cur_freq")) for core in cores]
    try:
        told_khz = [int(text) for text in texts if text is not None]
    except ValueError:
        return None
    return round(sum(told_khz) / len(told_khz) / 1000) if told_khz and len(told_khz) == len(texts) else None


def governor(root: Path = ROOT) -> str | None:
    """Return how the first core's frequency is governed."""
    text = read_text(root / CPUFREQ.format(0, "scaling_governor"))
    return None if text is None else text.strip()
