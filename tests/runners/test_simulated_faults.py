"""Each fault beside cases worked by hand."""

import pytest
from pydantic import ValidationError
from simulated_lists import FAR_NS, L2_BYTES, ONE, Kernel, device, everything, listed, opened, run

from cotenant.runners.protocol import LaneLost
from cotenant.runners.simulated.faults import Faults

FULL = Kernel(10, sm=ONE)


def test_a_clock_drop_slows_kernels_and_no_gaps() -> None:
    file = device(clock_drop={"at_ns": 5, "for_ns": 20, "part_ratio": 0.5})
    assert run(opened(1, file=file), [Kernel(30)]) == {0: [(0, 40)]}  # 5, 20 at half rate, 15
    assert run(opened(1, file=file), [Kernel(0, gap=30)]) == {0: [(0, 30)]}


def test_a_clock_drop_leaves_at_least_the_least_rate() -> None:
    file = device(clock_drop={"at_ns": 0, "for_ns": ONE, "part_ratio": 1e-9})
    assert run(opened(1, file=file), [Kernel(2)]) == {0: [(0, ONE + 1)]}


def test_a_foreign_load_takes_part_in_every_share() -> None:
    file = device(foreign_load={"at_ns": 4, "for_ns": 8, "sm": 100, "l2": 100, "dram": 100})
    for resource in ("sm", "l2", "dram"):
        # 4, then 8 ns at half rate, then 2
        assert run(opened(1, file=file), [Kernel(10, **{resource: ONE})]) == {0: [(0, 14)]}
    cache = device(foreign_load={"at_ns": 0, "for_ns": 100, "footprint_bytes": L2_BYTES})
    # half the footprint is lost: dram' = 1 + 1/2 of what there is; the foreign load asks for none
    assert run(opened(1, file=cache), [Kernel(10, dram=ONE, spill=ONE, footprint=L2_BYTES)]) == {0: [(0, 16)]}


def test_a_foreign_load_stays_out_of_green_contexts_sms_and_meets_every_process() -> None:
    file = device(slice_ns=1000, foreign_load={"at_ns": 0, "for_ns": 1000, "sm": 100, "dram": 50})
    assert run(opened(1, "green-contexts", file), [FULL]) == {0: [(0, 10)]}
    assert run(opened(1, "green-contexts", file), [Kernel(10, dram=ONE)]) == {0: [(0, 20)]}
    assert run(opened(1, "processes", file), [FULL]) == {0: [(0, 20)]}


def test_a_lane_that_dies_takes_what_it_has_with_it() -> None:
    session = opened(2, file=device(lane_death={"lane": 1, "at_ns": 25}))
    loaded = [session.load_kernels(lane, "e", listed(FULL)) for lane in range(2)]
    for _ in range(3):
        for lane in (0, 1):
            session.submit(lane, loaded[lane])
    assert [c.end_ns for c in session.wait(FAR_NS)] == [20, 20]
    with pytest.raises(LaneLost, match=r"lane 1 is lost") as told:
        session.wait(FAR_NS)
    assert (told.value.lane, session.now_ns()) == (1, 25)
    with pytest.raises(LaneLost):
        session.submit(1, loaded[1])
    with pytest.raises(LaneLost):
        session.wait(FAR_NS)
    assert session.now_ns() == 25


def test_what_ends_in_the_ns_of_the_death_has_ended() -> None:
    session = opened(1, file=device(lane_death={"lane": 0, "at_ns": 10}))
    loaded = session.load_kernels(0, "e", listed(FULL))
    for _ in range(2):
        session.submit(0, loaded)
    assert [c.end_ns for c in session.wait(FAR_NS)] == [10]
    with pytest.raises(LaneLost):
        session.wait(FAR_NS)
    assert session.now_ns() == 10


def test_a_lane_may_be_lost_from_the_beginning() -> None:
    session = opened(2, file=device(lane_death={"lane": 0, "at_ns": 0}))
    loaded = [session.load_kernels(lane, "e", listed(FULL)) for lane in range(2)]
    with pytest.raises(LaneLost):
        session.submit(0, loaded[0])
    with pytest.raises(LaneLost):
        session.wait(FAR_NS)


def test_a_lane_that_hangs_keeps_its_part_of_the_device() -> None:
    session = opened(2, file=device(hang={"lane": 1, "at_ns": 4}))
    assert run(session, [FULL], [FULL]) == {0: [(0, 20)], 1: []}
    assert session.now_ns() == 20 + FAR_NS  # the wait for more took all the time it was given


def test_the_first_execution_of_each_loaded_engine_begins_with_a_lazy_phase() -> None:
    session = opened(1, file=device(lazy_load={"gap_ns": 7}))
    first, second = (session.load_kernels(0, name, listed(FULL)) for name in ("a", "b"))
    for engine in (first, first, second, first):
        session.submit(0, engine)
    assert [c.end_ns - c.start_ns for c in everything(session)] == [17, 10, 17, 10]
    session.unload(second)
    session.submit(0, session.load_kernels(0, "b", listed(FULL)))
    assert [c.end_ns - c.start_ns for c in everything(session)] == [17]


def test_a_lazy_phase_stops_everybody_else() -> None:
    # lane 1 waits for lane 0's 7 ns, then lane 0 for lane 1's; then both share
    session = opened(2, file=device(lazy_load={"gap_ns": 7}))
    assert run(session, [FULL], [FULL]) == {0: [(0, 34)], 1: [(0, 34)]}


def test_a_lazy_phase_can_be_all_of_an_execution() -> None:
    assert run(opened(1, file=device(lazy_load={"gap_ns": 7})), [], times=2) == {0: [(0, 7), (7, 8)]}


def test_an_execution_that_a_failed_gate_drops_warms_nothing() -> None:
    session = opened(1, file=device(lazy_load={"gap_ns": 7}))
    loaded = session.load_kernels(0, "e", listed(FULL))
    with pytest.raises(ValueError, match=r"delay_ns"), session.gate():  # noqa: PT012
        for delay_ns in (0, -1):
            session.submit(0, loaded, delay_ns)
    session.submit(0, loaded)
    assert [c.end_ns for c in everything(session)] == [17]


def test_faults_of_lanes_that_are_not_there_stay_silent() -> None:
    file = device(lane_death={"lane": 1, "at_ns": 0}, hang={"lane": 7, "at_ns": 0})
    assert run(opened(1, file=file), [FULL]) == {0: [(0, 10)]}


@pytest.mark.parametrize(
    "entry",
    [
        {"clock_drop": {"at_ns": 0, "for_ns": 1, "part_ratio": 0}},
        {"clock_drop": {"at_ns": 0, "for_ns": 0, "part_ratio": 0.5}},
        {"foreign_load": {"at_ns": 0, "for_ns": 1, "sm": 101}},
        {"hang": {"lane": 0, "at_ns": -1}},
        {"hang": {"lane": 0, "at_ns": 0, "for_ns": 3}},
        {"lazy_load": {}},
        {"power_cut": {}},
    ],
)
def test_faults_out_of_range_are_refused(entry: dict[str, dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        Faults.model_validate(entry)
