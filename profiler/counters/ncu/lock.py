"""One counter session per host at a time: the counters are programmed for one client, and a second disturbs both."""

import errno
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
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def counter_session(
    place: Path = PLACE, limit_s: float = LIMIT_S, waiting: Callable[[str], None] = lambda _line: None
) -> Iterator[None]:
    """Hold the host's one counter session; the kernel frees it with this process, however that ends.

    Args:
        limit_s: How long to wait for another session to end.
        waiting: Told once, in one line, if there is one to wait for.

    Raises:
        ProfilerBusy: Another session held it all that time.
        OSError: The lock cannot be opened.
    """
    handle = _opened(place)
    try:
        _acquire(handle, place, limit_s, waiting)
        yield
    finally:
        os.close(handle)


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
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
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
