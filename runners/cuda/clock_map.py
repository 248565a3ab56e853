"""From the device's clock to the host's: pure functions of anchors.

    host   |        . a3         Each anchor brackets one device stamp between two readings of the host's clock. The
           |     . a2            map is a line through each stretch between anchors, continued from where it was, so
           |  . a1               that it is monotone and what has been mapped stays where it is. Where the line misses
           +------------ device  an anchor's bracket, the next stretch bends back to it.

Times are integers; a line's rate is kept as its small difference from 1, so that no nanosecond is lost in a float.
"""

import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

MEMORY_NS = 60_000_000_000  # anchors older than this say nothing about today's rate and error
WORST_RATE = 200e-6  # crystals differ by less; an estimate of the rate counts once its own error is below this
MAX_BEND = 500e-6  # how far a line may leave the estimated rate to come back to an anchor
MAX_REACH_NS = 500_000_000  # after an idle while: half of the distance at which the next anchor comes
MIN_BEND_NS = 200_000_000


@dataclass(frozen=True)
class Anchor:
    """One stamp of the device's clock and when it was taken: host_ns is the middle of a bracket `rtt_ns` wide."""

    device_ns: int
    host_ns: int
    rtt_ns: int


@dataclass(frozen=True)
class _Line:
    device_ns: int
    host_ns: int
    rate: float  # host ns per device ns, less 1

    def at(self, device_ns: int) -> int:
        passed_ns = device_ns - self.device_ns
        return self.host_ns + passed_ns + round(passed_ns * self.rate)


class ClockMap:
    """Maps stamps of one device clock to the host's clock."""

    def __init__(self, first: Anchor) -> None:
        """Begin at an anchor, at equal rates until there are more."""
        self._anchors: deque[tuple[Anchor, int]] = deque([(first, 0)])  # with how far the map missed each
        self._lines = [_Line(first.device_ns, first.host_ns, 0.0)]
        self._rate, self._rate_error = 0.0, WORST_RATE
        self._reach_ns = 0  # distance of the last two anchors
        self._mapped_ns = first.device_ns  # the latest stamp mapped so far; up to there the map stays as it is

    @property
    def error_ns(self) -> int:
        """Error bar of a mapped stamp: half a bracket, how far the map missed its middle, and what the rate may be off.

        The rate's error counts until the next anchor, which is at most about twice as far away as the last two are from
        each other.
        """
        # the truth lies anywhere in a bracket, also on its far side
        at_anchors_ns = max((anchor.rtt_ns + 1) // 2 + miss_ns for anchor, miss_ns in self._anchors)
        return at_anchors_ns + round(self._rate_error * 2 * self._reach_ns)

    @property
    def last(self) -> Anchor:
        """The newest anchor."""
        return self._anchors[-1][0]

    def add(self, anchor: Anchor, idle: bool = False) -> None:
        """Go on from a new anchor; one that is not newer than the last is left out.

        `idle` = no work is under way, so that nothing has to stay consistent over it: the map may jump there.
        """
        if anchor.device_ns <= self.last.device_ns:
            return
        if idle and anchor.host_ns > self.to_host(self._mapped_ns) and anchor.device_ns > self._mapped_ns:
            self._jump(anchor)
            return
        off_ns = anchor.host_ns - self.to_host(anchor.device_ns)
        self._reach_ns = anchor.device_ns - self.last.device_ns
        self._anchors.append((anchor, abs(off_ns)))
        self._forget()
        self._estimate_rate()
        self._turn(self._mapped_ns, _beyond(off_ns, anchor.rtt_ns // 2))

    def _jump(self, anchor: Anchor) -> None:
        """Begin anew at an anchor: there is nothing to stay consistent with."""
        self._reach_ns = min(anchor.device_ns - self.last.device_ns, MAX_REACH_NS)
        self._anchors.append((anchor, 0))
        self._forget()
        self._estimate_rate()
        while len(self._lines) > 1 and self._lines[-1].device_ns > self._mapped_ns:
            self._lines.pop()
        self._lines.append(_Line(anchor.device_ns, anchor.host_ns, self._rate))

    def _forget(self) -> None:
        newest = self.last
        while self._anchors[0][0].device_ns < newest.device_ns - MEMORY_NS and len(self._anchors) > 2:
            self._anchors.popleft()

    def to_host(self, device_ns: int) -> int:
        """Return the host's time of a device stamp; monotone."""
        self._mapped_ns = max(self._mapped_ns, device_ns)
        index = bisect_right(self._lines, device_ns, key=lambda line: line.device_ns)
        return self._lines[max(0, index - 1)].at(device_ns)

    def to_device(self, host_ns: int) -> int:
        """Return about what the device's clock shows at a time of the host's, soon after the last anchor."""
        line = self._lines[-1]
        passed_ns = host_ns - line.host_ns
        return line.device_ns + passed_ns - round(passed_ns * line.rate / (1 + line.rate))

    def device_length_ns(self, host_ns: int) -> int:
        """Return how long the device's clock has to run so that at least `host_ns` pass on the host's."""
        slowest = min(line.rate for line in self._lines[-2:])
        return math.ceil(host_ns - host_ns * slowest / (1 + slowest))

    def _turn(self, device_ns: int, off_ns: int) -> None:
        """Continue from here at the estimated rate, bent for a while so as to make up `off_ns`."""
        host_ns = self.to_host(device_ns)
        while len(self._lines) > 1 and self._lines[-1].device_ns >= device_ns:
            self._lines.pop()  # the end of a bend that has not been reached
        if off_ns == 0:
            self._lines.append(_Line(device_ns, host_ns, self._rate))
            return
        bend_ns = max(MIN_BEND_NS, round(abs(off_ns) / MAX_BEND))
        bent = _Line(device_ns, host_ns, self._rate + off_ns / bend_ns)
        self._lines += [bent, _Line(device_ns + bend_ns, bent.at(device_ns + bend_ns), self._rate)]

    def _estimate_rate(self) -> None:
        """Take the rate between the newest anchor with a narrow bracket and whichever earlier one tells it best."""
        narrow_ns = 2 * min(anchor.rtt_ns for anchor, _ in self._anchors)
        newest = next(anchor for anchor, _ in reversed(self._anchors) if anchor.rtt_ns <= narrow_ns)
        self._rate_error = WORST_RATE
        for anchor, _ in self._anchors:
            passed_ns = newest.device_ns - anchor.device_ns
            if passed_ns <= 0:
                break
            error = (anchor.rtt_ns + newest.rtt_ns) / 2 / passed_ns
            if error < self._rate_error:
                self._rate_error, self._rate = error, (newest.host_ns - anchor.host_ns - passed_ns) / passed_ns


def _beyond(off_ns: int, allowed_ns: int) -> int:
    """Return what of an offset lies outside a bracket that wide on either side."""
    return max(0, off_ns - allowed_ns) if off_ns > 0 else min(0, off_ns + allowed_ns)


class LaneTimeline:
    """Places one lane's executions on the host's clock, in order and without overlap.

    A span is the difference of two device stamps, mapped by its start alone. The device's clock may run a few parts per
    million fast, so that spans are longer than what the map leaves for them; up to the error bar they push each other
    on, and only beyond it does a span give up those parts per million.
    """

    def __init__(self, clock_map: ClockMap) -> None:
        self._map = clock_map
        self._last_end_ns: int | None = None

    def place(self, start_device_ns: int, end_device_ns: int) -> tuple[int, int]:
        """Return start and end on the host's clock of the lane's next execution; it lasts at least 1 ns."""
        mapped_ns = self._map.to_host(start_device_ns)
        start_ns = mapped_ns if self._last_end_ns is None else max(mapped_ns, self._last_end_ns)
        latest_ns = self._map.to_host(end_device_ns) + self._map.error_ns
        end_ns = max(start_ns + 1, min(start_ns + end_device_ns - start_device_ns, latest_ns))
        self._last_end_ns = end_ns
        return start_ns, end_ns


def spacing_ns(anchored_ns: int, longest_ns: int) -> int:
    """Return when the next anchor is due after the last: often at first, while the rate is unknown, then regularly."""
    return min(longest_ns, max(longest_ns // 50, anchored_ns // 2))
