"""Ends what a part left running: its process group, and whatever left that group, known by a mark in its environment.

Lanes and MPS daemons have process groups of their own, so that Ctrl-C is the host's to decide; the mark finds them all.
"""

import os
import signal
import time
from pathlib import Path

MARK = "COTENANT_GPU_CHECK_PART"
GRACE_S = 2.0
KILLED_S = 3.0
POLL_S = 0.02
PROCESSES = Path("/proc")


def end_marked(mark: str) -> list[int]:
    """End every process that carries the mark, by SIGTERM, then SIGKILL; return the ids of those that did not end."""
    left: list[int] = []
    for number, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, KILLED_S)):
        left = _send(mark, number)
        until_s = time.monotonic() + wait_s
        while left and time.monotonic() < until_s:
            time.sleep(POLL_S)
            left = marked(mark)
        if not left:
            break
    return left


def marked(mark: str) -> list[int]:
    """Return the ids of living processes whose environment holds the mark; a zombie has no environment."""
    wanted = f"{MARK}={mark}".encode()
    ids = [int(entry.name) for entry in PROCESSES.iterdir() if entry.name.isdecimal()]
    return [pid for pid in ids if pid != os.getpid() and wanted in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROCESSES / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return []


def _send(mark: str, number: signal.Signals) -> list[int]:
    found = marked(mark)
    for pid in found:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    return found
