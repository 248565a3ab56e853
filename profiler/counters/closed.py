"""One engine back to back, alone on one lane, while something else is asked at a steady pace.

It asks between waits and not from a thread: a thread would take the interpreter from the loop that feeds the lane, and
virtual time knows no threads. The lane holds two executions meanwhile, so it stays busy unless asking takes longer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from cotenant.profiler.campaign.placement import Placement
from cotenant.profiler.experiments.bench import Bench, Hang, Tenant
from cotenant.profiler.experiments.closed_loop import DEPTH, LeadIn
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Completion, Engine, Lane, Runner, Session


@dataclass(frozen=True)
class Pace:
    """When to ask: `visits` times, `period_ns` apart, the first once the engine has led in."""

    lead_in: LeadIn
    period_ns: int
    visits: int


def run_alone(
    runner: Runner, placement: Placement, engine: Engine, quality: Quality, pace: Pace, ask: Callable[[], None]
) -> int:
    """Run an engine alone in a session of its own; return its median span in ns between the first and last visit.

    Raises:
        WorkError: A lane died or hung; or what `ask` raises.
    """
    with runner.open(placement.device, [Lane()], placement.isolation) as session:
        tenant = Bench(session, quality).place([engine])[0]
        return _Loop(session, tenant, pace, ask, int(quality.hang_s * 1e9)).run()


class _Loop:
    def __init__(self, session: Session, tenant: Tenant, pace: Pace, ask: Callable[[], None], hang_ns: int) -> None:
        self._session = session
        self._tenant = tenant
        self._pace = pace
        self._ask = ask
        self._hang_ns = hang_ns
        self._in_flight = 0
        self._done: list[Completion] = []
        self._first_ns = 0

    def run(self) -> int:
        begin_ns = self._session.now_ns()
        with self._session.gate():
            for _ in range(DEPTH):
                self._submit()
        while not self._led_in(begin_ns):
            self._advance(self._session.now_ns() + self._hang_ns)
        self._visit_all()
        last_ns = self._session.now_ns()
        self._drain()
        return self._median_span_ns(last_ns)

    def _led_in(self, begin_ns: int) -> bool:
        long_enough = self._session.now_ns() >= begin_ns + self._pace.lead_in.least_ns
        return long_enough and len(self._done) >= max(1, self._pace.lead_in.executions)

    def _visit_all(self) -> None:
        due_ns = self._first_ns = self._session.now_ns()
        for _ in range(self._pace.visits):
            while self._session.now_ns() < due_ns:
                self._advance(due_ns)
            try:
                self._ask()
            except Exception:
                self._drain()
                raise
            due_ns = self._session.now_ns() + self._pace.period_ns  # never shorter than a period, however late

    def _advance(self, until_ns: int) -> None:
        """Wait for a completion or a time, and refill the lane."""
        now_ns = self._session.now_ns()
        hung_ns = (self._done[-1].end_ns if self._done else now_ns) + self._hang_ns
        done = self._session.wait(min(until_ns, max(hung_ns, now_ns + 1)))
        if not done and self._session.now_ns() >= hung_ns:
            raise Hang(self._tenant.lane, self._hang_ns / 1e9)
        self._take(done)
        for _ in done:
            self._submit()

    def _drain(self) -> None:
        while self._in_flight:
            done = self._session.wait(self._session.now_ns() + self._hang_ns)
            if not done:
                raise Hang(self._tenant.lane, self._hang_ns / 1e9)
            self._take(done)

    def _submit(self) -> None:
        self._session.submit(self._tenant.lane, self._tenant.loaded)
        self._in_flight += 1

    def _take(self, done: list[Completion]) -> None:
        self._done += done
        self._in_flight -= len(done)

    def _median_span_ns(self, last_ns: int) -> int:
        """Of executions that began between the visits; of one that outlasts them all if none did."""
        within = [each for each in self._done if self._first_ns <= each.start_ns < last_ns]
        return round(median(each.end_ns - each.start_ns for each in within or self._done[-1:]))
