"""One run of ncu: in a process group of its own, limited in time, and ended as a whole."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cotenant.profiler.counters.ncu.errors import NcuMissing

TAIL_BYTES = 16 << 10
POLL_S = 0.02
GRACE_S = 3.0  # between asking the group to end and killing it
STUCK_S = 5.0  # a process inside a driver call may be unkillable; it is left behind then


@dataclass(frozen=True)
class Finished:
    """How a run ended.

    Attributes:
        exit_code: Negative = the signal that ended it; None = it was ended for running too long.
        tail: The end of what ncu and the profiled program printed.
    """

    exit_code: int | None
    tail: str
    seconds: float


def run(
    command: Sequence[str], folder: Path, timeout_s: float, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run a command for `timeout_s` at most; whatever happens, nothing of its group is left running.

    Args:
        folder: Where its output is kept.
        environment: Variables added to this process's own.

    Raises:
        NcuMissing: It cannot be started.
    """
    output = folder / "output.txt"
    began_s = time.monotonic()
    with output.open("wb") as said:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # a group of its own, which Ctrl-C reaches through us alone
            )
        except OSError as error:
            raise NcuMissing(f"{command[0]} cannot be run ({error.strerror}); install Nsight Compute again") from error
        in_time = False
        try:
            in_time = _ended(process.pid, timeout_s)
        finally:
            _end_group(process, asked_first=not in_time)
    return Finished(process.returncode if in_time else None, _tail(output), time.monotonic() - began_s)


def _ended(pid: int, timeout_s: float) -> bool:
    """Wait for the leader's end but leave it unreaped: while it is, nothing else can get its group's number."""
    limit_s = time.monotonic() + timeout_s
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left_s = limit_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(POLL_S, left_s))
    return True


def _end_group(process: "subprocess.Popen[bytes]", asked_first: bool) -> None:
    try:
        if asked_first:  # so that ncu can undo what it set on the device
            _signal(process.pid, signal.SIGTERM)
            _ended(process.pid, GRACE_S)
    finally:  # whoever presses Ctrl-C a second time means it
        _signal(process.pid, signal.SIGKILL)
    limit_s = time.monotonic() + STUCK_S
    with suppress(subprocess.TimeoutExpired):
        process.wait(STUCK_S)
    while _living(process.pid) and time.monotonic() < limit_s:  # what holds the device must have let go of it
        time.sleep(POLL_S)


def _living(group: int) -> bool:
    """Tell whether a process of a group still lives, as /proc shows it; False where there is none."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group = entry.read_text(errors="replace").rsplit(")", 1)[1].split()[:3]
        except (OSError, ValueError, IndexError):  # it ended meanwhile
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # gone already, or a zombie alone (macOS says EPERM)
        os.killpg(group, number)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
