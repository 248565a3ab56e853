"""The simulated session against the exact GPU: every stamp, rate and live set of random hosts, machines and faults."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import exact_cases
import numpy as np
import pytest
from exact_defects import DEFECTS, HostFirst
from exact_gpu import ExactGpu
from exact_inputs import Machine
from exact_progress import Stamps, Stretch, joined
from exact_rates import ONE, Kernel, share_units
from hypothesis import event, given, settings
from hypothesis import strategies as st
from simulated_host import Host, Order, Step, device_file, plans, steps

from cotenant.runners.protocol import Lane
from cotenant.runners.simulated.device_state import quotas
from cotenant.runners.simulated.session import SimulatedSession

UNTIL_NS = 1500


@dataclass
class Case:
    machine: Machine
    engines: list[list[Kernel]]
    steps: list[Step]
    plans: list[list[Order]]
    seed: int
    factors: list[int] | None  # by ticket, over and over; None = drawn by the session


@st.composite
def cases(draw: st.DrawFn) -> Case:
    machine, engines = draw(exact_cases.machines()), draw(exact_cases.engines)
    lane_count = len(machine.share_pct)
    return Case(
        machine,
        engines,
        draw(steps(lane_count, len(engines))),
        draw(plans(lane_count, len(engines))),
        draw(st.integers(0, 2**63 - 1)),
        draw(st.one_of(st.none(), st.lists(exact_cases.factors, min_size=1, max_size=5))),
    )


def opened(case: Case) -> tuple[SimulatedSession, Machine]:
    """Return a session of the case's machine, and the machine with the slice phase that the session drew."""
    factors: Callable[[int, int], Any] | None = None
    if case.factors is not None:
        given = np.array(case.factors, np.int64)

        def factors(first: int, count: int) -> Any:
            return given[np.arange(first, first + count) % len(given)]

    q = share_units(case.machine.isolation, case.machine.share_pct)
    session = SimulatedSession(device_file(case.machine, 20.0), case.machine.isolation, q, case.seed, factors)
    session.keep_truth()
    return session, replace(case.machine, slice_phase_ns=session.slice_phase_ns)


def both(case: Case, gpu: type[ExactGpu] = ExactGpu) -> tuple[Host, Stamps]:
    session, machine = opened(case)
    host = Host(session, case.engines, [list(plan) for plan in case.plans])
    host.run(case.steps, UNTIL_NS)
    return host, gpu(machine, case.engines, host.submissions).run(session.now_ns())


def ends(stamps: Stamps) -> dict[int, tuple[int | None, int]]:
    return {i: (stamps.start_ns[i], end_ns) for i, end_ns in enumerate(stamps.end_ns) if end_ns is not None}


def completed(host: Host) -> dict[int, tuple[int, int]]:
    return {ticket: (completion.start_ns, completion.end_ns) for ticket, completion in host.completions.items()}


def is_worked_off(case: Case, host: Host, execution: int, stretches: list[Stretch]) -> bool:
    """Whether rates add up to the work, with less than the last ns' worth beyond."""
    own = [stretch for stretch in stretches if stretch.execution == execution]
    done = sum((stretch.t1_ns - stretch.t0_ns) * stretch.rate for stretch in own)
    return 0 <= done - work_units(case, host, execution) < max(own, key=lambda stretch: stretch.t1_ns).rate


def live_sets(stretches: list[Stretch]) -> list[tuple[int, int, frozenset[int]]]:
    """Cut time at every start and end of an execution."""
    spans: dict[int, tuple[int, int]] = {}
    for stretch in stretches:
        start_ns, end_ns = spans.get(stretch.execution, (stretch.t0_ns, stretch.t1_ns))
        spans[stretch.execution] = min(start_ns, stretch.t0_ns), max(end_ns, stretch.t1_ns)
    cuts = sorted({at for span in spans.values() for at in span})
    found = []
    for t0, t1 in pairwise(cuts):
        live = frozenset(i for i, (start_ns, end_ns) in spans.items() if start_ns <= t0 and t1 <= end_ns)
        if live:
            found.append((t0, t1, live))
    return found


def work_units(case: Case, host: Host, execution: int) -> int:
    """What an execution has to do, from its list alone."""
    own = host.submissions[execution]
    ns = sum(kernel.gap_ns + kernel.duration_ns for kernel in case.engines[own.engine])
    if not any((s.lane, s.engine) == (own.lane, own.engine) for s in host.submissions[:execution]):
        ns += sum(fault.gap_ns for fault in case.machine.faults if fault.kind == "lazy_load")
    return max(1, ns) * own.factor


@settings(max_examples=400, deadline=None)
@given(cases())
def test_stamps_rates_and_live_sets_are_equal(case: Case) -> None:
    host, exact = both(case)
    ended = ends(exact)
    assert completed(host) == ended
    assert all(c.lane == host.submissions[i].lane for i, c in host.completions.items())
    found = host.stretches()
    assert joined(found) == joined(exact.stretches)
    assert live_sets(found) == exact.live_sets()
    assert all(is_worked_off(case, host, execution, found) for execution in ended)
    event(f"{case.machine.isolation}, executions: {min(len(ended), 10)}")


@given(
    st.sampled_from(exact_cases.ISOLATIONS).flatmap(lambda mode: st.tuples(st.just(mode), exact_cases.shares(mode, 4)))
)
def test_shares_are_the_same_units(case: tuple[str, list[float | None]]) -> None:
    isolation, share_pct = case
    assert quotas([Lane(share) for share in share_pct], isolation) == share_units(isolation, share_pct)


KERNELS = [Kernel(gap_ns=2, duration_ns=5, sm=ONE), Kernel(duration_ns=5, sm=ONE, dram=ONE // 2)]
IN_STEP = Case(  # equal kernels in thirds: carries, and ends that tie
    Machine([None] * 3, l2_bytes=exact_cases.L2_BYTES),
    [KERNELS],
    [Step([Order(lane, 0) for lane in range(3)], 0)],
    [[Order(lane, 0)] * 3 for lane in range(3)],
    seed=1,
    factors=[ONE],
)
IN_TURN = replace(  # lane 1 gets something while lane 0 is at work; what lane 0 gets at its end comes after the turn
    IN_STEP,
    machine=Machine([None] * 2, "processes", exact_cases.L2_BYTES, slice_ns=1000),
    steps=[Step([Order(0, 0)], None, 3), Step([Order(1, 0)])],
    plans=[[Order(lane, 0)] * 3 for lane in range(2)],
)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_shows(defect: type[ExactGpu]) -> None:
    case = IN_TURN if defect is HostFirst else IN_STEP
    host, exact = both(case)
    assert completed(host) == ends(exact)
    host, planted = both(case, defect)
    assert completed(host) != ends(planted)


def test_a_stretch_left_out_shows() -> None:
    host, _ = both(IN_STEP)
    found = host.stretches()
    for dropped in found:
        rest = [stretch for stretch in found if stretch is not dropped]
        assert not is_worked_off(IN_STEP, host, dropped.execution, rest)


@settings(max_examples=50, deadline=None)
@given(cases())
def test_a_drained_session_is_the_same(case: Case) -> None:
    """All submitted at once, run to its end in one call; without the faults that leave work undone."""
    faults = [fault for fault in case.machine.faults if fault.kind not in ("hang", "lane_death")]
    session, machine = opened(replace(case, machine=replace(case.machine, faults=faults)))
    host = Host(session, case.engines, case.plans)
    orders = [order for part in (*(step.orders for step in case.steps), *case.plans) for order in part]
    host.run([Step(orders)], 0)
    exact = ExactGpu(machine, case.engines, host.submissions).run()
    rows = session.drain().tolist()
    assert {ticket: (start_ns, end_ns) for ticket, _, start_ns, end_ns in rows} == ends(exact)
    assert [(row[3], row[1]) for row in rows] == sorted((row[3], row[1]) for row in rows)
    assert joined(host.stretches()) == joined(exact.stretches)
