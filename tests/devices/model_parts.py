"""Parts of the model GPU: its host clock, its words, its graphs and what kind of device it is."""

from collections.abc import Callable
from dataclasses import dataclass, field

from model_streams import Operation


class VirtualClock:
    """A host clock that stands still but for what is spent and waited."""

    def __init__(self, shortest_pause_ns: int = 1) -> None:
        self._now_ns = 5_000_000_000_000_123
        self._shortest_pause_ns = shortest_pause_ns

    def now_ns(self) -> int:
        return self._now_ns

    def pause(self, length_ns: int) -> None:
        self._now_ns += max(self._shortest_pause_ns, length_ns)

    def spend(self, length_ns: int) -> None:
        self._now_ns += length_ns


@dataclass
class ModelWords:
    """Words whose reads and writes the model sees at the time they happen."""

    catch_up: Callable[[], None]
    values: list[int]

    def address(self, index: int) -> int:
        return id(self) + index

    def read(self, index: int) -> int:
        self.catch_up()
        return self.values[index]

    def write(self, index: int, value: int) -> None:
        self.catch_up()
        self.values[index] = value
        self.catch_up()


@dataclass
class Graph:
    launches: list[Operation] = field(default_factory=list)
    runs: bool = False


@dataclass(frozen=True)
class Traits:
    """How a model behaves.

    Attributes:
        contention: How much each further kernel slows a kernel that contends: 0 = side by side for nothing.
        drift: Device ns per host ns, less 1.
        call_ns: Host time that a call takes, in virtual time.
        queue_limit: Operations that a stream takes before a launch blocks.
    """

    contention: float = 0.0
    drift: float = 20e-6
    call_ns: int = 2_000
    queue_limit: int = 64
    timer_tick_ns: int = 32
    sm_count: int = 16
    total_bytes: int = 1 << 34
