"""One lane: what is submitted is queued on the host, and the next few executions of it on the device.

stream  [starter] [gate] [delay] (m0 copies in) m1 [ graph ] m2 (copies out m3)    m = a stamp; copies where asked for
                                                start      end

The device's own queue is bounded: a launch blocks when it is full, and behind a closed gate that would be for ever.
On an idle stream m1 would be taken at once and the host's next call be counted as execution, and a lane that is busy
as the host looks may be idle a call later: captured executions are therefore queued behind a gate of the lane's own,
the starter, which opens as soon as all of it is queued. What waits for a gate that is closed for sure needs none; a
launch that blocks there is let go as the watched gate opens early, and a starter before it would still be closed.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import partial

from cotenant.runners.cuda.gate import Gate, Hold
from cotenant.runners.cuda.gpu import Gpu
from cotenant.runners.cuda.loading import LoadedEngine
from cotenant.runners.cuda.stamps import Stamps

DEPTH = 8  # executions on the device: the host may be away for as long as these take
DEPTH_GATED = 2  # how many launches a queue takes behind a closed gate is nowhere promised
# A network that could not be captured is hundreds of launches, and a device's queue holds about a thousand.
PLAIN_DEPTH = 2
PLAIN_DEPTH_GATED = 1


@dataclass
class Execution:
    """One execution that was submitted.

    Attributes:
        hold: Queues the gate that it waits for, if any.
        marks: Its stamps, once it is on the device.
    """

    ticket: int
    engine: LoadedEngine
    delay_ns: int
    hold: Hold | None
    marks: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Timed:
    """One execution that has ended, in ns of the device's clock; copies are None where none were asked for."""

    ticket: int
    start_ns: int
    end_ns: int
    h2d_ns: int | None
    d2h_ns: int | None


class CudaLane:
    """A stream and what is queued on it. Errors of the driver (GpuError) pass through: the lane is lost then."""

    def __init__(self, gpu: Gpu, stamps: Stamps, stream: int) -> None:
        self.stream = stream
        self._gpu, self._stamps = gpu, stamps
        self._starter = Gate(gpu)
        self._queued: deque[Execution] = deque()
        self._flying: deque[Execution] = deque()

    @property
    def outstanding(self) -> int:
        """Executions that have been submitted and not collected."""
        return len(self._queued) + len(self._flying)

    @property
    def flying(self) -> int:
        """Executions on the device."""
        return len(self._flying)

    def submit(self, execution: Execution) -> None:
        """Queue an execution on the host; `feed` brings it to the device."""
        self._queued.append(execution)

    def feed(self, behind_gate: bool = False) -> None:
        """Bring executions to the device as far as its queue may be filled; `behind_gate` = a gate is closed now."""
        while self._queued and len(self._flying) < _depth(self._queued[0].engine, behind_gate):
            execution = self._queued.popleft()
            self._flying.append(execution)
            if execution.engine.captured and not (behind_gate and execution.hold is not None):
                execution.hold = _both(self._starter.next_hold(), execution.hold)
                self._starter.pass_through(partial(self._enqueue, execution))
            else:
                self._enqueue(execution)

    def collect(self) -> list[Timed]:
        """Return what has ended since the last call, in order."""
        ended = []
        while self._flying and self._flying[0].marks and self._stamps.is_done(self._flying[0].marks[-1]):
            execution = self._flying.popleft()
            ended.append(_timed(execution, self._stamps.times(execution.marks)))
            self._stamps.release(execution.marks)
        return ended

    def drop_queued(self) -> None:
        """Forget what has not reached the device."""
        self._queued.clear()

    def _enqueue(self, execution: Execution) -> None:
        stream, engine, marks = self.stream, execution.engine, execution.marks
        if execution.hold is not None:
            execution.hold(stream)
        if execution.delay_ns:
            self._gpu.launch_delay(stream, execution.delay_ns)
        if engine.copies:
            marks.append(self._stamps.mark(stream))
            engine.copy_in(stream)
        marks.append(self._stamps.mark(stream))
        engine.run(stream)
        marks.append(self._stamps.mark(stream))
        if engine.copies:
            engine.copy_out(stream)
            marks.append(self._stamps.mark(stream))


def _both(starter: Hold, gate: Hold | None) -> Hold:
    def hold(stream: int) -> None:
        starter(stream)
        if gate is not None:
            gate(stream)

    return hold


def _depth(engine: LoadedEngine, behind_gate: bool) -> int:
    if engine.captured:
        return DEPTH_GATED if behind_gate else DEPTH
    return PLAIN_DEPTH_GATED if behind_gate else PLAIN_DEPTH


def _timed(execution: Execution, times: list[int]) -> Timed:
    if not execution.engine.copies:
        start_ns, end_ns = times
        return Timed(execution.ticket, start_ns, end_ns, None, None)
    before_ns, start_ns, end_ns, after_ns = times
    return Timed(execution.ticket, start_ns, end_ns, start_ns - before_ns, after_ns - end_ns)
