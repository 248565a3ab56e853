"""Which cores a session may use, in which order lanes take them, and where the dispatching process goes meanwhile."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CPU_FOLDER = Path("/sys/devices/system/cpu")
CGROUP_FOLDER = Path("/sys/fs/cgroup")


def parse_cpu_list(text: str) -> set[int]:
    """Return the cores that a kernel list such as `0-3,8` names."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cores.update(range(int(first), int(last or first) + 1))
    return cores


def siblings(core: int) -> frozenset[int]:
    """Return the cores (SMT threads) of one physical core; the core alone where the kernel tells nothing."""
    try:
        text = (CPU_FOLDER / f"cpu{core}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return frozenset({core})
    return frozenset(parse_cpu_list(text) | {core})


def allowed_cores() -> tuple[int, ...]:
    """Return the cores that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))


def physical_cores(cores: Iterable[int]) -> set[int]:
    """Return the physical cores behind these cores, each by its first."""
    return {min(siblings(core)) for core in cores}


def lane_order(cores: Sequence[int]) -> list[int]:
    """Order cores for lanes: one of each physical core before any SMT sibling, the first physical core last.

    The first core is where systems put their interrupts and what is left for the dispatching process.
    """
    firsts: list[int] = []
    seconds: list[int] = []
    seen: set[int] = set()
    for core in sorted(cores):
        (seconds if core in seen else firsts).append(core)
        seen |= siblings(core)
    return firsts[1:] + firsts[:1] + seconds


def host_cores(cores: Sequence[int], lane_cores: Iterable[int]) -> set[int]:
    """Return the cores left for the dispatching process, those of untouched physical cores if there are any."""
    taken = set(lane_cores)
    left = set(cores) - taken
    apart = {core for core in left if not siblings(core) & taken}
    return apart or left


def quota_cores() -> float | None:
    """Return how many cores' time the control group grants this process; None if it sets no limit."""
    limits = [_parse_quota(path) for path in _quota_files()]
    found = [limit for limit in limits if limit is not None]
    return min(found) if found else None


def _quota_files() -> list[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line.split("::", 1)[1] for line in lines if line.startswith("0::")), "/")
    folder = CGROUP_FOLDER / own.lstrip("/")
    folders = [folder, *folder.parents]
    return [path / "cpu.max" for path in folders if path.is_relative_to(CGROUP_FOLDER)]


def _parse_quota(path: Path) -> float | None:
    try:
        quota, period = path.read_text().split()[:2]
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


@contextmanager
def host_kept_off(cores: Sequence[int], lane_cores: Iterable[int]) -> Iterator[bool]:
    """Keep every thread of this process off the lanes' cores while the block runs, if another core is left for it.

    Yields whether one is left: a core, and under a quota its time too.
    """
    taken = set(lane_cores)
    left = host_cores(cores, taken)
    quota = quota_cores()
    has_time = quota is None or quota >= len(physical_cores(taken)) + 1
    before: dict[int, set[int]] = {}
    if left:
        for thread in _threads():
            with _gone_threads_ignored():
                before[thread] = os.sched_getaffinity(thread)
                os.sched_setaffinity(thread, left)
    try:
        yield bool(left) and has_time
    finally:
        for thread, affinity in before.items():
            with _gone_threads_ignored():
                os.sched_setaffinity(thread, affinity)


def _threads() -> list[int]:
    return [int(path.name) for path in Path("/proc/self/task").iterdir()]


@contextmanager
def _gone_threads_ignored() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return
