"""Which processes are ours: this one, its descendants (lanes), and the MPS server that serves them."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from cotenant.runners.cuda.mps import PIPE


def own_pids() -> set[int]:
    """Return the pids of this process and of its descendants."""
    found, waiting = {os.getpid()}, [os.getpid()]
    while waiting:
        try:
            children = _children(waiting.pop())
        except FileNotFoundError:  # a kernel without lists of children: look through all processes
            return found | {child.pid for child in psutil.Process().children(recursive=True)}
        waiting += children - found
        found |= children
    return found


def _children(pid: int) -> set[int]:
    """Return a process's children as the kernel lists them by thread; none of one that has ended."""
    found: set[int] = set()
    threads = list(Path(f"/proc/{pid}/task").glob("[0-9]*"))
    for thread in threads:
        try:
            found.update(map(int, (thread / "children").read_text().split()))
        except OSError:
            if thread.exists() and not (thread / "children").exists():
                raise FileNotFoundError(thread / "children") from None
    return found


def own_cpu_ns(pids: Iterable[int], known_ns: dict[int, int]) -> int:
    """Return the CPU time that processes have had; those that ended keep what is known of them in `known_ns`."""
    for pid in pids:
        try:
            known_ns[pid] = time.clock_gettime_ns(_cpu_clock(pid))
        except OSError:
            known_ns.setdefault(pid, 0)
    return sum(known_ns.values())


def _cpu_clock(pid: int) -> int:
    """Return the id of a process's CPU clock, as clock_getcpuclockid(3) makes it: ~pid with CPUCLOCK_SCHED."""
    return (~pid << 3) | 2


def foreign(listed: Iterable[int], own: Iterable[int]) -> set[int]:
    """Return the listed pids that are neither ours nor an MPS server of ours, known by its clients' pipe directory."""
    mine = set(own)
    strangers = set(listed) - mine
    if not strangers:
        return strangers
    pipes = {pipe for pid in mine - {os.getpid()} if (pipe := _pipe_of(pid)) is not None}
    return {pid for pid in strangers if _pipe_of(pid) not in pipes}


def _pipe_of(pid: int) -> str | None:
    try:
        return psutil.Process(pid).environ().get(PIPE)
    except (psutil.Error, OSError):
        return None


def named(pids: Iterable[int]) -> str:
    """Return pids with their programs' names where these can be seen."""
    return ", ".join(f"{name} (pid {pid})" if (name := _name_of(pid)) else f"pid {pid}" for pid in sorted(pids))


def _name_of(pid: int) -> str | None:
    try:
        return psutil.Process(pid).name()
    except (psutil.Error, OSError):
        return None
