"""What this process's control group grants of the cores' time, and how long it held it back (versions 1 and 2)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from cotenant.profiler.quality.container import ROOT, read_text

FOLDER = "sys/fs/cgroup"
V2_MOUNTS = ("", "unified")  # version 2 alone, and beside version 1
V1_MOUNTS = ("cpu,cpuacct", "cpuacct,cpu", "cpu")


def quota_cores(groups: Iterable[Path]) -> float | None:
    """Return how many cores' time the tightest of these groups grants; None if there is no limit."""
    limits = [limit for folder in groups if (limit := _limit(folder)) is not None]
    return min(limits) if limits else None


def throttled_ns(groups: Iterable[Path]) -> dict[Path, int]:
    """Return for each of these groups how long it has been held back since it was made; {} if not told."""
    found = {folder: _throttled_ns(folder) for folder in groups}
    return {folder: value for folder, value in found.items() if value is not None}


def groups_of_this_process(root: Path = ROOT) -> list[Path]:
    """Return the folders of this process's group and of those around it, as far as they can be seen."""
    return list(dict.fromkeys(_folders(root)))


def _folders(root: Path) -> Iterator[Path]:
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        mounts = V2_MOUNTS if hierarchy == "0" else V1_MOUNTS if "cpu" in controllers.split(",") else ()
        for mount in mounts:
            top = root / FOLDER / mount
            folder = top / group.lstrip("/")
            # a container may see its own group as the top, under a path that only the host knows
            yield from (each for each in (folder, *folder.parents) if each.is_relative_to(top) and _tells(each))


def _tells(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("cpu.max", "cpu.cfs_quota_us", "cpu.stat"))


def _limit(folder: Path) -> float | None:
    words = (read_text(folder / "cpu.max") or "").split()
    if not words:
        parts = (read_text(folder / name) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
        words = [word.strip() for word in parts if word is not None]
    try:
        quota, period = int(words[0]), int(words[1])
    except (IndexError, ValueError):  # `max`, or not told
        return None
    return quota / period if quota > 0 and period > 0 else None


def _throttled_ns(folder: Path) -> int | None:
    told = dict(line.split() for line in (read_text(folder / "cpu.stat") or "").splitlines() if len(line.split()) == 2)
    try:
        if "throttled_usec" in told:
            return 1000 * int(told["throttled_usec"])
        return int(told["throttled_time"]) if "throttled_time" in told else None
    except ValueError:
        return None
