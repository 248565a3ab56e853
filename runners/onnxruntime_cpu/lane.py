"""The host's end of one lane: its process, its two pipes and what it says about its own death."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cotenant.models.errors import WorkError
from cotenant.runners.onnxruntime_cpu.wire import COMMAND, REPLY
from cotenant.runners.protocol import LaneLost

PROCESS_MODULE = "cotenant.runners.onnxruntime_cpu.lane_process"
# Libraries below ONNX Runtime and numpy may bring thread pools of their own; a lane has the threads it was given.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
SELECT_LIMIT = 1024  # FD_SETSIZE
READ_BYTES = 1 << 16
DEATH_GRACE_S = 5.0
CLOSE_GRACE_S = 0.5
OFTEN_MEMORY = " (the kernel does that when memory runs out)"


class Reply(NamedTuple):
    """One frame from the lane."""

    kind: int
    ticket: int
    start_ns: int
    end_ns: int
    cpu_ns: int
    body: bytes


class LaneHandle:
    """One lane process as the host sees it."""

    def __init__(self, index: int, cores: Iterable[int], threads: int) -> None:
        self.index = index
        self.cores = frozenset(cores)
        self.lost_cause: str | None = None
        self._buffer = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        command_read, self._commands = os.pipe()
        self._replies, reply_write = os.pipe()
        arguments = [command_read, reply_write, threads, ",".join(map(str, sorted(self.cores)))]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROCESS_MODULE, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(command_read, reply_write),
                env=_environment(threads),
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
        os.set_blocking(self._replies, False)

    @property
    def pid(self) -> int:
        """Process id of the lane."""
        return self._process.pid

    def fileno(self) -> int:
        """Return what becomes readable when the lane has replied or died."""
        return self._replies

    def affinity(self) -> frozenset[int]:
        """Return the cores that the kernel lets the lane run on; those asked for once it is dead."""
        try:
            return frozenset(os.sched_getaffinity(self.pid))
        except ProcessLookupError:
            return self.cores

    def send(self, kind: int, ticket: int = 0, handle: int = 0, gate_ns: int = 0, delay_ns: int = 0) -> None:
        """Send one command; LaneLost if the lane is dead."""
        self.send_frame(COMMAND.pack(kind, ticket, handle, gate_ns, delay_ns, 0))

    def send_frame(self, frame: bytes) -> None:
        """Send a packed command with its body; LaneLost if the lane is dead."""
        self.raise_if_lost()
        try:
            os.write(self._commands, frame)
        except BrokenPipeError:
            self._note_death()
            self.raise_if_lost()

    def raise_if_lost(self) -> None:
        """Raise LaneLost if the lane is known to be dead."""
        if self.lost_cause is not None:
            raise LaneLost(self.index, self.lost_cause)

    def receive(self) -> list[Reply]:
        """Return the replies that have arrived; [] if none. A death is noted once its last reply has been read."""
        while self.lost_cause is None:
            try:
                data = os.read(self._replies, READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                self._note_death()
            self._buffer += data
        return self._frames()

    def receive_one(self, timeout_s: float) -> Reply:
        """Wait for one reply of an idle lane; LaneLost if it dies or says nothing in time."""
        limit_s = time.monotonic() + timeout_s
        while True:
            replies = self.receive()
            if replies:
                return replies[0]
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

    def _frames(self) -> list[Reply]:
        replies, position, buffer = [], 0, self._buffer
        while len(buffer) - position >= REPLY.size:
            kind, ticket, start_ns, end_ns, cpu_ns, body_bytes = REPLY.unpack_from(buffer, position)
            position += REPLY.size
            body = buffer[position : position + body_bytes]
            replies.append(Reply(kind, ticket, start_ns, end_ns, cpu_ns, body))
            position += body_bytes
        self._buffer = buffer[position:]
        return replies

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
    if timeout_s <= 0:
        return
    if all(lane.fileno() < SELECT_LIMIT for lane in lanes):
        select.select(lanes, [], [], timeout_s)
        return
    poll = select.poll()  # takes any descriptor, but only whole milliseconds
    for lane in lanes:
        poll.register(lane.fileno(), select.POLLIN)
    poll.poll(timeout_s * 1000)


def _environment(threads: int) -> dict[str, str]:
    """Return the lane's environment: its thread counts, and the import path by which the host found this package."""
    folders = [str(Path(entry).absolute()) for entry in sys.path if entry and Path(entry).exists()]
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "PYTHONPATH": os.pathsep.join(folders)}
