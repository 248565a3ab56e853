"""The exact GPU against cases worked by hand: H is a half of the device, times are ns from 0.

A comment under a case says how its stamps come about. `at half` means at the rate H: two kernels that want everything.
"""

import pytest
from exact_by_hand import TWO, H, each_at_0, first_rates, stamps, whole
from exact_gpu import ExactGpu
from exact_inputs import Machine, Submission
from exact_rates import ONE, Kernel

# Sharing


def test_two_equal_kernels_take_twice_as_long() -> None:
    assert stamps(TWO, [whole(10), whole(10)], each_at_0(2)) == [(0, 20), (0, 20)]


def test_a_kernel_goes_on_alone() -> None:
    # A: 4 alone, 6 at half until 16. B: 6 done by then, the other 4 alone.
    submissions = [Submission(0, 0, 0), Submission(1, 1, 4)]
    assert stamps(TWO, [whole(10), whole(10)], submissions) == [(0, 16), (4, 20)]


def test_three_equal_kernels_round_down() -> None:
    # 2^20 // 3 = 349525; 10 x 2^20 / 349525 = 30.00003.
    assert stamps(Machine([None] * 3), [whole(10)] * 3, each_at_0(3)) == [(0, 31)] * 3


def test_a_small_demand_is_granted_whole() -> None:
    # Demands 1/2, 3/4, 1/4: 1/4 is whole (1/4 x 3 <= 1); 3/4 is left for two: 3/8 each, of 1/2 and of 3/4.
    engines = [[Kernel(duration_ns=9, sm=part * ONE // 4)] for part in (2, 3, 1)]
    assert first_rates(Machine([None] * 3), engines) == [3 * ONE // 4, ONE // 2, ONE]


def test_the_scarcest_resource_decides() -> None:
    # SM 1/2 each: whole. L2 bandwidth 1 and 1/2: 1/2 each. DRAM 3/4 and 3/4: 1/2 each, 2/3 of what they want.
    engines = [
        [Kernel(duration_ns=9, sm=H, l2=ONE, dram=3 * ONE // 4)],
        [Kernel(duration_ns=9, sm=H, l2=H, dram=3 * ONE // 4)],
    ]
    assert first_rates(TWO, engines) == [H, 2 * ONE // 3]


def test_a_kernel_that_wants_nothing_is_not_slowed() -> None:
    assert first_rates(TWO, [[Kernel(duration_ns=9)], whole(9)]) == [ONE, ONE]


def test_lost_cache_is_fetched_from_dram() -> None:
    # Of 100 bytes 80 and 60 keep 50 each. A: 2^19 + 2^19 x 30 // 80 = 720896; B: 786432 + 600000 x 10 // 60 = 886432.
    # Both want more than half: 2^19 each. 2^39 / 720896 = 2^23 / 11 = 762600.7; 2^39 / 886432 = 620189.4.
    engines = [
        [Kernel(duration_ns=10, dram=H, spill=H, footprint_bytes=80)],
        [Kernel(duration_ns=10, dram=786432, spill=600000, footprint_bytes=60)],
    ]
    machine = Machine([None, None], l2_bytes=100)
    assert first_rates(machine, engines) == [762600, 620189]
    # A: 10485760 / 762600 = 13.75: 14. B by then 8682646, 1803114 left, alone: fits (60 <= 100), so 1.72: 2.
    assert stamps(machine, engines, each_at_0(2)) == [(0, 14), (0, 16)]


def test_a_footprint_spills_alone_too() -> None:
    # Of 100 bytes 50 are lost of 150: dram' = 2^20 + 2^20 // 3 = 1398101; 2^40 / 1398101 = 786432.2.
    machine = Machine([None], l2_bytes=100)
    assert first_rates(machine, [[Kernel(duration_ns=9, dram=ONE, spill=ONE, footprint_bytes=150)]]) == [786432]


# Phases


def test_the_last_ns_carries_over() -> None:
    # Thirds: 5 x 2^20 / 349525 = 15.00002: the first kernel ends at 16 with 349520 units too many, the second has
    # 4893360 left: 14.00003, at 31. Without the carry it were 32.
    assert stamps(Machine([None] * 3), [whole(5, 5)] * 3, each_at_0(3)) == [(0, 31)] * 3


def test_one_ns_carries_over_several_phases_but_not_over_executions() -> None:
    # A quarter of the work: five phases of 1/4 ns are through in 2 ns; the 3/4 ns beyond are lost for the next one.
    submissions = [Submission(0, 0, 0, factor=ONE // 4)] * 2
    assert stamps(Machine([None]), [whole(1, 1, 1, 1, 1)], submissions) == [(0, 2), (2, 4)]


def test_in_a_gap_a_lane_wants_nothing() -> None:
    # B alone until 3; A's 4 at half until 11; B then has 3 + 4 done, the other 3 alone.
    assert stamps(TWO, [whole(4, gap_ns=3), whole(10)], each_at_0(2)) == [(0, 11), (0, 14)]


@pytest.mark.parametrize("engine", [[], [Kernel()], [Kernel(), Kernel(sm=ONE)]])
def test_an_execution_of_nothing_is_a_gap_of_one_ns(engine: list[Kernel]) -> None:
    assert stamps(TWO, [engine, whole(2)], each_at_0(2)) == [(0, 1), (0, 2)]


def test_phases_of_no_length_are_left_out() -> None:
    engine = [Kernel(gap_ns=0, duration_ns=2, sm=ONE), Kernel(gap_ns=3, duration_ns=0, sm=ONE)]
    assert stamps(TWO, [engine, whole(3)], each_at_0(2)) == [(0, 7), (0, 5)]
    # Half until 4 (A: 2, B: 2), then A's gap of 3 while B's last 1 goes alone.


@pytest.mark.parametrize(("factor", "end_ns"), [(3 * H, 15), (ONE + 1, 11), (ONE, 10), (ONE - 1, 10), (1, 1)])
def test_noise_scales_the_work(factor: int, end_ns: int) -> None:
    assert stamps(Machine([None]), [whole(6, 2, gap_ns=1)], [Submission(0, 0, 0, factor=factor)]) == [(0, end_ns)]


# Starts


def test_gates_and_delays() -> None:
    submissions = [
        Submission(0, 0, 2, gate_ns=7, delay_ns=3),  # ready at 7 + 3
        Submission(0, 0, 4, delay_ns=2),  # 15 + 2
        Submission(0, 0, 30),
        Submission(0, 0, 31, delay_ns=4),  # submitted before the end at 35
        Submission(0, 0, 50, gate_ns=50, delay_ns=1),
    ]
    found = [(10, 15), (17, 22), (30, 35), (39, 44), (51, 56)]
    assert stamps(Machine([None]), [whole(5)], submissions) == found


def test_a_closed_gate_holds_what_is_behind_it() -> None:
    submissions = [Submission(0, 0, 0, gate_ns=9), Submission(0, 0, 1)]
    assert stamps(Machine([None]), [whole(5)], submissions) == [(9, 14), (14, 19)]


def test_what_is_queued_starts_in_the_ns_of_the_end() -> None:
    # All at half to the end: two end and two start at 20; lane 0's is queued, lane 1's is submitted in that very ns.
    submissions = [Submission(0, 0, 0), Submission(0, 0, 0), Submission(1, 0, 0), Submission(1, 0, 20)]
    assert stamps(TWO, [whole(10)], submissions) == [(0, 20), (20, 40), (0, 20), (20, 40)]


def test_live_sets_and_rates() -> None:
    # A: 3 gap, then with B at half until 7; a start, an end and a phase that ends share an instant, 7.
    submissions = [Submission(0, 0, 0), Submission(1, 1, 3), Submission(0, 1, 7)]
    found = ExactGpu(TWO, [whole(2, gap_ns=3), whole(2)], submissions).run()
    assert (found.start_ns, found.end_ns) == ([0, 3, 7], [7, 7, 9])
    assert found.live_sets() == [(0, 3, {0}), (3, 7, {0, 1}), (7, 9, {2})]
    assert [(s.t0_ns, s.t1_ns, s.lane, s.execution, s.rate) for s in found.stretches] == [
        (0, 3, 0, 0, ONE),
        (3, 7, 0, 0, H),
        (3, 7, 1, 1, H),
        (7, 9, 0, 2, ONE),
    ]
