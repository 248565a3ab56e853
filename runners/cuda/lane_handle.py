"""The host's end of one lane process: its two pipes and what it says about its own death."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.wire import REPLY, Command, Frames, Reply
from cotenant.runners.protocol import LaneLost

PROCESS_MODULE = "cotenant.runners.cuda.lane_process"
SELECT_LIMIT = 1024  # FD_SETSIZE
DEATH_GRACE_S = 5.0
CLOSE_GRACE_S = 2.0
OFTEN_MEMORY = " (the kernel does that when memory runs out)"


class LaneHandle:
    """One lane process as the host sees it."""

    def __init__(self, index: int, settings: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Start the process; `settings` is what `lane_process.Settings` takes.

        Raises:
            WorkError: It cannot be started.
        """
        self.index = index
        self.lost_cause: str | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        command_read, self._commands = os.pipe()
        self._replies, reply_write = os.pipe()
        arguments = [str(command_read), str(reply_write), json.dumps(settings)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROCESS_MODULE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(command_read, reply_write),
                env={**os.environ, "PYTHONPATH": _import_path(), **environment},
                process_group=0,  # a Ctrl-C in the terminal goes to the host alone
            )
        except OSError as error:
            self._close_files()
            raise WorkError(
                f"cannot start the process of lane {index} ({error}); see the limits on processes"
            ) from error
        finally:
            os.close(command_read)
            os.close(reply_write)
        self._frames = Frames(self._replies, REPLY)

    def fileno(self) -> int:
        """Return what becomes readable when the lane has replied or died."""
        return self._replies

    def send(self, command: Command) -> None:
        """Send one command; LaneLost if the lane is dead."""
        self.raise_if_lost()
        try:
            os.write(self._commands, command.packed())
        except BrokenPipeError:
            self._note_death()
            self.raise_if_lost()

    def raise_if_lost(self) -> None:
        """Raise LaneLost if the lane is known to be dead."""
        if self.lost_cause is not None:
            raise LaneLost(self.index, self.lost_cause)

    def receive(self) -> list[Reply]:
        """Return the replies that have arrived; [] if none. A death is noted once its last reply has been read."""
        if self.lost_cause is not None:
            return []
        replies = [Reply.of(numbers, body) for numbers, body in self._frames.read()]
        if self._frames.ended:
            self._note_death()
        return replies

    def receive_until(self, kinds: Sequence[int], timeout_s: float) -> list[Reply]:
        """Return the replies of an idle lane up to the first of these kinds; LaneLost if it dies or is silent."""
        limit_s = time.monotonic() + timeout_s
        replies: list[Reply] = []
        while True:
            replies += self.receive()
            if replies and replies[-1].kind in kinds:
                return replies
            self.raise_if_lost()
            left_s = limit_s - time.monotonic()
            if left_s <= 0:
                self._process.kill()
                self.lost_cause = f"it gave no answer for {timeout_s:g} s"
            await_readable([self], left_s)

    def close(self, at_once: bool) -> None:
        """End the process: at its own pace if it is idle, else (or if it does not) by SIGKILL."""
        os.close(self._commands)
        if at_once:
            self._process.kill()
        try:
            self._process.wait(CLOSE_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._replies)
        self._errors.close()

    def _note_death(self) -> None:
        if self.lost_cause is None:
            self.lost_cause = self._cause_of_death()

    def _cause_of_death(self) -> str:
        try:
            code = self._process.wait(DEATH_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "it closed its pipe but did not end"
        if code < 0:
            name = signal.Signals(-code).name
            return f"its process was killed by {name}{OFTEN_MEMORY if name == 'SIGKILL' else ''}"
        return f"its process ended with exit code {code}{self._last_words()}"

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""

    def _close_files(self) -> None:
        os.close(self._commands)
        os.close(self._replies)
        self._errors.close()


def await_readable(lanes: Sequence[LaneHandle], timeout_s: float) -> None:
    """Return when a lane has said something or died, or after the timeout."""
    timeout_s = max(0.0, timeout_s)
    if all(lane.fileno() < SELECT_LIMIT for lane in lanes):
        select.select(lanes, [], [], timeout_s)
        return
    poll = select.poll()  # takes any descriptor, but only whole milliseconds
    for lane in lanes:
        poll.register(lane.fileno(), select.POLLIN)
    poll.poll(timeout_s * 1000)


def _import_path() -> str:
    """Return the import path by which the host found this package."""
    return os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry and Path(entry).exists())
