"""One counter session per host at a time: the counters are programmed for one client, and a second disturbs both."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cotenant.profiler.counters.ncu.errors import ProfilerBusy

PLACE = Path("/tmp/cotenant-counters.lock")  # not $TMPDIR: that is each user's own
LIMIT_S = 600.0
POLL_S = 0.1
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe of that name must not hold us up


@contextmanager
def counter_session(
    place: Path = PLACE, limit_s: float = LIMIT_S, waiting: Callable[[str], None] = lambda _line: None
) -> Iterator[None]:
    """Hold the host's one counter session; the kernel frees it with this process, however that ends.

    Args:
        limit_s: How long to wait for another session to end.
        waiting: Told once, in one line, if there is one to wait for.

    Raises:
        ProfilerBusy: Another session held it all that time, or the lock cannot be used.
    """
    handle = _held(place, limit_s, waiting)
    try:
        yield
    finally:
        os.close(handle)


def _held(place: Path, limit_s: float, waiting: Callable[[str], None]) -> int:
    while True:
        try:
            handle = _opened(place)
        except OSError as error:
            raise _unusable(place, error) from error
        try:
            _acquire(handle, place, limit_s, waiting)
            if _is_at(handle, place):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # somebody removed the file meanwhile: whoever comes next would lock another one


def _is_at(handle: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(place, follow_symlinks=False))  # noqa: PTH116 - beside fstat
    except FileNotFoundError:
        return False


def _unusable(place: Path, error: OSError) -> ProfilerBusy:
    return ProfilerBusy(
        f"the lock of this host's one counter session, {place}, cannot be used ({error.strerror}); let its owner or"
        " root remove it while nobody profiles, then run the same command again"
    )


def _opened(place: Path) -> int:
    """Open the lock, which may be another user's: reading is enough, and Linux refuses to create over such a file."""
    while True:
        try:
            return os.open(place, FLAGS)
        except FileNotFoundError:
            pass
        try:
            handle = os.open(place, FLAGS | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            continue
        os.fchmod(handle, 0o644)  # whatever the umask says: others must be able to open it
        return handle


def _acquire(handle: int, place: Path, limit_s: float, waiting: Callable[[str], None]) -> None:
    began_s, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        except OSError as error:
            raise _unusable(place, error) from error
        else:
            return
        if not told:
            waiting(f"another counter session runs on this host; waiting up to {limit_s:g} s for it to end")
            told = True
        if time.monotonic() - began_s >= limit_s:
            raise ProfilerBusy(
                f"another counter session has run on this host for {limit_s:g} s (it holds {place});"
                " run one at a time, then the same command again"
            )
        time.sleep(POLL_S)
