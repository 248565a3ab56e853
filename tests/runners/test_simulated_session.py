"""Sessions of the simulated runner: what they refuse, what they remember, and their truth."""

import resource

import numpy as np
import pytest
from simulated_lists import FAR_NS, L2_BYTES, ONE, Kernel, device, everything, listed, opened, run

from cotenant.models.errors import WorkError
from cotenant.runners.protocol import Lane, Loaded
from cotenant.runners.simulated.fixed_input import Submission, run_lists
from cotenant.runners.simulated.session import SimulatedSession
from cotenant.runners.simulated.truth import LOG_ROWS_AT_ONCE

FULL = Kernel(10, sm=ONE)
MIXED = [Kernel(40, sm=ONE, gap=3), Kernel(30, dram=ONE, spill=ONE, footprint=L2_BYTES, gap=2), Kernel(9, l2=ONE // 2)]


def loaded_on(session: SimulatedSession, *lanes: int) -> list[Loaded]:
    return [session.load_kernels(lane, "e", listed(FULL)) for lane in lanes]


def test_time_stands_still_unless_somebody_waits() -> None:
    session = opened(1)
    (loaded,) = loaded_on(session, 0)
    session.submit(0, loaded)
    assert session.now_ns() == 0
    assert session.wait(4) == []
    assert session.now_ns() == 4
    assert session.wait(3) == []
    assert session.now_ns() == 4
    assert [c.end_ns for c in session.wait(10)] == [10]
    assert session.wait(50) == []
    assert session.now_ns() == 50


def test_loading_takes_no_time_and_needs_idle_lanes() -> None:
    session = opened(2)
    first, second = loaded_on(session, 0, 1)
    session.submit(0, first)
    with pytest.raises(ValueError, match=r"busy"):
        loaded_on(session, 1)
    with pytest.raises(ValueError, match=r"busy"):
        session.unload(second)
    everything(session)
    before_ns = session.now_ns()
    session.unload(first)
    assert session.now_ns() == before_ns
    with pytest.raises(ValueError, match=r"not loaded"):
        session.submit(0, first)
    with pytest.raises(ValueError, match=r"not loaded"):
        session.submit(0, second)
    with pytest.raises(ValueError, match=r"not loaded"):
        session.unload(first)
    with pytest.raises(IndexError):
        loaded_on(session, 2)


def test_engines_that_come_and_go_keep_their_kernels_apart() -> None:
    session = opened(1)
    lists = {name: listed(*[Kernel(10)] * count) for name, count in (("a", 1), ("b", 2), ("c", 3))}
    loaded = {name: session.load_kernels(0, name, kernels) for name, kernels in lists.items()}
    session.unload(loaded.pop("b"))
    loaded["d"] = session.load_kernels(0, "d", listed(Kernel(5)))
    for name in ("d", "c", "a"):
        session.submit(0, loaded[name])
    assert [c.end_ns - c.start_ns for c in everything(session)] == [5, 30, 10]


def test_bad_submissions_are_refused() -> None:
    session = opened(1)
    (loaded,) = loaded_on(session, 0)
    with pytest.raises(ValueError, match=r"delay_ns is -1"):
        session.submit(0, loaded, delay_ns=-1)
    with session.gate(), pytest.raises(ValueError, match=r"gate is open already"), session.gate():
        pass
    for _ in range(1024):
        session.submit(0, loaded)
    with pytest.raises(ValueError, match=r"1024 executions"):
        session.submit(0, loaded)
    session.wait(FAR_NS)
    session.submit(0, loaded)
    assert len(everything(session)) == 1024


def test_a_gate_counts_towards_the_bound_only_while_it_holds() -> None:
    session = opened(1)
    (loaded,) = loaded_on(session, 0)
    with pytest.raises(ValueError, match=r"1024 executions"), session.gate():  # noqa: PT012
        for _ in range(1025):
            session.submit(0, loaded)
    assert session.wait(FAR_NS) == []
    for _ in range(1024):
        session.submit(0, loaded)


def test_the_ring_of_a_lane_goes_round() -> None:
    session = opened(1)
    (loaded,) = loaded_on(session, 0)
    tickets = []
    for _ in range(5):
        for _ in range(700):
            session.submit(0, loaded)
        tickets += [c.ticket for c in everything(session)]
    assert tickets == list(range(3500))


def test_the_truth_is_asked_for_before_work_and_not_kept_otherwise() -> None:
    session = opened(1)
    with pytest.raises(ValueError, match=r"keep_truth"):
        session.truth()
    (loaded,) = loaded_on(session, 0)
    session.submit(0, loaded)
    with pytest.raises(ValueError, match=r"before the first submission"):
        session.keep_truth()


def test_the_truth_tells_each_stretch_of_constant_rate() -> None:
    session = opened(2)
    session.keep_truth()
    run(session, [Kernel(10, sm=ONE, gap=10)], [Kernel(20, sm=ONE)])
    truth = session.truth()
    rows = zip(truth.t0_ns, truth.t1_ns, truth.lane, truth.ticket, truth.rate, strict=True)
    half = ONE // 2
    # a gap and a kernel at one rate are one stretch: rates alone part it
    assert sorted(rows) == [(0, 10, 0, 0, ONE), (0, 10, 1, 1, ONE), (10, 30, 0, 0, half), (10, 30, 1, 1, half)]


def test_the_truth_tells_what_is_under_way() -> None:
    session = opened(2, "processes", device(slice_ns=100))
    session.keep_truth()
    loaded = loaded_on(session, 0, 1)
    for lane in (0, 1):
        session.submit(lane, loaded[lane])
    assert session.wait(4) == []
    truth = session.truth()
    assert (truth.t0_ns.tolist(), truth.t1_ns.tolist(), truth.rate.tolist()) == ([0], [4], [ONE])


def test_a_long_truth_loses_no_row() -> None:
    session = opened(2)
    session.keep_truth()
    loaded = [session.load_kernels(lane, str(lane), listed(*MIXED)) for lane in range(2)]
    for _ in range(15):
        for lane in (0, 1):
            for _ in range(1000):
                session.submit(lane, loaded[lane])
        everything(session)
    truth = session.truth()
    assert len(truth.rate) > LOG_ROWS_AT_ONCE
    work = np.bincount(truth.ticket, truth.rate * (truth.t1_ns - truth.t0_ns))
    assert len(work) == 30_000
    assert np.all((work >= 84 * ONE) & (work < 85 * ONE))


def test_completed_executions_are_forgotten() -> None:
    session = opened(1)
    (loaded,) = loaded_on(session, 0)

    def block(times: int) -> int:
        for _ in range(times):
            for _ in range(1000):
                session.submit(0, loaded)
            while session.wait(session.now_ns() + 20):
                pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    block(5)
    before = block(20)
    assert block(200) - before < 2048  # KiB; a row of 8 numbers for each of 180 000 more would take 11 MiB


def test_a_fixed_input_runs_to_its_end_in_one_call_as_it_does_through_wait() -> None:
    lists = [listed(*MIXED), listed(FULL)]
    submissions = [
        Submission(number % 2, number % 2, delay_ns=number % 5, factor=ONE + 999 * number) for number in range(3000)
    ]
    rows = run_lists(device(), lists, submissions, [Lane(), Lane()])
    assert sorted(rows[:, 0].tolist()) == list(range(3000))
    assert rows[:, 3].tolist() == sorted(rows[:, 3].tolist())
    session = SimulatedSession(
        device(), "streams", [ONE, ONE], 0, lambda first, count: ONE + 999 * np.arange(first, first + count), 1500
    )
    loaded = [session.load_kernels(lane, str(lane), kernels) for lane, kernels in enumerate(lists)]
    for each in submissions:
        session.submit(each.lane, loaded[each.lane], each.delay_ns)
    assert [[c.ticket, c.lane, c.start_ns, c.end_ns] for c in everything(session)] == rows.tolist()
    assert session.phase_counts() == (1500 * 3 + 1500, 1500 * 2)


def test_numbers_beyond_the_loops_are_refused() -> None:
    session = opened(1, file=device(noise_pct=100))  # an execution may take 387 times as long as listed
    with pytest.raises(WorkError, match=r"whole numbers"):
        session.load_kernels(0, "long", listed(Kernel(10**12)))
    session.load_kernels(0, "shorter", listed(Kernel(10**9)))
