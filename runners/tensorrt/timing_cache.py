"""Timings that builds for one device and version of TensorRT share: a file under a lock, replaced as a whole.

Builds with a build_index above 0 measure how builds differ, so they share none; TensorRT-RTX times nothing when it
builds, and its calls would only warn.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cotenant.models.atomic import write_atomic
from cotenant.models.digest import digest_id
from cotenant.runners.tensorrt.api_build import IBuilderConfig, ITimingCache
from cotenant.runners.tensorrt.build_log import BuildLog
from cotenant.runners.tensorrt.flavour import Installed

SHARED = "shared"


def timing_cache_path(cache: Path, here: Installed, target: str) -> Path:
    """Return the file for builds of this version for this target."""
    return cache / "timing" / f"{here.flavour.engine_kind}-{here.version}-{digest_id([target])}.cache"


def use_timing_cache(config: IBuilderConfig, path: Path, log: BuildLog) -> ITimingCache | None:
    """Let a build use what earlier ones timed, and return it to be held until the build ends.

    A file that the library refuses counts as empty.
    """
    with _locked(path):
        data = path.read_bytes() if path.exists() else b""
    for candidate in dict.fromkeys((data, b"")):
        timed = config.create_timing_cache(candidate)
        if timed is not None and config.set_timing_cache(timed, False):
            return timed
        log.write("WARNING", f"timing cache {path} does not fit here and is made anew")
    return None


def keep_timing_cache(config: IBuilderConfig, path: Path) -> None:
    """Add what a build has timed to the file; what other builds added meanwhile stays."""
    timed = config.get_timing_cache()
    if timed is None:
        return
    with _locked(path):
        others: ITimingCache | None = config.create_timing_cache(path.read_bytes()) if path.exists() else None
        if others is not None:
            timed.combine(others, False)
        write_atomic(path, bytes(timed.serialize()))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock; it vanishes with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
