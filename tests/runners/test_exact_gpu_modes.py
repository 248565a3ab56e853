"""The exact GPU's isolation modes and faults against cases worked by hand; how to read them: `test_exact_gpu.py`."""

import pytest
from exact_by_hand import H, each_at_0, first_rates, stamps, whole
from exact_inputs import Fault, Machine, Submission
from exact_rates import ONE, Kernel

# Isolation


def test_mps_shares_bound_what_a_kernel_gets() -> None:
    both = [whole(9), whole(9)]
    assert first_rates(Machine([25, None], "mps"), both) == [ONE // 4, 3 * ONE // 4]
    assert first_rates(Machine([75, 75], "mps"), both) == [H, H]
    assert first_rates(Machine([25, None], "mps"), [[Kernel(duration_ns=9, sm=ONE // 8)], whole(9)]) == [
        ONE,
        7 * ONE // 8,
    ]
    assert first_rates(Machine([33.3], "mps"), [whole(9)]) == [349175]  # 33.3 x 10485.76 = 349175.8


def test_green_contexts_own_their_sms() -> None:
    assert first_rates(Machine([25, None, None], "green-contexts"), [whole(9)] * 3) == [
        ONE // 4,
        3 * ONE // 8,
        3 * ONE // 8,
    ]
    assert first_rates(Machine([100, None], "green-contexts"), [whole(9)] * 2) == [
        ONE,
        1,
    ]  # nothing is left: "at least 1"
    # SMs are apart, DRAM is not: 1/2 each.
    engine = [Kernel(duration_ns=9, sm=ONE // 4, dram=ONE)]
    assert first_rates(Machine([50, 50], "green-contexts"), [engine, engine]) == [H, H]


def test_processes_take_turns() -> None:
    # The turn is lane 1's until 4 (4 done), lane 0's until 14 (10 done), lane 1's: ends at 22; its next is ready: ends
    # at 23; lane 0's: the boundary 24 finds no other.
    submissions = [Submission(0, 0, 0), Submission(1, 0, 0), Submission(1, 1, 0)]
    machine = Machine([None, None], "processes", slice_ns=10, slice_phase_ns=4)
    assert stamps(machine, [whole(12), whole(1)], submissions) == [(4, 25), (0, 22), (22, 23)]


def test_a_boundary_on_an_end_passes_the_turn_once() -> None:
    # Lane 2's until 10, when its kernel ends: on to lane 0 (not 1), though lane 2 has more; then 1; then 2.
    submissions = [Submission(lane, 0, 0) for lane in (0, 1, 2, 2)]
    machine = Machine([None] * 3, "processes", slice_ns=10)
    assert stamps(machine, [whole(10)], submissions) == [(10, 20), (20, 30), (0, 10), (30, 40)]


def test_a_gap_stands_still_without_the_turn() -> None:
    # Lane 1: 0 to 5, 2 of its gap of 7 left... lane 0: 5 to 9, ends; lane 1: gap until 11, kernel until 14.
    machine = Machine([None, None], "processes", slice_ns=100, slice_phase_ns=5)
    assert stamps(machine, [whole(4), whole(3, gap_ns=7)], each_at_0(2)) == [(5, 9), (0, 14)]


@pytest.mark.parametrize(("dispatched_ns", "second"), [(9, (10, 20)), (10, (20, 30))])
def test_the_host_is_later_than_the_turn(dispatched_ns: int, second: tuple[int, int]) -> None:
    # Lane 0 keeps the turn at 10 with what it has queued; with what comes at 10 it is too late, lane 1 has the turn.
    submissions = [Submission(0, 0, 0), Submission(0, 0, dispatched_ns), Submission(1, 0, 5)]
    machine = Machine([None, None], "processes", slice_ns=1000, slice_phase_ns=999)
    first, then, other = stamps(machine, [whole(10)], submissions)
    assert (first, then) == ((0, 10), second)
    assert other == ((20, 30) if dispatched_ns == 9 else (10, 20))


def test_the_host_may_submit_on_a_boundary() -> None:
    # At 10 lane 1 stays, as there is no other; what lane 0 gets at 10 waits for the next boundary.
    submissions = [Submission(1, 0, 0), Submission(0, 0, 10)]
    machine = Machine([None, None], "processes", slice_ns=10)
    assert stamps(machine, [whole(15)], submissions) == [(0, 15), (15, 30)]
    submissions[1] = Submission(0, 0, 9)
    assert stamps(machine, [whole(15)], submissions) == [(0, 25), (10, 30)]


# Faults


def test_clock_drop() -> None:
    # 5 whole, 10 at half: done at 15. Gaps keep their rate: 7 in a gap, 3 kernel.
    machine = Machine([None], faults=[Fault("clock_drop", 5, 10, part=H)])
    assert stamps(machine, [whole(10)], [Submission(0, 0, 0)]) == [(0, 15)]
    assert stamps(machine, [[Kernel(gap_ns=15)]], [Submission(0, 0, 0)]) == [(0, 15)]
    stopped = Machine([None], faults=[Fault("clock_drop", part=0)])
    assert first_rates(stopped, [whole(1)]) == [1]


def test_foreign_load() -> None:
    # 2 alone, 2 at half until 6, the other 6 alone.
    everything = Kernel(sm=ONE, dram=ONE)
    load = [Fault("foreign_load", 2, 4, kernel=everything)]
    assert stamps(Machine([None], faults=load), [whole(10)], [Submission(0, 0, 0)]) == [(0, 12)]
    always = [Fault("foreign_load", kernel=everything)]
    assert first_rates(Machine([50, 50], "green-contexts", faults=always), [[Kernel(duration_ns=1, sm=H)]]) == [ONE]
    assert first_rates(Machine([50, 50], "green-contexts", faults=always), [[Kernel(duration_ns=1, dram=ONE)]]) == [H]
    # Beside whoever has the turn: 4 until 8, 4 until 16.
    machine = Machine([None, None], "processes", slice_ns=1000, slice_phase_ns=500, faults=always)
    assert stamps(machine, [whole(4)] * 2, each_at_0(2)) == [(8, 16), (0, 8)]
    # Its footprint takes cache: of 100 bytes both keep 50, dram' = 2^20 x 50 // 100, whole beside nothing else.
    cache = [Fault("foreign_load", kernel=Kernel(footprint_bytes=100))]
    kernel = Kernel(duration_ns=9, dram=ONE, spill=ONE, footprint_bytes=100)
    assert first_rates(Machine([None], l2_bytes=100, faults=cache), [[kernel]]) == [2 * ONE // 3]


def test_lane_death() -> None:
    # At half until 5: 2.5 of 10 done; lane 1's other 7.5 alone take 8.
    submissions = [*each_at_0(2), Submission(0, 0, 0), Submission(0, 0, 6)]
    machine = Machine([None, None], faults=[Fault("lane_death", 5, lane=0)])
    assert stamps(machine, [whole(10)] * 2, submissions) == [(0, None), (0, 13), (None, None), (None, None)]


def test_what_ends_in_the_ns_of_the_death_has_ended() -> None:
    machine = Machine([None], faults=[Fault("lane_death", 10, lane=0)])
    assert stamps(machine, [whole(10)], [Submission(0, 0, 0)] * 2) == [(0, 10), (None, None)]


def test_a_dead_lane_loses_the_turn() -> None:
    machine = Machine(
        [None, None], "processes", slice_ns=1000, slice_phase_ns=500, faults=[Fault("lane_death", 4, lane=1)]
    )
    assert stamps(machine, [whole(10)] * 2, each_at_0(2)) == [(4, 14), (0, None)]


def test_hang() -> None:
    # The kernel that hangs keeps its half of the SMs.
    machine = Machine([None, None], faults=[Fault("hang", 4, lane=0)])
    submissions = [*each_at_0(2), Submission(0, 0, 0)]
    assert stamps(machine, [whole(10)] * 2, submissions, until_ns=99) == [(0, None), (0, 20), (None, None)]
    # An execution that is ready later starts, and stays there.
    assert stamps(machine, [whole(2)], [Submission(0, 0, 7)], until_ns=99) == [(7, None)]
    with pytest.raises(ValueError, match="until_ns"):
        stamps(machine, [whole(10)] * 2, submissions)


def test_lazy_load() -> None:
    # Lane 0 loads until 6, lane 1 until 12; 4 each at half until 20. The second of lane 0 is warm.
    machine = Machine([None, None], faults=[Fault("lazy_load", gap_ns=6)])
    submissions = [*each_at_0(2), Submission(0, 0, 0)]
    assert stamps(machine, [whole(4)] * 2, submissions) == [(0, 20), (0, 20), (20, 24)]


def test_loading_stops_the_others() -> None:
    # Lane 1 has loaded at 6, is at 3 of its kernel at 9, stands still until 15, ends at 15 + 2 x 4 (at half), when
    # lane 0 is at 4 of 10; the rest is alone.
    machine = Machine([None, None], faults=[Fault("lazy_load", gap_ns=6)])
    submissions = [Submission(1, 0, 0), Submission(0, 1, 9)]
    assert stamps(machine, [whole(7), whole(10)], submissions) == [(0, 23), (9, 29)]
    # A higher lane waits for a lower one that comes later: lane 1 is at 2 of its 6, then lane 0 loads from 2 to 8.
    submissions = [Submission(1, 0, 0), Submission(0, 1, 2)]
    found = stamps(machine, [whole(7), whole(10)], submissions)
    # Lane 1 loads on from 8 to 12; 7 at half until 26; lane 0 has 3 left.
    assert found == [(0, 26), (2, 29)]


def test_loading_needs_the_turn() -> None:
    # Turns of 4 from 0, lane 1's first: both load for 6. Lane 1 loads until 4, lane 0 until 8, lane 1 until 10 and is
    # at 2 of its 3 at 12; lane 0 until 14 and at 2 of its 3 at 16; lane 1 ends at 17, lane 0 at 18.
    machine = Machine([None] * 2, "processes", slice_ns=4, faults=[Fault("lazy_load", gap_ns=6)])
    assert stamps(machine, [whole(3)] * 2, each_at_0(2)) == [(4, 18), (0, 17)]
