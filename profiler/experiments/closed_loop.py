"""One block of a closed loop: the active lanes are kept two deep from the first execution to the last that counts.

    lane 0  |gate|--a--|--a--|--a--|--a--|--a--|--a--|--a--|--a--|
    lane 1  |gate|..offset..|---b---|---b---|---b---|---b---|---b---|
            [       lead-in         [ window             )  drain  ]

Lead-in: a lane that has paused starts slow, and one whose company has changed takes a few executions to settle. The
window begins once every tenant has run for a while, and closes at a fixed time after that. What began inside it counts,
and every lane is fed until all of that has ended: so no execution is left out for being long, none loses its company
halfway, and all arms begin warm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cotenant.profiler.experiments.bench import Hang, Tenant
from cotenant.runners.protocol import Completion, Session

DEPTH = 2  # one executing, one queued: the device never waits for the host (design section 4)


@dataclass(frozen=True)
class LeadIn:
    """How long tenants run before a window begins: both, for every one of them, in their present company."""

    least_ns: int
    executions: int


NO_LEAD_IN = LeadIn(0, 0)


@dataclass(frozen=True)
class Sample:
    """One execution of a tenant as it was dispatched and completed."""

    tenant: Tenant
    dispatched_ns: int
    done: Completion


@dataclass(frozen=True)
class Run:
    """All executions of a block in order of dispatch, and its window [start, end)."""

    samples: list[Sample]
    window_start_ns: int
    window_end_ns: int


def run_for(
    session: Session, tenants: Sequence[Tenant], lead_in: LeadIn, window_ns: int, delays_ns: Sequence[int], hang_ns: int
) -> Run:
    """Run every tenant back to back through the lead-in and a window of `window_ns`; each starts after its delay.

    Raises:
        LaneLost: A lane died.
        Hang: Nothing completed for `hang_ns`.
    """
    loop = _Loop(session, tenants, delays_ns, lead_in)

    def counted_ones_are_left() -> bool:
        # a lane's last end is when what it now executes began
        return loop.leads_in or min(loop.last_end_ns.values()) < loop.window_start_ns + window_ns

    samples = loop.run(hang_ns, counted_ones_are_left)
    return Run(samples, loop.window_start_ns, loop.window_start_ns + window_ns)


def run_count(session: Session, tenant: Tenant, lead_in: LeadIn, executions: int, hang_ns: int) -> Run:
    """Run one tenant back to back through the lead-in and `executions` more; the window ends with the last of them."""
    loop = _Loop(session, [tenant], [0], lead_in)
    samples = loop.run(hang_ns, lambda: loop.leads_in or loop.submitted < loop.led_in + executions)
    return Run(samples, loop.window_start_ns, samples[-1].done.end_ns)


def run_burst(session: Session, tenants: Sequence[Tenant], hang_ns: int, delays_ns: Sequence[int] | None = None) -> Run:
    """Run every tenant once, together but for their delays; the window is the time in which all of them run."""
    loop = _Loop(session, tenants, delays_ns or [0] * len(tenants), NO_LEAD_IN, depth=1)
    samples = loop.run(hang_ns, lambda: False)
    start_ns = max(sample.done.start_ns for sample in samples)
    return Run(samples, start_ns, max(start_ns, min(sample.done.end_ns for sample in samples)))


class _Loop:
    def __init__(
        self,
        session: Session,
        tenants: Sequence[Tenant],
        delays_ns: Sequence[int],
        lead_in: LeadIn,
        depth: int = DEPTH,
    ) -> None:
        self.session = session
        self.submitted = 0
        self.led_in = 0  # executions that had ended when the window began
        self.leads_in = True
        self.window_start_ns = 0
        self._lead_in = lead_in
        self._in_flight: dict[int, tuple[Tenant, int]] = {}
        self._samples: list[Sample] = []
        self._ended = dict.fromkeys((tenant.name for tenant in tenants), 0)
        with session.gate():
            for tenant, delay_ns in zip(tenants, delays_ns, strict=True):
                self._submit(tenant, delay_ns)
                for _ in range(depth - 1):
                    self._submit(tenant)
        self._begin_ns = session.now_ns() + max(delays_ns)
        self.last_end_ns = dict.fromkeys(self._ended, self._begin_ns)

    def run(self, hang_ns: int, goes_on: Callable[[], bool]) -> list[Sample]:
        """Refill each lane as its executions complete while `goes_on()`; return all executions once drained."""
        while self._in_flight:
            completed = self.session.wait(self.session.now_ns() + hang_ns)
            if not completed:
                raise Hang(next(iter(self._in_flight.values()))[0].lane, hang_ns / 1e9)
            for completion in completed:
                tenant = self._note(completion)
                if goes_on():
                    self._submit(tenant)
        return sorted(self._samples, key=lambda sample: (sample.dispatched_ns, sample.done.ticket))

    def _note(self, completion: Completion) -> Tenant:
        tenant, dispatched_ns = self._in_flight.pop(completion.ticket)
        self._samples.append(Sample(tenant, dispatched_ns, completion))
        self._ended[tenant.name] += 1
        self.last_end_ns[tenant.name] = completion.end_ns
        led_in = min(self._ended.values()) >= self._lead_in.executions
        if self.leads_in and led_in and completion.end_ns >= self._begin_ns + self._lead_in.least_ns:
            self.leads_in = False
            self.window_start_ns = completion.end_ns
            self.led_in = len(self._samples)
        return tenant

    def _submit(self, tenant: Tenant, delay_ns: int = 0) -> None:
        dispatched_ns = self.session.now_ns()
        ticket = self.session.submit(tenant.lane, tenant.loaded, delay_ns)
        self._in_flight[ticket] = (tenant, dispatched_ns)
        self.submitted += 1
