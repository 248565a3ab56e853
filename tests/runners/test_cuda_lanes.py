"""Lane logic: order, queue, gate, delays, copies, capture; on the model GPU, and on a real one with --gpu."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from lane_rig import HANG_NS, MS, US, Rig, collect

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.cuda.gpu import OutOfGpuMemory
from cotenant.runners.cuda.in_process_session import InProcessSession
from cotenant.runners.cuda.lane import DEPTH
from cotenant.runners.cuda.lane_session import MAX_QUEUED
from cotenant.runners.cuda.session import open_in_process, open_processes
from cotenant.runners.protocol import Lane, Loaded


@pytest.fixture(scope="module", params=["model", pytest.param("gpu", marks=pytest.mark.gpu)])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    slack_ns, stamp_ns = (20 * US, 1 * US) if request.param == "model" else (200 * US, 30 * US)
    return Rig(request.param, tmp_path_factory.mktemp("engines"), slack_ns, stamp_ns)


@pytest.fixture
def session(rig: Rig) -> Iterator[InProcessSession]:
    with rig.open() as opened:
        yield opened


@pytest.fixture
def pair(rig: Rig, session: InProcessSession) -> tuple[Loaded, Loaded]:
    engine = rig.engine(3 * MS)
    return session.load(0, engine), session.load(1, engine)


def test_a_span_is_the_time_that_the_work_took(
    rig: Rig, session: InProcessSession, pair: tuple[Loaded, Loaded]
) -> None:
    before_ns = session.now_ns()
    ticket = session.submit(0, pair[0])
    (done,) = collect(session, 1)
    assert (done.ticket, done.lane, done.cpu_ns, done.h2d_ns, done.d2h_ns) == (ticket, 0, None, None, None)
    assert before_ns <= done.start_ns < done.end_ns <= session.now_ns()
    assert abs(done.end_ns - done.start_ns - 3 * MS) < rig.stamp_ns  # no launch of the host in it
    assert 0 < session.clock_error_ns < 1 * MS


def test_a_lane_executes_in_order_one_at_a_time(session: InProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    tickets = [session.submit(1, pair[1]) for _ in range(3 * DEPTH)]
    done = collect(session, 3 * DEPTH)
    assert [each.ticket for each in done] == tickets
    assert all(first.end_ns <= second.start_ns for first, second in pairwise(done))


def test_what_is_queued_follows_without_a_gap(rig: Rig, session: InProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    for _ in range(3 * DEPTH):  # beyond what the device holds: wait() must feed it in time
        session.submit(0, pair[0])
    done = collect(session, 3 * DEPTH)
    assert max(second.start_ns - first.end_ns for first, second in pairwise(done)) < rig.slack_ns


def test_a_gate_starts_lanes_together_and_nothing_before(
    rig: Rig, session: InProcessSession, pair: tuple[Loaded, Loaded]
) -> None:
    with session.gate():
        for lane in (0, 1):
            session.submit(lane, pair[lane])
            session.submit(lane, pair[lane])
        assert session.wait(session.now_ns() + 20 * MS) == []
        inside_ns = session.now_ns()
    done = collect(session, 4)
    first = {each.lane: each for each in reversed(done)}
    assert min(each.start_ns for each in done) >= inside_ns
    assert abs(first[0].start_ns - first[1].start_ns) < rig.stamp_ns


def test_a_gate_that_fails_starts_nothing_and_the_next_one_works(
    session: InProcessSession, pair: tuple[Loaded, Loaded]
) -> None:
    with pytest.raises(ValueError, match=r"not loaded"):
        submit_in_a_gate(session, pair[0], pair[0])
    assert session.wait(session.now_ns() + 30 * MS) == []
    with session.gate():
        session.submit(1, pair[1])
    assert len(collect(session, 1)) == 1


def submit_in_a_gate(session: InProcessSession, *loaded: Loaded) -> None:
    with session.gate():
        for lane, engine in enumerate(loaded):
            session.submit(lane, engine)


def test_gates_do_not_nest(session: InProcessSession) -> None:
    with session.gate(), pytest.raises(ValueError, match=r"open already"), session.gate():
        pass


def test_a_gate_for_a_busy_lane_holds_what_follows(
    rig: Rig, session: InProcessSession, pair: tuple[Loaded, Loaded]
) -> None:
    earlier = session.submit(0, pair[0])
    with session.gate():
        for lane in (0, 1):
            session.submit(lane, pair[lane])
    done = collect(session, 3)
    assert done[0].ticket == earlier or done[1].ticket == earlier
    lane_0 = [each for each in done if each.lane == 0]
    assert lane_0[0].ticket == earlier
    assert 0 <= lane_0[1].start_ns - lane_0[0].end_ns < rig.slack_ns


def test_delays_count_from_the_gate_and_from_the_execution_before(
    rig: Rig, session: InProcessSession, pair: tuple[Loaded, Loaded]
) -> None:
    with session.gate():
        session.submit(0, pair[0])
        session.submit(1, pair[1], delay_ns=7 * MS)
        session.submit(1, pair[1], delay_ns=2 * MS)
    lanes: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    for each in collect(session, 3):
        lanes[each.lane].append((each.start_ns, each.end_ns))
    assert abs(lanes[1][0][0] - lanes[0][0][0] - 7 * MS) < rig.slack_ns
    # a span keeps the device's rate, a start the host's: some parts per million of a span lie between
    assert -1 * US < lanes[1][1][0] - lanes[1][0][1] - 2 * MS < rig.slack_ns


def test_wait_ends_on_time(session: InProcessSession) -> None:
    until_ns = session.now_ns() + 10 * MS
    assert session.wait(until_ns) == []
    assert until_ns <= session.now_ns() < until_ns + 100 * MS
    assert session.wait(session.now_ns() - 1) == []


def test_engines_are_captured_once_for_each_lane(
    rig: Rig, session: InProcessSession, pair: tuple[Loaded, Loaded]
) -> None:
    modes = session.launch_modes()
    assert [(mode.lane, mode.captured, mode.refusal) for mode in modes] == [(0, True, None), (1, True, None)]
    with session.gate():  # one engine on two lanes: the model raises if one graph ran beside itself
        for lane in (0, 1):
            session.submit(lane, pair[lane])
    first, second = collect(session, 2)
    assert max(first.start_ns, second.start_ns) < min(first.end_ns, second.end_ns)


@pytest.mark.parametrize(("manner", "said"), [("refuses", "cannot be captured"), ("allocates", "CAPTURE")])
def test_what_cannot_be_captured_is_enqueued_plainly_and_told(
    rig: Rig, session: InProcessSession, manner: str, said: str
) -> None:
    loaded = [session.load(lane, rig.engine(2 * MS, kernels=4, manner=manner)) for lane in (0, 1)]
    assert [mode.captured for mode in session.launch_modes()] == [False, False]
    assert all(said in str(mode.refusal) for mode in session.launch_modes())
    with session.gate():
        for lane in (0, 1):
            for _ in range(5):
                session.submit(lane, loaded[lane])
    done = collect(session, 10)
    assert all(abs(each.end_ns - each.start_ns - 2 * MS) < rig.slack_ns for each in done)
    firsts = [min(each.start_ns for each in done if each.lane == lane) for lane in (0, 1)]
    assert abs(firsts[0] - firsts[1]) < rig.slack_ns


def test_copies_are_timed_apart(rig: Rig, session: InProcessSession) -> None:
    loaded = session.load(0, rig.engine(3 * MS, copied_bytes=1 << 20), copies=True)
    for _ in range(3):
        session.submit(0, loaded)
    done = collect(session, 3)
    for each in done:
        assert each.h2d_ns is not None
        assert each.d2h_ns is not None
        assert each.h2d_ns > 10 * US
        assert each.d2h_ns > 10 * US
        assert abs(each.end_ns - each.start_ns - 3 * MS) < rig.slack_ns
    for first, second in pairwise(done):
        assert second.start_ns - first.end_ns >= (first.d2h_ns or 0) + (second.h2d_ns or 0) - 2 * US


def test_lanes_are_loaded_only_while_idle(rig: Rig, session: InProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    short = rig.engine(1 * MS)
    session.submit(0, pair[0], delay_ns=50 * MS)
    with pytest.raises(ValueError, match=r"busy"):
        session.load(1, short)
    with pytest.raises(ValueError, match=r"busy"):
        session.unload(pair[1])
    collect(session, 1)
    session.unload(pair[1])
    with pytest.raises(ValueError, match=r"not loaded"):
        session.submit(1, pair[1])
    with pytest.raises(ValueError, match=r"not loaded"):
        session.submit(0, pair[1])
    with pytest.raises(ValueError, match=r"delay_ns"):
        session.submit(0, pair[0], delay_ns=-1)


def test_a_tenant_that_does_not_fit_is_named_with_what_was_free(rig: Rig, session: InProcessSession) -> None:
    with pytest.raises(OutOfGpuMemory, match=r"lane 1 .* \(timed\): out of GPU memory: \d+ of \d+ MiB were free"):
        session.load(1, rig.engine(1 * MS, manner="out_of_memory"))
    with pytest.raises(WorkError, match=r"lane 0 cannot load engine .*: the plan was cut short"):
        session.load(0, rig.engine(1 * MS, manner="torn"))
    loaded = session.load(0, rig.engine(1 * MS))
    session.submit(0, loaded)
    assert len(collect(session, 1)) == 1


def test_a_lane_takes_a_bounded_number_of_executions(rig: Rig) -> None:
    with rig.open(1) as session:
        loaded = session.load(0, rig.engine(10 * US))
        for _ in range(MAX_QUEUED):
            session.submit(0, loaded)
        with pytest.raises(ValueError, match=r"call wait\(\) first"):
            session.submit(0, loaded)
        assert len(collect(session, MAX_QUEUED)) == MAX_QUEUED


def test_a_session_closes_at_once_although_a_delay_runs(rig: Rig) -> None:
    with rig.open(1) as session:
        session.submit(0, session.load(0, rig.engine(1 * MS)), delay_ns=3600 * 1000 * MS)
        assert session.wait(session.now_ns() + 5 * MS) == []
        began_ns = session.now_ns()
    assert session.now_ns() - began_ns < HANG_NS // 2


def test_green_contexts_are_observed_with_what_was_granted(rig: Rig) -> None:
    with rig.open(2, "green-contexts") as session:
        assert session.isolation_observed == "green-contexts"
        assert all(stream.sm_count for stream in session.streams)
        loaded = [session.load(lane, rig.engine(3 * MS)) for lane in (0, 1)]
        with session.gate():
            for lane in (0, 1):
                session.submit(lane, loaded[lane])
        first, second = collect(session, 2)
        assert abs(first.start_ns - second.start_ns) < rig.slack_ns
    with rig.open(2) as session:
        assert session.isolation_observed == "streams"
        assert [stream.sm_count for stream in session.streams] == [None, None]


def test_requests_that_make_no_sense_are_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"at least one lane"):
        open_in_process(0, [], "streams", "no:loader")
    with pytest.raises(UserError, match=r"have no shares"):
        open_in_process(0, [Lane(share_pct=50)], "streams", "no:loader")
    with pytest.raises(UserError, match=r"at most 100"):
        open_in_process(0, [Lane(share_pct=120)], "green-contexts", "no:loader")
    with pytest.raises(UserError, match=r"processes have no shares"):
        open_processes(0, [Lane(share_pct=50)], "no:loader", [{}])
