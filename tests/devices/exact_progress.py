"""How far an execution of the exact GPU is, and what came out in the end."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from exact_rates import Kernel


@dataclass(frozen=True)
class Phase:
    kernel: Kernel | None  # None = a gap
    units: int
    is_loading: bool = False


@dataclass
class Progress:
    """A started execution."""

    execution: int
    phases: list[Phase]
    done_units: int = 0

    def __post_init__(self) -> None:
        self.ends = list(accumulate(phase.units for phase in self.phases))

    @property
    def index(self) -> int:
        """Of the phase in progress: "a next phase with no units left ends at once and passes the rest on"."""
        return bisect_right(self.ends, self.done_units)

    @property
    def phase(self) -> Phase:
        return self.phases[self.index]

    @property
    def units_left(self) -> int:
        return self.ends[self.index] - self.done_units

    @property
    def is_over(self) -> bool:
        return self.done_units >= self.ends[-1]


@dataclass(frozen=True)
class Stretch:
    """From `t0_ns` to `t1_ns` an execution had one rate."""

    t0_ns: int
    t1_ns: int
    lane: int
    execution: int
    rate: int


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches of one execution at one rate, end to end, made one."""
    found: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: (s.execution, s.t0_ns)):
        last = found[-1] if found else None
        if last and (last.t1_ns, last.execution, last.rate) == (stretch.t0_ns, stretch.execution, stretch.rate):
            found[-1] = Stretch(last.t0_ns, stretch.t1_ns, last.lane, last.execution, last.rate)
        else:
            found.append(stretch)
    return found


@dataclass
class Stamps:
    """What came out, by position in the list of submissions; None = it never did."""

    start_ns: list[int | None]
    end_ns: list[int | None]
    stretches: list[Stretch] = field(default_factory=list)

    def live_sets(self) -> list[tuple[int, int, frozenset[int]]]:
        """(t0, t1, executions in progress), neighbours with the same set joined, stretches without any left out."""
        by_time: dict[tuple[int, int], set[int]] = {}
        for stretch in self.stretches:
            by_time.setdefault((stretch.t0_ns, stretch.t1_ns), set()).add(stretch.execution)
        joined: list[tuple[int, int, frozenset[int]]] = []
        for (t0, t1), live in sorted(by_time.items()):
            if joined and joined[-1][1:] == (t0, live):
                t0 = joined.pop()[0]
            joined.append((t0, t1, frozenset(live)))
        return joined
