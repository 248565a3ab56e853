"""What holds of the exact GPU whatever it runs, and that a defect planted in it changes what comes out.

The same GPU that looks at every single ns, rather than from one instant to the next, must give the same stamps.
"""

from fractions import Fraction

import exact_cases
import pytest
from exact_defects import DEFECTS, HostFirst
from exact_gpu import ExactGpu
from exact_inputs import Machine, Submission
from exact_progress import joined
from exact_rates import ONE, Kernel, fair
from hypothesis import given, settings
from hypothesis import strategies as st

UNTIL_NS = 400


class EveryNs(ExactGpu):
    def next_instant(self) -> int | None:
        return self.now + 1


@st.composite
def cases(draw: st.DrawFn) -> tuple[Machine, list[list[Kernel]], list[Submission]]:
    machine, engines = draw(exact_cases.machines()), draw(exact_cases.engines)
    return machine, engines, draw(exact_cases.submissions(len(machine.share_pct), len(engines)))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_nothing_happens_between_instants(case: tuple[Machine, list[list[Kernel]], list[Submission]]) -> None:
    found, watched = ExactGpu(*case).run(UNTIL_NS), EveryNs(*case).run(UNTIL_NS)
    assert (found.start_ns, found.end_ns) == (watched.start_ns, watched.end_ns)
    assert joined(found.stretches) == joined(watched.stretches)
    assert found.live_sets() == watched.live_sets()


@settings(max_examples=200, deadline=None)
@given(cases())
def test_rates_add_up_to_the_work(case: tuple[Machine, list[list[Kernel]], list[Submission]]) -> None:
    gpu = ExactGpu(*case)
    found = gpu.run(2000)
    fresh = ExactGpu(*case)
    for execution, (start_ns, end_ns) in enumerate(zip(found.start_ns, found.end_ns, strict=True)):
        if start_ns is None:
            continue
        own = [stretch for stretch in found.stretches if stretch.execution == execution]
        done = sum((stretch.t1_ns - stretch.t0_ns) * stretch.rate for stretch in own)
        first_of_lane = [i for i, s in enumerate(case[2]) if s.lane == case[2][execution].lane]
        for earlier in first_of_lane[: first_of_lane.index(execution)]:  # they warm what they run
            fresh.phases(case[2][earlier])
        work = sum(phase.units for phase in fresh.phases(case[2][execution]))
        fresh.warm.clear()
        if end_ns is None:
            assert done < work
        else:
            assert end_ns > start_ns
            assert 0 <= done - work < own[-1].rate


def literal_fair(demands: list[int], capacity: int) -> list[int]:
    """The record's procedure, step by step."""
    granted: dict[int, int] = {}
    left = capacity
    ascending = sorted(range(len(demands)), key=lambda i: demands[i])
    for position, i in enumerate(ascending):
        n = len(demands) - position
        if demands[i] * n > left:
            return [granted.get(j, left // n) for j in range(len(demands))]
        granted[i] = demands[i]
        left -= demands[i]
    return [granted[j] for j in range(len(demands))]


@given(st.lists(exact_cases.demands, max_size=6), st.integers(1, 3 * ONE))
def test_fair_is_the_recorded_procedure(demands: list[int], capacity: int) -> None:
    assert fair(demands, capacity) == literal_fair(demands, capacity)


@given(st.lists(exact_cases.demands, min_size=1, max_size=6))
def test_fair_is_max_min(demands: list[int]) -> None:
    granted = fair(demands, ONE)
    assert sum(granted) <= ONE
    assert sum(granted) > min(ONE, sum(demands)) - len(demands)  # nothing is left but what rounding leaves
    held = [got for got, demand in zip(granted, demands, strict=True) if got < demand]
    assert all(got == max(granted) for got in held)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_shows(defect: type[ExactGpu]) -> None:
    """In the stamps of one closed loop: three lanes, thirds that round, equal kernels that end together."""
    engine = [Kernel(gap_ns=2, duration_ns=5, sm=ONE), Kernel(duration_ns=5, sm=ONE)]
    submissions = [Submission(lane, 0, at) for at in (0, 33) for lane in range(3)]
    machine = Machine([None] * 3)
    if defect is HostFirst:  # the order shows where a turn passes
        submissions = [Submission(0, 0, 0), Submission(0, 0, 12), Submission(1, 0, 5)]
        machine = Machine([None] * 2, "processes", slice_ns=1000, slice_phase_ns=999)
    true = ExactGpu(machine, [engine], submissions).run()
    planted = defect(machine, [engine], submissions).run()
    assert (true.start_ns, true.end_ns) != (planted.start_ns, planted.end_ns)


def test_an_interval_left_out_shows_in_the_sum() -> None:
    found = ExactGpu(Machine([None] * 2), [[Kernel(duration_ns=7, sm=ONE)]], [Submission(0, 0, 0), Submission(1, 0, 3)])
    stretches = found.run().stretches
    work = 7 * ONE
    for dropped in [stretch for stretch in stretches if stretch.execution == 0]:
        kept = sum((s.t1_ns - s.t0_ns) * s.rate for s in stretches if s.execution == 0 and s is not dropped)
        assert Fraction(work - kept, ONE) >= 1
