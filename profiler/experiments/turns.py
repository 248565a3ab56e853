"""Engines in turn, one at a time, each dispatched to an idle lane.

    |--a@1--|  |--b@1--|  |--a@2--|  |--a@1--|  |--a@2--|  |--b@1--| ...

An engine back to back finds its own weights in the caches; one that follows others, as in serving, does not.
"""

from collections.abc import Sequence

import numpy as np

from cotenant.profiler.experiments.bench import Tenant
from cotenant.profiler.experiments.closed_loop import LeadIn, Run, Sample, run_burst
from cotenant.runners.protocol import Session


def run_turns(
    session: Session, tenants: Sequence[Tenant], lead_in: LeadIn, rounds: int, hang_ns: int, rng: np.random.Generator
) -> Run:
    """Run every tenant's engine once a round, in an order drawn for each; the window is that of `rounds` rounds.

    Whole rounds lead in, until the lane has executed for as long and as often as it says.

    Raises:
        LaneLost: The lane died.
        Hang: Nothing completed for `hang_ns`.
    """
    begin_ns = session.now_ns()
    led_in: list[Sample] = []
    while len(led_in) < lead_in.executions or session.now_ns() < begin_ns + lead_in.least_ns:
        led_in += _round(session, tenants, hang_ns, rng)
    start_ns = session.now_ns()
    counted = [sample for _ in range(rounds) for sample in _round(session, tenants, hang_ns, rng)]
    return Run([*led_in, *counted], start_ns, max(sample.done.end_ns for sample in counted))


def _round(session: Session, tenants: Sequence[Tenant], hang_ns: int, rng: np.random.Generator) -> list[Sample]:
    order = rng.permutation(len(tenants))
    return [run_burst(session, [tenants[place]], hang_ns).samples[0] for place in order]
