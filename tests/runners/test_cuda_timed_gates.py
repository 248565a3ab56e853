"""The instant that opens lanes in processes, at the wire: no processes, lanes whose timer drifts, in virtual time."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from lane_rig import MS, US
from model_parts import VirtualClock
from timed_engine import timed_engine

from cotenant.runners.cuda import process_session
from cotenant.runners.cuda.process_session import GATE_AHEAD_EACH_NS, GATE_AHEAD_NS, ProcessSession
from cotenant.runners.cuda.wire import ANCHOR, DONE, LOAD, LOADED, READY, RUN, SYNC, Command, Reply
from cotenant.runners.protocol import Loaded

S = 1_000_000_000
SEND_NS = 20 * US
FACTS = {"handle": 1, "priority": 0, "sm_count": None, "isolation": "processes", "tick_ns": 32, "stamp_pair_ns": 0}


class WiredLane:
    """What a session asks of a lane; executions end when `end` is called."""

    lost_cause: str | None = None

    def __init__(self, index: int, clock: VirtualClock, drift: float) -> None:
        self.index, self._clock, self._drift = index, clock, drift
        self.told: list[tuple[Command, int]] = []  # with what the timer showed as it came
        self._replies: list[Reply] = []

    def timer_ns(self) -> int:
        now_ns = self._clock.now_ns()
        return now_ns + round(now_ns % (1 << 50) * self._drift)

    def anchor(self) -> Reply:
        skew_ns = (-9 * US, 9 * US)[self.index]  # stamps lie anywhere in their brackets: a few tell no rate
        return Reply(ANCHOR, 1, self.timer_ns(), self._clock.now_ns() + skew_ns, 20 * US)

    def send(self, command: Command) -> None:
        self._clock.spend(SEND_NS)
        self.told.append((command, self.timer_ns()))
        if command.kind == SYNC:
            self._replies.append(self.anchor())
        elif command.kind == LOAD:
            self._replies.append(Reply(LOADED, body=json.dumps({"captured": True, "refusal": None}).encode()))

    def receive(self) -> list[Reply]:
        replies, self._replies = self._replies, []
        return replies

    def receive_until(self, kinds: Sequence[int], timeout_s: float) -> list[Reply]:
        replies = self.receive()
        assert replies[-1].kind in kinds
        return replies

    def end(self, lag_ns: int, work_ns: int = 1 * MS) -> None:
        """Let what was told execute, so long after the instant."""
        runs = [(command, timer_ns) for command, timer_ns in self.told if command.kind == RUN]
        self.told.clear()
        begin_ns = max(runs[0][1], runs[0][0].start_timer_ns) + lag_ns
        for command, _ in runs:
            begin_ns += command.delay_ns
            self._replies.append(Reply(DONE, command.ticket, begin_ns, begin_ns + work_ns))
            begin_ns += work_ns

    def close(self, at_once: bool) -> None:
        """End."""

    def raise_if_lost(self) -> None:
        """Live."""


class Bed:
    def __init__(self, cache: Path, drift: float, clock: VirtualClock) -> None:
        self.clock = clock
        self.lanes = [WiredLane(index, clock, drift) for index in (0, 1)]
        ready = []
        for lane in self.lanes:
            anchors = []
            for _ in range(4):
                anchors.append(lane.anchor())
                clock.pause(20 * MS)
            ready.append([*anchors, Reply(READY, body=json.dumps(FACTS).encode())])
        self.session = ProcessSession(self.lanes, ready)  # type: ignore[arg-type]
        self.loaded: list[Loaded] = [self.session.load(lane, timed_engine(cache, 1 * MS)) for lane in (0, 1)]
        for lane in self.lanes:
            lane.told.clear()

    def pass_gate(self, count: int, delay_ns: int = 0) -> None:
        with self.session.gate():
            for lane in (0, 1):
                for _ in range(count):
                    self.session.submit(lane, self.loaded[lane], delay_ns)

    def end(self, lag_ns: int, count: int) -> None:
        self.clock.pause(10 * MS)
        for lane in self.lanes:
            lane.end(lag_ns)
        done = 0
        while done < 2 * count:
            got = self.session.wait(self.session.now_ns() + 100 * MS)
            assert got
            done += len(got)


@pytest.fixture(params=[0.0, -50e-6, 50e-6])
def bed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    clock = VirtualClock()
    monkeypatch.setattr(process_session, "MonotonicClock", lambda: clock)
    monkeypatch.setattr(process_session, "await_readable", lambda _, timeout_s: clock.pause(round(timeout_s * 1e9)))
    return Bed(tmp_path, request.param, clock)


@pytest.mark.parametrize("idle_s", [1, 30, 300])
def test_the_instant_is_ahead_although_the_map_has_run_free(bed: Bed, idle_s: int) -> None:
    bed.clock.pause(idle_s * S)
    before_ns = bed.clock.now_ns()
    bed.pass_gate(1)
    for lane in bed.lanes:
        command, came_ns = lane.told[-1]
        sent_ns = bed.clock.now_ns() - before_ns
        assert GATE_AHEAD_NS - sent_ns <= command.start_timer_ns - came_ns <= GATE_AHEAD_NS + 10 * GATE_AHEAD_EACH_NS


def test_an_idle_jump_leaves_the_map_where_the_anchor_is(bed: Bed) -> None:
    bed.clock.pause(300 * S)
    bed.pass_gate(1)
    lane = bed.lanes[0]
    assert abs(bed.session._map.to_host(lane.timer_ns()) - bed.clock.now_ns()) < 50 * US
    assert bed.session.clock_error_ns < 1 * MS


def test_many_commands_leave_the_instant_ahead_of_each_lanes_first(bed: Bed) -> None:
    bed.pass_gate(400)
    for lane in bed.lanes:
        runs = [(command, came_ns) for command, came_ns in lane.told if command.kind == RUN]
        assert runs[0][0].start_timer_ns - runs[0][1] > GATE_AHEAD_NS  # firsts are sent first
        assert all(command.start_timer_ns == 0 for command, _ in runs[1:])
        assert [command.ticket for command, _ in runs] == sorted(command.ticket for command, _ in runs)
        assert runs[-1][1] < runs[0][0].start_timer_ns


def test_a_busy_session_asks_for_no_anchor(bed: Bed) -> None:
    bed.session.submit(0, bed.loaded[0])
    bed.pass_gate(1)
    assert all(command.kind == RUN for lane in bed.lanes for command, _ in lane.told)


def test_a_gate_that_opens_late_is_noted(bed: Bed) -> None:
    assert bed.session.worst_gate_lag_ns is None
    for lag_ns, worst_ns in ((3 * US, 3 * US), (2 * MS, 2 * MS), (5 * US, 2 * MS)):
        bed.pass_gate(2, delay_ns=1 * MS)
        bed.end(lag_ns, 2)
        assert bed.session.worst_gate_lag_ns == worst_ns


def test_a_lane_that_was_busy_before_the_gate_says_nothing_of_it(bed: Bed) -> None:
    for lane in (0, 1):
        bed.session.submit(lane, bed.loaded[lane])
    bed.pass_gate(1)
    bed.end(2 * MS, 2)
    assert bed.session.worst_gate_lag_ns is None
