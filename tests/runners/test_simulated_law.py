"""The law of record 10 beside cases worked by hand: fair shares, whole ns, what is carried and what is lost."""

import pytest
from simulated_lists import FAR_NS, L2_BYTES, ONE, Kernel, device, everything, listed, opened, run

from cotenant.runners.protocol import Lane
from cotenant.runners.simulated.fixed_input import Submission, run_lists

FULL = Kernel(10, sm=ONE)


def test_alone_a_list_takes_its_gaps_and_durations() -> None:
    assert run(opened(1), [Kernel(10, sm=ONE, gap=3), Kernel(7, dram=ONE, gap=2)]) == {0: [(0, 22)]}


@pytest.mark.parametrize("resource", ["sm", "l2", "dram"])
def test_equal_demands_share_evenly(resource: str) -> None:
    kernel = Kernel(10, **{resource: ONE})
    assert run(opened(2), [kernel], [kernel]) == {0: [(0, 20)], 1: [(0, 20)]}


def test_a_small_demand_is_granted_whole_and_the_other_takes_the_rest() -> None:
    # lane 1 gets 3/4 while lane 0 runs its 12 ns, has done 9 of 12, and is alone for 3 more
    found = run(opened(2), [Kernel(12, sm=ONE // 4)], [Kernel(12, sm=ONE)])
    assert found == {0: [(0, 12)], 1: [(0, 15)]}


def test_three_demands_in_ascending_order() -> None:
    # of ONE: 1/8 is granted whole (3/8 <= 1), then 7/8 for two, 7/16 each: rates 1, 7/16 / (1/2) = 7/8, 7/16
    found = run(opened(3), [Kernel(700, l2=ONE // 8)], [Kernel(700, l2=ONE // 2)], [Kernel(700, l2=ONE)])
    # at 700 lane 1 has 87.5 left and lane 2 has 393.75; 1/2 whole and 1/2 of the full one: rates 1 and 1/2
    # at 788 lane 2 has 349.75 left, alone
    assert found == {0: [(0, 700)], 1: [(0, 788)], 2: [(0, 1138)]}


def test_resources_are_shared_out_independently_and_the_scarcest_decides() -> None:
    # sm: 2/3 each asked, 1/2 each granted -> 3/4; dram: ONE each asked -> 1/2
    kernel = Kernel(30, sm=2 * (ONE // 3), dram=ONE)
    assert run(opened(2), [kernel], [kernel])[0] == [(0, 60)]


def test_below_saturation_nothing_is_slowed() -> None:
    kernel = Kernel(10, sm=ONE // 2, l2=ONE // 2, dram=ONE // 2, spill=ONE, footprint=L2_BYTES // 2)
    assert run(opened(2), [kernel], [kernel]) == {0: [(0, 10)], 1: [(0, 10)]}


def test_what_is_lost_of_the_cache_is_fetched_from_memory() -> None:
    # each keeps half its footprint: dram' = 1/2 + 1/2 = ONE, of which each gets 1/2
    kernel = Kernel(10, dram=ONE // 2, spill=ONE, footprint=L2_BYTES)
    assert run(opened(1), [kernel]) == {0: [(0, 10)]}
    assert run(opened(2), [kernel], [kernel]) == {0: [(0, 20)], 1: [(0, 20)]}


def test_a_small_footprint_keeps_its_place() -> None:
    # 1/4 is kept whole, the other keeps 3/4 of the cache of its whole: dram' = 1/2 and 1/2 + 1/4, together 5/4;
    # 1/2 is granted whole, 1/2 of 3/4 to the other: rate 2/3, which is 699050 / 2^20
    small, large = (
        Kernel(10, dram=ONE // 2, spill=ONE, footprint=L2_BYTES // 4),
        Kernel(30, dram=ONE // 2, spill=ONE, footprint=L2_BYTES),
    )
    found = run(opened(2), [small], [large])
    # lane 1 has done 10 x 2/3 (a little less) at 10 and needs 23.3 more alone
    assert found == {0: [(0, 10)], 1: [(0, 34)]}


def test_a_footprint_larger_than_the_cache_spills_alone_and_rates_are_rounded_down() -> None:
    # dram' = 1/2 + 2 x 1/2 = 3/2: the rate 2/3 rounds down to 699050 / 2^20, so 10 ns take a little more than 15
    assert run(opened(1), [Kernel(10, dram=ONE // 2, spill=2 * ONE, footprint=2 * L2_BYTES)]) == {0: [(0, 16)]}


def test_no_kernel_stands_still() -> None:
    # a share of a millionth rounds down to 1 of ONE; of a hundred millionth to nothing, and the least rate is 1
    for share in (1e-4, 1e-6):
        assert run(opened([share], "mps"), [Kernel(2, sm=ONE)]) == {0: [(0, 2 * ONE)]}


def test_the_rest_of_a_phases_last_ns_is_credited_to_the_next() -> None:
    # at rate 3/4, 10 ns end in the 14th with 1/2 ns too much done; 9 1/2 are left and end in the 27th
    assert run(opened([75], "mps"), [FULL, FULL]) == {0: [(0, 27)]}


def test_what_is_beyond_the_last_phase_is_lost() -> None:
    assert run(opened([75], "mps"), [FULL], times=2) == {0: [(0, 14), (14, 28)]}


def test_a_phase_that_credit_covers_ends_at_once_and_passes_the_rest_on() -> None:
    # under the factor 1/8: 10 ns are 1 1/4 units of ONE; at rate 3/4 the second ns does 1/4 too much, which covers a
    # kernel of 1 ns (1/8) and half of the next (2 ns: 1/4); the 1/8 left takes one more ns
    lists = [listed(Kernel(10, sm=ONE), Kernel(1, sm=ONE), Kernel(2, sm=ONE))]
    rows = run_lists(device(), lists, [Submission(0, 0, factor=ONE // 8)], [Lane(75)], "mps")
    assert rows.tolist() == [[0, 0, 0, 3]]


def test_phases_of_no_length_are_left_out_and_an_empty_list_is_one_gap() -> None:
    assert run(opened(1), [Kernel(0, sm=ONE), Kernel(5, sm=ONE)]) == {0: [(0, 5)]}
    assert run(opened(1), [Kernel(0)]) == {0: [(0, 1)]}
    assert run(opened(1), [], times=2) == {0: [(0, 1), (1, 2)]}


def test_gaps_demand_nothing_and_pass_at_full_rate() -> None:
    # lane 1 is alone for the 10 ns of lane 0's gap, then both have 10 left at half rate
    assert run(opened(2), [Kernel(10, sm=ONE, gap=10)], [Kernel(20, sm=ONE)]) == {0: [(0, 30)], 1: [(0, 30)]}


def test_ends_of_one_ns_are_returned_together_and_the_next_start_in_it() -> None:
    session = opened(3)
    loaded = [session.load_kernels(lane, "e", listed(Kernel(10))) for lane in range(3)]
    for lane in (2, 0, 1, 0):
        session.submit(lane, loaded[lane])
    assert [(c.lane, c.ticket, c.end_ns) for c in session.wait(FAR_NS)] == [(0, 1, 10), (1, 2, 10), (2, 0, 10)]
    assert session.now_ns() == 10
    assert [(c.ticket, c.start_ns, c.end_ns) for c in session.wait(FAR_NS)] == [(3, 10, 20)]


def test_what_the_host_submits_on_a_completion_starts_in_that_ns() -> None:
    session = opened(1)
    loaded = session.load_kernels(0, "e", listed(Kernel(10)))
    session.submit(0, loaded)
    session.wait(FAR_NS)
    session.submit(0, loaded)
    assert [(c.start_ns, c.end_ns) for c in session.wait(FAR_NS)] == [(10, 20)]


def test_a_delay_begins_when_gate_and_predecessor_allow() -> None:
    session = opened(2)
    loaded = [session.load_kernels(lane, "e", listed(Kernel(10))) for lane in range(2)]
    with session.gate():
        session.submit(0, loaded[0], delay_ns=5)
        session.submit(0, loaded[0], delay_ns=7)
        session.submit(1, loaded[1])
        assert session.wait(100) == []
    # opened at 100: 105-115, then 7 ns after that; lane 1 at once
    assert [(c.lane, c.start_ns, c.end_ns) for c in everything(session)] == [
        (1, 100, 110),
        (0, 105, 115),
        (0, 122, 132),
    ]
