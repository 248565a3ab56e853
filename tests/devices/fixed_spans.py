"""A device in virtual time whose executions always take their engine's span, whatever runs beside; whole ns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cotenant.runners.protocol import Completion, Engine, LaneLost, Loaded


@dataclass
class FixedSpans:
    """Session protocol; `spans_ns` maps engine_id to span.

    `waits` counts calls of `wait`, `notice_late_ns` makes every wait return that much late, as a busy host would.
    """

    lane_count: int
    spans_ns: dict[str, int]
    notice_late_ns: int = 0
    hang_from: int | None = None
    die_at_ns: int | None = None
    isolation_observed: str = "fixed"
    clock_error_ns: int = 0
    oversubscribed: bool = False
    host_has_own_core: bool = True
    weights_shared: bool | None = None
    time_ns: int = 0
    tickets: int = 0
    waits: int = 0
    running: dict[int, Completion] = field(default_factory=dict)

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        assert not self.running, "load needs idle lanes"
        return Loaded(lane, engine.engine_id, 0)

    def unload(self, loaded: Loaded) -> None:
        assert not self.running

    @contextmanager
    def gate(self) -> Iterator[None]:
        yield

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        assert loaded.lane == lane
        assert lane not in {each.lane for each in self.running.values()}, "the lane holds an execution already"
        self.tickets += 1
        end_ns = self.time_ns + delay_ns + self.spans_ns[loaded.engine_id]
        if self.hang_from is not None and self.tickets >= self.hang_from:
            end_ns = 1 << 62
        done = Completion(self.tickets, lane, self.time_ns + delay_ns, end_ns, None, None, None)
        self.running[self.tickets] = done
        return self.tickets

    def now_ns(self) -> int:
        return self.time_ns

    def wait(self, until_ns: int) -> list[Completion]:
        self.waits += 1
        next_ns = min([each.end_ns for each in self.running.values()] + [until_ns])
        if self.die_at_ns is not None and next_ns >= self.die_at_ns:
            raise LaneLost(0, "planted")
        self.time_ns = max(self.time_ns, next_ns + self.notice_late_ns)
        done = [each for each in self.running.values() if each.end_ns <= self.time_ns]
        for each in done:
            del self.running[each.ticket]
        return sorted(done, key=lambda each: each.end_ns)
