"""Lanes in processes of their own: on a model GPU in each child, and on a real one with --gpu."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from lane_rig import HANG_NS, MS, US
from model_gpu import FIRST_INDEX
from timed_engine import LOADER, timed_engine

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.gpu import OutOfGpuMemory
from cotenant.runners.cuda.lane_handle import CLOSE_GRACE_S
from cotenant.runners.cuda.lane_process import DRIVER
from cotenant.runners.cuda.process_opening import opened
from cotenant.runners.cuda.process_session import GATE_AHEAD_NS, ProcessSession
from cotenant.runners.protocol import Completion, Engine, Lane, LaneLost, Loaded

MODEL = "model_gpu:ModelGpu"


@dataclass
class Rig:
    device_index: int
    gpu: str
    cache: Path

    def open(self, lane_count: int = 2) -> AbstractContextManager[ProcessSession]:
        lanes = [Lane() for _ in range(lane_count)]
        return opened(self.device_index, lanes, LOADER, [{} for _ in lanes], 0, self.gpu)

    def engine(self, work_ns: int, kernels: int = 1, manner: str = "plain", copied_bytes: int = 0) -> Engine:
        return timed_engine(self.cache, work_ns, kernels, manner, copied_bytes)


@pytest.fixture(scope="module", params=["model", pytest.param("gpu", marks=pytest.mark.gpu)])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    cache = tmp_path_factory.mktemp("engines")
    return Rig(FIRST_INDEX, MODEL, cache) if request.param == "model" else Rig(0, DRIVER, cache)


@pytest.fixture(scope="module")
def session(rig: Rig) -> Iterator[ProcessSession]:
    with rig.open() as session:
        yield session


@pytest.fixture(scope="module")
def pair(rig: Rig, session: ProcessSession) -> tuple[Loaded, Loaded]:
    engine = rig.engine(5 * MS)
    return session.load(0, engine), session.load(1, engine)


def collect(session: ProcessSession, count: int) -> list[Completion]:
    done: list[Completion] = []
    while len(done) < count:
        got = session.wait(session.now_ns() + HANG_NS)
        assert got, f"only {len(done)} of {count} executions completed"
        done += got
    return done


def test_what_the_lanes_are(session: ProcessSession) -> None:
    assert session.lane_count == 2
    assert session.isolation_observed == "processes"
    assert session.weights_shared is False
    assert session.stamp_pair_ns >= 0
    assert 0 < session.tick_ns < session.clock_error_ns < 5 * MS


def test_spans_lie_on_the_hosts_clock(session: ProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    before_ns = session.now_ns()
    tickets = [session.submit(0, pair[0]) for _ in range(20)]
    done = collect(session, 20)
    assert [each.ticket for each in done] == tickets
    assert before_ns <= done[0].start_ns
    assert done[-1].end_ns <= session.now_ns()
    assert all(first.end_ns <= second.start_ns for first, second in pairwise(done))
    assert min(abs(each.end_ns - each.start_ns - 5 * MS) for each in done) < 100 * US
    assert all(each.h2d_ns is None and each.d2h_ns is None for each in done)


def test_a_gate_starts_processes_together(rig: Rig, session: ProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    apart = []
    for _ in range(5):  # the best of five: this machine may be busy otherwise
        with session.gate():
            for lane in (0, 1):
                session.submit(lane, pair[lane])
            inside_ns = session.now_ns()
        first, second = collect(session, 2)
        assert min(first.start_ns, second.start_ns) >= inside_ns + GATE_AHEAD_NS // 2  # at the named instant
        apart.append(abs(first.start_ns - second.start_ns))
    assert min(apart) < (5 * US if rig.gpu == MODEL else 300 * US)  # the model keeps the instant exactly


def test_a_gate_of_idle_lanes_relates_the_clocks_first(session: ProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    with session.gate():
        session.submit(1, pair[1])
        inside_ns = session.now_ns()
    assert session._map.last.host_ns > inside_ns  # nothing else has been read since
    collect(session, 1)
    assert session.worst_gate_lag_ns is not None


def test_a_gate_that_fails_starts_nothing(session: ProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    with pytest.raises(ValueError, match=r"not loaded"):
        submit_in_a_gate(session, pair[0], pair[0])
    assert session.wait(session.now_ns() + 30 * MS) == []


def submit_in_a_gate(session: ProcessSession, *loaded: Loaded) -> None:
    with session.gate():
        for lane, engine in enumerate(loaded):
            session.submit(lane, engine)


def test_delays_are_held_by_the_lane(session: ProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    offsets = []
    for _ in range(5):
        with session.gate():
            session.submit(0, pair[0])
            session.submit(1, pair[1], delay_ns=12 * MS)
        starts = {each.lane: each.start_ns for each in collect(session, 2)}
        offsets.append(starts[1] - starts[0] - 12 * MS)
    assert min(map(abs, offsets)) < 300 * US


def test_engines_are_loaded_only_while_idle(rig: Rig, session: ProcessSession, pair: tuple[Loaded, Loaded]) -> None:
    short = rig.engine(1 * MS)
    session.submit(0, pair[0], delay_ns=50 * MS)
    with pytest.raises(ValueError, match=r"busy"):
        session.load(1, short)
    with pytest.raises(ValueError, match=r"busy"):
        session.unload(pair[1])
    collect(session, 1)
    again = session.load(1, rig.engine(1 * MS))
    session.unload(again)
    with pytest.raises(ValueError, match=r"not loaded"):
        session.submit(1, again)


def test_copies_and_modes_come_back_from_the_process(rig: Rig, session: ProcessSession) -> None:
    loaded = session.load(0, rig.engine(2 * MS, copied_bytes=1 << 20), copies=True)
    plain = session.load(0, rig.engine(2 * MS, manner="refuses"))
    modes = session.launch_modes()[-2:]
    assert [mode.captured for mode in modes] == [True, False]
    assert "cannot be captured" in str(modes[1].refusal)
    for each in (loaded, plain):
        session.submit(0, each)
    first, second = collect(session, 2)
    assert (first.h2d_ns or 0) > 10 * US
    assert (first.d2h_ns or 0) > 10 * US
    assert second.h2d_ns is None
    for each in (loaded, plain):
        session.unload(each)


def test_what_cannot_be_loaded_is_told(rig: Rig, session: ProcessSession) -> None:
    with pytest.raises(OutOfGpuMemory, match=r"lane 1 .* \(timed\): out of GPU memory: \d+ of \d+ MiB were free"):
        session.load(1, rig.engine(1 * MS, manner="out_of_memory"))
    with pytest.raises(WorkError, match=r"lane 1 cannot load engine .*: the plan was cut short"):
        session.load(1, rig.engine(1 * MS, manner="torn"))


def drain(session: ProcessSession) -> None:
    while session.wait(session.now_ns() + HANG_NS):
        pass


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def test_a_lane_that_dies_is_told_and_nothing_hangs(rig: Rig) -> None:
    before = children()
    with rig.open() as session:
        victim = next(each for each in children() - before)
        loaded = [session.load(lane, rig.engine(5 * MS)) for lane in (0, 1)]
        for lane in (0, 1):
            for _ in range(10):
                session.submit(lane, loaded[lane])
        victim.send_signal(signal.SIGKILL)
        with pytest.raises(LaneLost, match=r"SIGKILL") as told:
            drain(session)
        assert session._outstanding(told.value.lane) == 0
        with pytest.raises(LaneLost):
            session.submit(told.value.lane, loaded[told.value.lane])
        with pytest.raises(LaneLost):
            session.wait(session.now_ns() + HANG_NS)
    assert children() == before


def test_a_lane_that_cannot_open_its_device_says_why(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(LaneLost, match=r"lane 0 is lost: .*exit code 1: "):
        opened(99, [Lane()], LOADER, [{}], 0, DRIVER).__enter__()
    assert children() == before


def test_a_session_ends_its_processes_though_work_is_queued(rig: Rig) -> None:
    before = children()
    began_s = time.monotonic()
    with rig.open(1) as session:
        session.submit(0, session.load(0, rig.engine(1 * MS)), delay_ns=3600 * 1000 * MS)
    assert children() == before
    assert time.monotonic() - began_s < 60


def test_lanes_get_their_environment(rig: Rig, tmp_path: Path) -> None:
    before = children()
    lanes = [Lane(), Lane()]
    variables = [{"COTENANT_TEST_LANE": str(lane)} for lane in (0, 1)]
    with opened(rig.device_index, lanes, LOADER, variables, 0, rig.gpu):
        seen = sorted(each.environ()["COTENANT_TEST_LANE"] for each in children() - before)
        closing_s = time.monotonic()
    assert seen == ["0", "1"]
    assert time.monotonic() - closing_s < CLOSE_GRACE_S  # idle lanes end by themselves


HOST = """
import sys, time, psutil
from pathlib import Path
from cotenant.runners.cuda.process_opening import opened
from cotenant.runners.protocol import Lane
from timed_engine import LOADER, timed_engine
with opened(int(sys.argv[1]), [Lane(), Lane()], LOADER, [{}, {}], 0, sys.argv[2]) as session:
    loaded = [session.load(lane, timed_engine(Path(sys.argv[3]), 1_000_000)) for lane in (0, 1)]
    session.submit(0, loaded[0], delay_ns=60_000_000_000)
    for _ in range(500):
        session.submit(1, loaded[1])
    print(*[child.pid for child in psutil.Process().children()], flush=True)
    time.sleep(60)
"""


@pytest.fixture
def host(rig: Rig) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", HOST, str(rig.device_index), rig.gpu, str(rig.cache)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        yield process
        process.kill()


def test_no_lane_outlives_a_host_that_was_killed(host: subprocess.Popen[str]) -> None:
    assert host.stdout is not None
    lanes = [psutil.Process(int(pid)) for pid in host.stdout.readline().split()]
    assert len(lanes) == 2
    for lane in lanes:  # Ctrl-C is the host's to decide
        assert os.getpgid(lane.pid) != os.getpgid(host.pid)
        lane.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert all(alive(lane) for lane in lanes)
    host.kill()
    deadline_s = time.monotonic() + 10
    while any(alive(lane) for lane in lanes):
        assert time.monotonic() < deadline_s, "lanes live on without their host"
        time.sleep(0.02)


LOADING_HOST = """
import sys, psutil
from pathlib import Path
from cotenant.runners.cuda.process_opening import opened
from cotenant.runners.protocol import Lane
from timed_engine import LOADER, timed_engine
with opened(int(sys.argv[1]), [Lane()], LOADER, [{}], 0, sys.argv[2]) as session:
    print(*[child.pid for child in psutil.Process().children()], flush=True)
    session.load(0, timed_engine(Path(sys.argv[3]), 1_000_000, manner="hangs"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with the one that started it")
def test_a_lane_that_loads_does_not_outlive_a_host_that_was_killed(rig: Rig, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", LOADING_HOST, str(rig.device_index), rig.gpu, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as host:
        assert host.stdout is not None
        lane = psutil.Process(int(host.stdout.readline()))
        while not list(tmp_path.rglob("loading")):
            assert host.poll() is None
            time.sleep(0.02)
        host.kill()
    try:
        lane.wait(10)
    finally:
        if lane.is_running():
            lane.kill()


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
