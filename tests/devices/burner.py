"""A program of somebody else that keeps cores busy: no descendant of ours, ended by its pid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LIFE_S = 120  # ends by itself if nobody ends it
BURN = f"import time\nend = time.monotonic() + {LIFE_S}\nwhile time.monotonic() < end: pass"


@contextmanager
def burning(count: int = 1) -> Iterator[list[int]]:
    """Keep `count` cores busy, bound to none; yields the pids."""
    pids = [_started() for _ in range(count)]
    try:
        time.sleep(0.1)
        yield pids
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _started() -> int:
    """Start one through a shell that ends at once, so that its parent is no process of ours."""
    script = '"$0" -S -c "$1" >/dev/null 2>&1 </dev/null & echo $!'
    done = subprocess.run(["sh", "-c", script, sys.executable, BURN], capture_output=True, text=True, check=True)
    return int(done.stdout)
