"""One block of a closed loop: the active lanes are kept two deep until the block's time is up, then drained.

    lane 0  |gate|--a--|--a--|--a--|--a--|--a--|--a--|
    lane 1  |gate|..offset..|---b---|---b---|---b---|
                            [ window: all active    )

The window begins when the last tenant has started and ends when the first has nothing more to run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cotenant.profiler.experiments.bench import Hang, Tenant
from cotenant.runners.protocol import Completion, Session

DEPTH = 2  # one executing, one queued: the device never waits for the host (design section 4)


@dataclass(frozen=True)
class Sample:
    """One execution of a tenant as it was dispatched and completed."""

    tenant: Tenant
    dispatched_ns: int
    done: Completion


def run_for(
    session: Session, tenants: Sequence[Tenant], duration_ns: int, delays_ns: Sequence[int], hang_ns: int
) -> list[Sample]:
    """Run every tenant back to back for about `duration_ns` and return all executions in order of dispatch.

    Tenants start together, each after its delay. A tenant gets no more work once what it has queued would reach the
    block's end.

    Raises:
        LaneLost: A lane died.
        Hang: Nothing completed for `hang_ns`.
    """
    loop = _Loop(session, tenants, delays_ns)
    end_ns = session.now_ns() + duration_ns + max(delays_ns)
    return loop.run(hang_ns, lambda tenant, end: end + DEPTH * tenant.span_ns <= end_ns)


def run_count(session: Session, tenant: Tenant, executions: int, hang_ns: int) -> list[Sample]:
    """Run one tenant back to back `executions` times (at least two) and return them; raises as `run_for`."""
    loop = _Loop(session, [tenant], [0])
    return loop.run(hang_ns, lambda _tenant, _end: loop.submitted < executions)


def run_burst(session: Session, tenants: Sequence[Tenant], hang_ns: int) -> list[Sample]:
    """Run every tenant once, all starting together, and return them; raises as `run_for`."""
    return _Loop(session, tenants, [0] * len(tenants), depth=1).run(hang_ns, lambda _tenant, _end: False)


class _Loop:
    def __init__(
        self, session: Session, tenants: Sequence[Tenant], delays_ns: Sequence[int], depth: int = DEPTH
    ) -> None:
        self.session = session
        self.submitted = 0
        self._in_flight: dict[int, tuple[Tenant, int]] = {}
        self._done: list[Sample] = []
        with session.gate():
            for tenant, delay_ns in zip(tenants, delays_ns, strict=True):
                self._submit(tenant, delay_ns)
                for _ in range(depth - 1):
                    self._submit(tenant)

    def run(self, hang_ns: int, goes_on: Callable[[Tenant, int], bool]) -> list[Sample]:
        """Refill each lane as its executions complete while `goes_on(tenant, end_ns)`; return all once drained."""
        while self._in_flight:
            completed = self.session.wait(self.session.now_ns() + hang_ns)
            if not completed:
                raise Hang(next(iter(self._in_flight.values()))[0].lane, hang_ns / 1e9)
            for completion in completed:
                tenant, dispatched_ns = self._in_flight.pop(completion.ticket)
                self._done.append(Sample(tenant, dispatched_ns, completion))
                if goes_on(tenant, completion.end_ns):
                    self._submit(tenant)
        return sorted(self._done, key=lambda sample: (sample.dispatched_ns, sample.done.ticket))

    def _submit(self, tenant: Tenant, delay_ns: int = 0) -> None:
        dispatched_ns = self.session.now_ns()
        ticket = self.session.submit(tenant.lane, tenant.loaded, delay_ns)
        self._in_flight[ticket] = (tenant, dispatched_ns)
        self.submitted += 1
