"""Where the cores' time went, from /proc/stat: to programs, to other guests of the machine below, to nobody."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cotenant.profiler.quality.container import ROOT, read_text

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# Kernels count whole ticks, we count nanoseconds: within few ticks, part of what our lanes use looks like others'.
SHARE_TICKS_MIN = 10
# columns of a `cpu` line (proc_stat(5)); guest time is counted in `user` already
USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL = range(8)


@dataclass(frozen=True)
class CpuTimes:
    """Time since the machine started, over some cores.

    Attributes:
        busy_ns: Programs and interrupts.
        stolen_ns: The hypervisor gave it to other guests while a program here wanted it.
        total_ns: All of it, idle time included.
    """

    busy_ns: int
    stolen_ns: int
    total_ns: int
    core_count: int


def cpu_times(root: Path = ROOT, cores: Collection[int] | None = None) -> CpuTimes | None:
    """Return the times of these cores, or of all; None where the kernel does not tell them."""
    lines = [line.split() for line in (read_text(root / "proc/stat") or "").splitlines() if line.startswith("cpu")]
    wanted = [
        words
        for words in lines
        if words[0] != "cpu" and words[0][3:].isdigit() and (cores is None or int(words[0][3:]) in cores)
    ]
    try:
        counts = [[int(word) for word in words[1:9]] for words in wanted]
    except ValueError:
        return None
    if not counts or any(len(each) <= STEAL for each in counts):
        return None
    ticks = [sum(column) for column in zip(*counts, strict=True)]
    busy = sum(ticks[column] for column in (USER, NICE, SYSTEM, IRQ, SOFTIRQ))
    return CpuTimes(busy * TICK_NS, ticks[STEAL] * TICK_NS, sum(ticks) * TICK_NS, len(counts))


@dataclass(frozen=True)
class Load:
    """How the cores' time was used between two looks.

    Attributes:
        foreign_pct: Part that went to processes that are not ours, of all the cores' time.
        steal_pct: Part that other guests took.
        foreign_cores: The same two together, as a number of cores kept busy.
    """

    foreign_pct: float
    steal_pct: float
    core_count: int

    @property
    def foreign_cores(self) -> float:
        """Cores kept busy by others, inside this machine and beside it."""
        return (self.foreign_pct + self.steal_pct) / 100 * self.core_count


def too_soon(before: CpuTimes, after: CpuTimes) -> bool:
    """Tell whether too few ticks of the same cores lie between two looks for a share of them to mean something."""
    passed_ns = after.total_ns - before.total_ns
    return before.core_count == after.core_count and passed_ns < SHARE_TICKS_MIN * TICK_NS * after.core_count


def load_between(before: CpuTimes, after: CpuTimes, own_ns: int) -> Load | None:
    """Return what happened between two looks during which our processes had `own_ns` of CPU time.

    None if no time passed between them, or if cores came or went.
    """
    passed_ns = after.total_ns - before.total_ns
    if passed_ns <= 0 or before.core_count != after.core_count:
        return None
    foreign_ns = after.busy_ns - before.busy_ns - own_ns  # ticks are coarse: a little below 0 is none
    stolen_ns = max(0, after.stolen_ns - before.stolen_ns)
    foreign_pct = min(100.0, max(0.0, 100 * foreign_ns / passed_ns))
    return Load(foreign_pct, min(100.0, 100 * stolen_ns / passed_ns), after.core_count)
