"""Isolation modes beside cases worked by hand, and the two half loads that tell modes apart."""

import pytest
from simulated_lists import FAR_NS, ONE, Kernel, device, listed, opened, run, seed_of_phase

from cotenant.models.errors import UserError
from cotenant.runners.protocol import Lane
from cotenant.runners.simulated.device_state import quotas

FULL = Kernel(60, sm=ONE)
HALF = Kernel(1000, sm=ONE // 2, l2=ONE // 2, dram=ONE // 2)


def test_mps_shares_bound_what_a_lane_gets_of_the_sms_alone() -> None:
    assert run(opened([25, None], "mps"), [FULL])[0] == [(0, 240)]
    assert run(opened([25, None], "mps"), [Kernel(60, dram=ONE)])[0] == [(0, 60)]


def test_mps_shares_may_add_up_to_more_and_are_then_shared_fairly() -> None:
    assert run(opened([75, 75], "mps"), [FULL], [FULL]) == {0: [(0, 120)], 1: [(0, 120)]}
    # 1/4 is granted whole, so that the lane without a share has 3/4 for 80 ns
    assert run(opened([25, None], "mps"), [FULL], [FULL]) == {0: [(0, 240)], 1: [(0, 80)]}


def test_green_contexts_keep_their_sms_whoever_else_is_there() -> None:
    for others in ([], [FULL]):
        assert run(opened([25, 75], "green-contexts"), [FULL], others)[0] == [(0, 240)]
    assert run(opened([50, None, None], "green-contexts"), [FULL], [FULL], [FULL]) == {
        0: [(0, 120)],
        1: [(0, 240)],
        2: [(0, 240)],
    }


def test_green_contexts_share_bandwidths_all_the_same() -> None:
    kernel = Kernel(60, sm=ONE // 4, dram=ONE)
    assert run(opened(2, "green-contexts"), [kernel], [kernel])[0] == [(0, 120)]


def test_processes_take_turns_from_the_phase_on() -> None:
    # the highest lane has the first turn; boundaries at 2, 6, 10, 14, 18
    #   | 0-2 lane 1 | 2-6 lane 0 | 6-10 lane 1 | 10-14 lane 0 | 14-18 lane 1 ends | 18-20 lane 0 ends |
    session = opened(2, "processes", device(slice_ns=4), seed_of_phase(2, 4))
    assert run(session, [Kernel(10)], [Kernel(10)]) == {0: [(2, 20)], 1: [(0, 18)]}


def test_a_turn_that_nobody_else_wants_stays() -> None:
    session = opened(3, "processes", device(slice_ns=4), seed_of_phase(2, 4))
    assert run(session, [Kernel(10)]) == {0: [(0, 10)]}


def test_a_turn_without_work_passes_at_once() -> None:
    session = opened(2, "processes", device(slice_ns=4), seed_of_phase(2, 4))
    #   | 0-2 lane 1 | 2-6 lane 0 | 6-7 lane 1 ends | 7-13 lane 0, over the boundary at 10 |
    assert run(session, [Kernel(10)], [Kernel(3)]) == {0: [(2, 13)], 1: [(0, 7)]}


def test_gaps_stand_still_without_the_turn_and_a_delay_does_not() -> None:
    session = opened(2, "processes", device(slice_ns=100), seed_of_phase(40, 100))
    loaded = [session.load_kernels(lane, "e", listed(Kernel(0, gap=50))) for lane in range(2)]
    session.submit(1, loaded[1])
    session.submit(0, loaded[0], delay_ns=30)
    # lane 0 is ready at 30 and starts with the turn at 40; lane 1 stands still until the turn comes back at 90
    first, second = session.wait(FAR_NS) + session.wait(FAR_NS)
    assert (first.lane, first.start_ns, first.end_ns) == (0, 40, 90)
    assert (second.lane, second.start_ns, second.end_ns) == (1, 0, 100)


def test_who_has_the_turn_is_as_if_alone() -> None:
    session = opened(2, "processes", device(slice_ns=10), seed_of_phase(0, 10))
    assert run(session, [FULL], [FULL]) == {0: [(10, 120)], 1: [(0, 110)]}


def test_all_submissions_of_one_time_meet_the_turn_together() -> None:
    session = opened(3, "processes", device(slice_ns=100), seed_of_phase(50, 100))
    loaded = [session.load_kernels(lane, "e", listed(Kernel(10))) for lane in range(3)]
    for lane in (1, 0):
        session.submit(lane, loaded[lane])
        assert session.wait(session.now_ns()) == []  # a look that moves no clock changes nothing
    # lane 2 has nothing: the next lane around with something is 0, though lane 1 was submitted first
    assert [c.lane for c in session.wait(FAR_NS) + session.wait(FAR_NS)] == [0, 1]


@pytest.mark.parametrize(
    ("isolation", "makespan_ns"), [("streams", 1000), ("mps", 1000), ("green-contexts", 1000), ("processes", 2000)]
)
def test_two_half_loads_tell_whether_lanes_run_concurrently(isolation: str, makespan_ns: int) -> None:
    spans = run(opened(2, isolation, device(slice_ns=100)), [HALF], [HALF])
    assert max(spans[0][0][1], spans[1][0][1]) == makespan_ns


def test_shares_that_cannot_be_granted_are_the_users_mistake() -> None:
    for isolation in ("streams", "processes"):
        with pytest.raises(UserError, match=r"share"):
            opened([50, None], isolation)
    for shares in ([60, 60], [100, None], [0], [101], [-5]):
        with pytest.raises(UserError, match=r"share"):
            opened(shares, "green-contexts")
    with pytest.raises(UserError, match=r"share"):
        opened([101, None], "mps")


def test_shares_are_whole_units_rounded_down() -> None:
    assert quotas([Lane(30), Lane(33.3), Lane()], "mps") == [314572, 349175, ONE]
    assert quotas([Lane(30), Lane(), Lane()], "green-contexts") == [314572, 367001, 367001]
