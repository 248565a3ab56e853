"""What the exact GPU is told: the device and its lanes, its faults, what the host submitted."""

from collections.abc import Sequence
from dataclasses import dataclass

from exact_rates import ONE, Kernel


@dataclass(frozen=True)
class Fault:
    """A fault of a device file, in force from `at_ns` on, for `for_ns` (None = for good).

    Attributes:
        kind: `clock_drop` (part), `foreign_load` (kernel), `lane_death` (lane), `hang` (lane), `lazy_load` (gap_ns).
        part: Of `ONE`.
    """

    kind: str
    at_ns: int = 0
    for_ns: int | None = None
    lane: int = -1
    part: int = ONE
    kernel: Kernel | None = None
    gap_ns: int = 0

    def in_force(self, t: int) -> bool:
        return self.at_ns <= t and (self.for_ns is None or t < self.at_ns + self.for_ns)


@dataclass(frozen=True)
class Machine:
    """What is known of the device and its lanes; `share_pct` has an entry for each lane."""

    share_pct: Sequence[float | None]
    isolation: str = "streams"
    l2_bytes: int = 2**20
    slice_ns: int = 1000
    slice_phase_ns: int = 0
    faults: Sequence[Fault] = ()


@dataclass(frozen=True)
class Submission:
    """One execution as the host asked for it.

    Attributes:
        engine: Index of the *loaded* engine: one that is loaded a second time on a lane has a second index.
        gate_ns: When its gate opened; None = it had none.
        factor: Noise; `ONE` = as listed.
    """

    lane: int
    engine: int
    dispatched_ns: int
    gate_ns: int | None = None
    delay_ns: int = 0
    factor: int = ONE

    @property
    def host_ns(self) -> int:
        """When the host has done its last part for it."""
        return max(self.dispatched_ns, self.gate_ns or 0)
