"""Nothing of the host's launches is counted as execution, wherever the host is held up; in the model's time."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from lane_rig import MS, US, collect, model_session
from model_gpu import ModelGpu
from model_parts import Traits
from timed_engine import timed_engine

from cotenant.runners.cuda import gate as gate_module
from cotenant.runners.cuda.in_process_session import InProcessSession
from cotenant.runners.cuda.lane import DEPTH, Execution
from cotenant.runners.protocol import Completion

WORK_NS = 100 * US


@pytest.fixture(params=[2_000, 5_000], ids=["calls of 2 us", "calls of 5 us"])
def bed(request: pytest.FixtureRequest) -> Iterator[tuple[InProcessSession, ModelGpu]]:
    session, gpu = model_session(2, Traits(call_ns=request.param, drift=0.0))
    yield session, gpu
    session.close()


def extra_ns(done: list[Completion]) -> int:
    return max(each.end_ns - each.start_ns for each in done) - WORK_NS


def test_a_lane_that_runs_dry_as_the_next_is_launched(bed: tuple[InProcessSession, ModelGpu], tmp_path: Path) -> None:
    session, gpu = bed
    loaded = session.load(0, timed_engine(tmp_path, WORK_NS))
    for offset_us in range(0, 140, 2):  # around the end of the one before
        session.submit(0, loaded)
        gpu.clock.pause(offset_us * US + 1)
        session.submit(0, loaded)
        assert extra_ns(collect(session, 2)) <= 1 * US


def preempt(gpu: ModelGpu, monkeypatch: pytest.MonkeyPatch, launch: int) -> None:
    """Let the host lose its core for a time slice just before its nth graph launch from now on."""
    launches, launch_graph = 0, gpu.launch_graph

    def late(graph: int, stream: int) -> None:
        nonlocal launches
        launches += 1
        if launches == launch:
            gpu.clock.pause(4 * MS)
        launch_graph(graph, stream)

    monkeypatch.setattr(gpu, "launch_graph", late)


def test_a_host_preempted_between_stamp_and_launch(
    bed: tuple[InProcessSession, ModelGpu], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, gpu = bed
    loaded = session.load(0, timed_engine(tmp_path, WORK_NS))
    preempt(gpu, monkeypatch, 2)
    for _ in range(2):
        session.submit(0, loaded)
    assert extra_ns(collect(session, 2)) <= 1 * US


def test_a_host_preempted_as_it_fills_a_lane_behind_a_gate(
    bed: tuple[InProcessSession, ModelGpu], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, gpu = bed
    loaded = [session.load(lane, timed_engine(tmp_path, WORK_NS)) for lane in (0, 1)]
    for launch in range(1, 9):
        preempt(gpu, monkeypatch, launch)
        with session.gate():
            for lane in (0, 1):
                for _ in range(4):
                    session.submit(lane, loaded[lane])
        done = collect(session, 8)
        assert extra_ns(done) <= 1 * US
        first = {each.lane: each.start_ns for each in reversed(done)}
        assert abs(first[0] - first[1]) <= 1 * US


def test_an_instant_that_has_passed_holds_nothing_and_the_launch_is_not_counted(
    bed: tuple[InProcessSession, ModelGpu], tmp_path: Path
) -> None:
    """What a lane process does where the host's command came after the instant that it names."""
    session, gpu = bed
    loaded = session.load(0, timed_engine(tmp_path, WORK_NS))
    lane, engine = session._lanes[0], session._loaded[loaded]
    lane.submit(Execution(7, engine, 0, partial(gpu.launch_until, timer_ns=1)))
    lane.feed()
    gpu.clock.pause(1 * MS)
    (timed,) = lane.collect()
    assert timed.end_ns - timed.start_ns - WORK_NS <= 1 * US


def test_a_gate_whose_lane_has_ended_work_that_nobody_collected(
    bed: tuple[InProcessSession, ModelGpu], tmp_path: Path
) -> None:
    session, gpu = bed
    loaded = [session.load(lane, timed_engine(tmp_path, WORK_NS)) for lane in (0, 1)]
    for _ in range(DEPTH):
        session.submit(1, loaded[1])
    gpu.clock.pause(10 * MS)
    with session.gate():
        tickets = [session.submit(lane, loaded[lane]) for lane in (0, 1)]
    starts = [each.start_ns for each in collect(session, DEPTH + 2) if each.ticket in tickets]
    assert abs(starts[0] - starts[1]) <= 1 * US


def test_captured_engines_do_not_fill_the_queue_behind_a_gate(tmp_path: Path) -> None:
    """The model raises where a launch would block for ever."""
    session, _ = model_session(2, Traits(queue_limit=16))
    loaded = [session.load(lane, timed_engine(tmp_path, WORK_NS)) for lane in (0, 1)]
    with session.gate():
        for lane in (0, 1):
            for _ in range(DEPTH):
                session.submit(lane, loaded[lane])
    assert extra_ns(collect(session, 2 * DEPTH)) <= 1 * US
    session.close()


def test_a_captured_launch_that_blocks_behind_a_gate_is_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the machine's own time: only the gate's watch can end it."""
    monkeypatch.setattr(gate_module, "PATIENCE_S", 0.2)
    gpu = ModelGpu(traits=Traits(queue_limit=16))
    session = InProcessSession(gpu, gpu.clock, gpu.lane_streams([0], None), "timed_engine:load")
    loaded = session.load(0, timed_engine(tmp_path, WORK_NS, kernels=40))
    with session.gate():
        session.submit(0, loaded)
    assert len(collect(session, 1)) == 1
    assert session._gate.opened_early == 1
    session.close()


def test_a_watch_that_fires_as_its_gate_opens_does_not_open_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(gate_module.threading.Timer):  # its thread comes when `run` is called
        def start(self) -> None:
            timers.append(self)

        def cancel(self) -> None:
            """Come too late."""

    timers: list[Slow] = []
    monkeypatch.setattr(gate_module.threading, "Timer", Slow)
    monkeypatch.setattr(gate_module, "PATIENCE_S", 0.0)
    session, gpu = model_session(1)
    gate, stream = gate_module.Gate(gpu), gpu.create_stream()
    gate.pass_through_watched(lambda: None)
    gate.next_hold()(stream)
    timers[0].run()
    gpu.clock.pause(1 * MS)
    assert gpu.streams.length(stream) == 1  # still held
    assert gate.opened_early == 0
    gate.pass_through(lambda: None)
    gpu.synchronize(stream)
    gpu.destroy_stream(stream)
    session.close()
