"""Anchors: single stamps on an idle, urgent stream, each between two readings of the host's clock.

host    before |------ rtt ------| after
device              stamp

The best of a few is kept: the narrower the bracket, the more it tells. `poll` does not block: a stamp that does not
come at once is looked for later, and each look that does not find it moves the bracket's left side on.
"""

from cotenant.runners.cuda.clock_map import Anchor, ClockMap, spacing_ns
from cotenant.runners.cuda.gpu import Gpu, GpuError
from cotenant.runners.cuda.host_clock import HostClock
from cotenant.runners.cuda.stamps import Stamps

LONGEST_SPACING_NS = 1_000_000_000  # the design asks for 2 s at most with work in flight
TRIES = 4
PATIENCE_NS = 100_000  # a stamp on an idle stream takes about 10 us; after this it is looked for now and then
FIRST_ANCHORS = 4
IDLE_LIMIT_NS = 10_000_000_000
USELESS_NS = 50_000_000  # a bracket wider than this says only that nobody looked
POLL_NS = 20_000


class Anchors:
    """Takes anchors when they are due."""

    def __init__(self, gpu: Gpu, clock: HostClock, stamps: Stamps) -> None:
        """Open the anchors' own stream."""
        self._gpu, self._clock, self._stamps = gpu, clock, stamps
        self._stream = gpu.create_stream(urgent=True)
        self._pending: tuple[int, int] | None = None  # mark, latest host_ns known to be before it
        self._first_ns: int | None = None
        self._due_ns = clock.now_ns()

    def first(self) -> list[Anchor]:
        """Take the anchors of an opening session; the device is idle.

        Raises:
            GpuError: No stamp came within 10 s.
        """
        return [self._awaited() for _ in range(FIRST_ANCHORS)]

    def renew(self) -> Anchor:
        """Take an anchor now, due or not; the lane is idle.

        Raises:
            GpuError: No stamp came within 10 s.
        """
        self._due_ns = self._clock.now_ns()
        return self._awaited()

    def poll(self) -> Anchor | None:
        """Return an anchor if one was due and could be taken."""
        now_ns = self._clock.now_ns()
        if self._pending is not None:
            mark, since_ns = self._pending
            if not self._stamps.is_done(mark):
                self._pending = (mark, now_ns)
                return None
            found = self._found(mark, since_ns)
            if found[0] <= USELESS_NS:
                return self._finish([found])
            self._stamps.release([mark])
            self._due_ns = now_ns
        if now_ns < self._due_ns:
            return None
        return self._finish(self._tries())

    def close(self) -> None:
        """Close the stream."""
        self._gpu.destroy_stream(self._stream)

    def _awaited(self) -> Anchor:
        limit_ns = self._clock.now_ns() + IDLE_LIMIT_NS
        while (anchor := self.poll()) is None:
            if self._clock.now_ns() > limit_ns:
                raise GpuError("the device took no stamp within 10 s although it should be idle")
            self._clock.pause(POLL_NS)
        return anchor

    def _tries(self) -> list[tuple[int, int, int]]:
        tries: list[tuple[int, int, int]] = []
        for _ in range(TRIES):
            before_ns = self._clock.now_ns()
            mark = self._stamps.mark(self._stream)
            while not self._stamps.is_done(mark):
                if self._clock.now_ns() - before_ns > PATIENCE_NS:
                    self._pending = (mark, before_ns)
                    return tries
            tries.append(self._found(mark, before_ns))
        return tries

    def _found(self, mark: int, before_ns: int) -> tuple[int, int, int]:
        self._pending = None
        return self._clock.now_ns() - before_ns, before_ns, mark

    def _finish(self, tries: list[tuple[int, int, int]]) -> Anchor | None:
        if not tries:
            return None
        rtt_ns, before_ns, mark = min(tries)
        self._stamps.release([other for _, _, other in tries if other != mark])
        if self._first_ns is None:
            self._first_ns = before_ns
        self._due_ns = before_ns + spacing_ns(before_ns - self._first_ns, LONGEST_SPACING_NS)
        return Anchor(self._stamps.anchor(mark), before_ns + rtt_ns // 2, rtt_ns)


def anchored_map(anchors: list[Anchor]) -> ClockMap:
    """Return the map of a session that opens with these anchors."""
    clock_map = ClockMap(anchors[0])
    for anchor in anchors[1:]:
        clock_map.add(anchor)
    return clock_map
