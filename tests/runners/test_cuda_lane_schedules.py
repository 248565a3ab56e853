"""Random schedules on the model GPU against what the model itself saw, and against an oracle that knows no lanes."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_rig import HANG_NS, MS, US, model_session
from model_gpu import ModelGpu
from model_parts import Traits
from timed_engine import timed_engine

from cotenant.runners.cuda.in_process_session import InProcessSession
from cotenant.runners.cuda.lane import DEPTH
from cotenant.runners.protocol import Completion, Loaded

WORK_US = (15, 300, 2_000)
OVERHEAD_NS = 60 * US  # calls on the host, and the look at what has ended


@dataclass(frozen=True)
class Ask:
    """One submission: on which lane, which engine, after which delay; `gated` = inside the gate of its group."""

    lane: int
    engine: int
    delay_us: int


groups = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(st.builds(Ask, st.integers(0, 2), st.integers(0, 2), st.sampled_from([0, 0, 40, 900])), max_size=6),
        st.integers(0, 3_000),  # us that the host waits afterwards
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def load_all(session: InProcessSession, cache: Path) -> list[list[Loaded]]:
    engines = [timed_engine(cache, work_us * US, manner="plain") for work_us in WORK_US]
    return [[session.load(lane, engine) for engine in engines] for lane in range(session.lane_count)]


def device_spans(gpu: ModelGpu, done: list[Completion]) -> list[int]:
    return [round(gpu.device_ns(each.end_ns) - gpu.device_ns(each.start_ns)) for each in done]


@settings(max_examples=60, deadline=None)
@given(groups, st.floats(-100e-6, 100e-6))
def test_any_schedule_runs_once_in_order_and_on_time(
    cache: Path, schedule: list[tuple[bool, list[Ask], int]], drift: float
) -> None:
    session, _ = model_session(3, Traits(drift=drift))
    loaded = load_all(session, cache)
    expected: dict[int, tuple[Ask, int, int | None]] = {}  # ticket -> what, when submitted, gate opened at least
    done: list[Completion] = []
    for gated, asks, pause_us in schedule:
        tickets = []
        if gated:
            with session.gate():
                tickets = [session.submit(a.lane, loaded[a.lane][a.engine], a.delay_us * US) for a in asks]
                opens_ns = session.now_ns()
        else:
            tickets = [session.submit(a.lane, loaded[a.lane][a.engine], a.delay_us * US) for a in asks]
            opens_ns = 0
        expected |= {ticket: (ask, opens_ns, None) for ticket, ask in zip(tickets, asks, strict=True)}
        until_ns = session.now_ns() + pause_us * US
        while got := session.wait(until_ns):
            done += got
    while len(done) < len(expected):
        got = session.wait(session.now_ns() + HANG_NS)
        assert got
        done += got
    check(done, expected, session.clock_error_ns)
    session.close()


def check(done: list[Completion], expected: dict[int, tuple[Ask, int, int | None]], error_ns: int) -> None:
    assert sorted(each.ticket for each in done) == sorted(expected)
    for lane in range(3):
        mine = sorted((each for each in done if each.lane == lane), key=lambda each: each.start_ns)
        assert [each.ticket for each in mine] == sorted(each.ticket for each in mine)
        for first, second in pairwise(mine):
            assert first.end_ns <= second.start_ns
            gap_ns = second.start_ns - first.end_ns - expected[second.ticket][0].delay_us * US
            assert gap_ns > -error_ns - 1 * US
    for each in done:
        ask, opens_ns, _ = expected[each.ticket]
        assert each.lane == ask.lane
        assert abs(each.end_ns - each.start_ns - WORK_US[ask.engine] * US) <= 2 * US
        assert each.start_ns >= opens_ns + ask.delay_us * US - error_ns


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 40, 900])), min_size=1, max_size=24))
def test_a_gated_burst_ends_when_an_oracle_says(cache: Path, asks: list[tuple[int, int]]) -> None:
    """One lane, one gate: each execution starts when the one before has ended and its delay is over."""
    session, _ = model_session(1)
    (loaded,) = load_all(session, cache)
    with session.gate():
        for engine, delay_us in asks:
            session.submit(0, loaded[engine], delay_us * US)
    done: list[Completion] = []
    while len(done) < len(asks):
        done += session.wait(session.now_ns() + HANG_NS)
    clock_ns = done[0].start_ns - asks[0][1] * US
    for each, (engine, delay_us) in zip(done, asks, strict=True):
        clock_ns += delay_us * US
        assert abs(each.start_ns - clock_ns) <= 25 * US  # refilling the device's queue, where an execution is so short
        clock_ns = each.start_ns + WORK_US[engine] * US
        assert abs(each.end_ns - clock_ns) <= 2 * US
    session.close()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.floats(0.0, 1.5), st.integers(1, 6))
def test_contention_is_seen_as_it_is(cache: Path, lanes: int, contention: float, rounds: int) -> None:
    """Equal kernels that start together stretch by the same factor: 1 + contention x (lanes - 1)."""
    session, _ = model_session(lanes, Traits(contention=contention))
    engine = timed_engine(cache, 2 * MS)
    loaded = [session.load(lane, engine) for lane in range(lanes)]
    with session.gate():
        for lane in range(lanes):
            for _ in range(rounds):
                session.submit(lane, loaded[lane])
    done: list[Completion] = []
    while len(done) < lanes * rounds:
        done += session.wait(session.now_ns() + HANG_NS)
    stretch = 1 + contention * (lanes - 1)
    assert all(abs(each.end_ns - each.start_ns - 2 * MS * stretch) < 5 * US for each in done)
    session.close()


def test_what_the_device_holds_is_bounded(cache: Path) -> None:
    session, gpu = model_session(2)
    loaded = load_all(session, cache)
    for _ in range(10 * DEPTH):
        for lane in (0, 1):
            session.submit(lane, loaded[lane][1])
    done = 0
    while done < 20 * DEPTH:
        done += len(session.wait(session.now_ns() + HANG_NS))
    assert gpu.most_queued <= 6 * DEPTH  # the starter, graph of one kernel with its two markers, and two events
    session.close()
