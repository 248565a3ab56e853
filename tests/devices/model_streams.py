"""The inside of the model GPU: in-order streams whose operations take device time; kernels may contend."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

INSTANT_LIMIT = 1_000_000
CLOCK_STEP_NS = 1.0  # what a float of so many ns can tell


class ModelFault(AssertionError):
    """Something was done that a real GPU punishes: by a hang, by wrong times, or by undefined behaviour."""


@dataclass
class Operation:
    """One operation of a stream.

    Attributes:
        work_ns: Device time that it takes alone; 0 = an instant.
        contends: Whether other kernels that contend slow it down.
        is_open: Asked before it starts; None = at once.
        ends: Called as it ends, with the device's time.
        begins: Called as it starts.
    """

    work_ns: float = 0.0
    contends: bool = False
    is_open: Callable[[], bool] | None = None
    open_at_ns: Callable[[], float] | None = None
    begins: Callable[[float], None] | None = None
    ends: Callable[[float], None] | None = None
    left_ns: float = field(init=False)
    started: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.left_ns = self.work_ns


class Streams:
    """All streams of a device; `now_ns` is the device's clock, which `advance` moves on."""

    def __init__(self, contention: float) -> None:
        self.now_ns = 0.0
        self._contention = contention
        self._queues: dict[int, deque[Operation]] = {}

    def add(self, stream: int) -> None:
        self._queues[stream] = deque()

    def remove(self, stream: int) -> None:
        if self._queues.pop(stream):
            raise ModelFault(f"stream {stream} was destroyed with work queued")

    def push(self, stream: int, operation: Operation) -> None:
        self._queues[stream].append(operation)

    @property
    def count(self) -> int:
        return len(self._queues)

    def length(self, stream: int) -> int:
        return len(self._queues[stream])

    def advance(self, to_ns: float) -> None:
        """Let everything happen that happens until `to_ns`."""
        while True:
            self._start_heads()
            next_ns = min((self._end_ns(operation) for operation in self._heads()), default=float("inf"))
            if next_ns > to_ns:
                self._progress(max(0.0, to_ns - self.now_ns))
                self.now_ns = max(self.now_ns, to_ns)
                return
            self._progress(max(0.0, next_ns - self.now_ns))
            self.now_ns = max(self.now_ns, next_ns)
            self._end_heads()

    def next_ns(self) -> float:
        """Return when something happens next without the host; inf = never."""
        self._start_heads()
        return min((self._end_ns(operation) for operation in self._heads()), default=float("inf"))

    def _heads(self) -> Iterable[Operation]:
        return [queue[0] for queue in self._queues.values() if queue]

    def _start_heads(self) -> None:
        for _ in range(INSTANT_LIMIT):
            if not any(self._step(queue) for queue in self._queues.values()):
                return
        raise ModelFault("instants without end")

    def _step(self, queue: deque[Operation]) -> bool:
        """Start the head of a stream if it may start; an instant ends too. Tell whether anything happened."""
        if not queue or queue[0].started:
            return False
        head = queue[0]
        if head.is_open is not None and not head.is_open():
            return False
        if head.open_at_ns is not None and head.open_at_ns() > self.now_ns:
            return False
        head.started = True
        if head.begins is not None:
            head.begins(self.now_ns)
        if head.left_ns == 0:
            self._finish(queue)
        return True

    def _finish(self, queue: deque[Operation]) -> None:
        head = queue.popleft()
        if head.ends is not None:
            head.ends(self.now_ns)

    def _rate(self, operation: Operation) -> float:
        if not operation.contends:
            return 1.0
        running = sum(other.started and other.contends for other in self._heads())
        return 1.0 / (1.0 + self._contention * (running - 1))

    def _end_ns(self, operation: Operation) -> float:
        if operation.started:
            return self.now_ns + operation.left_ns / self._rate(operation)
        return float("inf") if operation.open_at_ns is None else max(self.now_ns, operation.open_at_ns())

    def _progress(self, passed_ns: float) -> None:
        done = [(operation, passed_ns * self._rate(operation)) for operation in self._heads() if operation.started]
        for operation, done_ns in done:
            operation.left_ns = max(0.0, operation.left_ns - done_ns)

    def _end_heads(self) -> None:
        for queue in self._queues.values():
            if queue and queue[0].started and queue[0].left_ns <= CLOCK_STEP_NS:
                self._finish(queue)
