"""One contract for every runner: whatever `available()` names is tested on the devices that this machine can open."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from cotenant.models.errors import UserError
from cotenant.runners.protocol import Completion, Engine, Lane, LaneLost, Loaded, Runner, Session
from cotenant.runners.registry import available, load

MS = 1_000_000
PROBE = "probe:compute:20"
HANG_NS = 20_000 * MS


@pytest.fixture(scope="module", params=available())
def runner(request: pytest.FixtureRequest) -> Runner:
    found = load(request.param)
    if not found.devices():
        pytest.skip(f"{request.param} finds no device on this machine")
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def engine(runner: Runner, cache: Path) -> Engine:
    return build(runner, PROBE, cache)


@pytest.fixture(scope="module")
def session(runner: Runner) -> Iterator[Session]:
    with runner.open(runner.device(None), [Lane(), Lane()]) as opened:
        yield opened


@pytest.fixture(scope="module")
def pair(session: Session, engine: Engine) -> tuple[Loaded, Loaded]:
    return session.load(0, engine), session.load(1, engine)


def build(runner: Runner, model: str, cache: Path) -> Engine:
    return runner.build(model, 1, "fp32", runner.target(runner.device(None)), cache)


def collect(session: Session, count: int) -> list[Completion]:
    done: list[Completion] = []
    while len(done) < count:
        got = session.wait(session.now_ns() + HANG_NS)
        assert got, f"only {len(done)} of {count} executions completed"
        assert [c.end_ns for c in got] == sorted(c.end_ns for c in got)
        done += got
    return done


def test_it_names_its_device_and_target(runner: Runner) -> None:
    device = runner.device(None)
    assert device in runner.devices()
    assert runner.device(device.device_id) == device
    assert runner.target(device)
    assert runner.max_lanes(device) >= 1
    assert runner.isolations()
    with pytest.raises(UserError, match=r"no-such-device"):
        runner.device("no-such-device")


@pytest.mark.parametrize("kind", ["compute", "cache", "dram", "half"])
def test_probes_build_under_the_id_that_was_foretold_and_are_cached(runner: Runner, cache: Path, kind: str) -> None:
    target = runner.target(runner.device(None))
    foretold = runner.engine_id(f"probe:{kind}:50", 1, "fp32", target)
    assert not (cache / "engines" / foretold).exists()
    engine = build(runner, f"probe:{kind}:50", cache)
    assert engine.engine_id == foretold
    assert engine.folder == cache / "engines" / foretold
    assert engine.runner == runner.name
    written_ns = (engine.folder / "meta.json").stat().st_mtime_ns
    assert build(runner, f"probe:{kind}:50", cache) == engine
    assert (engine.folder / "meta.json").stat().st_mtime_ns == written_ns
    assert runner.build(f"probe:{kind}:50", 1, "fp32", target, cache, build_index=1).engine_id != foretold


@pytest.mark.parametrize("model", ["resnet18:image=64", "vit_ti_16:image=64", "roberta_mini:seq=16"])
def test_networks_build_under_the_id_that_was_foretold_and_run(
    runner: Runner, session: Session, cache: Path, model: str
) -> None:
    target = runner.target(runner.device(None))
    small, large = (runner.build(model, batch_size, "fp32", target, cache) for batch_size in (1, 2))
    assert small.engine_id == runner.engine_id(model, 1, "fp32", target) != large.engine_id
    assert small.source_sha256 == large.source_sha256
    assert 2 * (small.mac_count or 0) == large.mac_count
    loaded = session.load(0, small)
    session.submit(0, loaded)
    (done,) = collect(session, 1)
    session.unload(loaded)
    assert done.end_ns > done.start_ns


@pytest.mark.parametrize("model", ["probe:dramm:50", "probe:dram", "probe:dram:101", "probe:dram:-1", "probe:"])
def test_bad_probes_are_the_users_mistake(runner: Runner, cache: Path, model: str) -> None:
    with pytest.raises(UserError, match=r"probe"):
        build(runner, model, cache)


def test_bad_requests_are_the_users_mistake(runner: Runner, cache: Path) -> None:
    device = runner.device(None)
    with pytest.raises(UserError, match=r"batch size 0"):
        runner.build(PROBE, 0, "fp32", runner.target(device), cache)
    with pytest.raises(UserError, match=r"isolation"):
        runner.open(device, [Lane()], "no-such-isolation").__enter__()
    with pytest.raises(UserError, match=r"lane"):
        runner.open(device, []).__enter__()


def test_spans_are_positive_and_lie_on_the_session_clock(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    before_ns = session.now_ns()
    ticket = session.submit(0, pair[0])
    (done,) = collect(session, 1)
    assert (done.ticket, done.lane) == (ticket, 0)
    assert before_ns <= done.start_ns < done.end_ns <= session.now_ns()
    assert session.clock_error_ns > 0
    assert done.cpu_ns is None or 0 < done.cpu_ns <= done.end_ns - done.start_ns + MS


def test_a_lane_executes_in_order_one_at_a_time(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    tickets = [session.submit(1, pair[1]) for _ in range(5)]
    done = collect(session, 5)
    assert [c.ticket for c in done] == tickets
    assert all(first.end_ns <= second.start_ns for first, second in pairwise(done))


def test_what_is_queued_starts_without_the_host(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    for _ in range(2):
        session.submit(0, pair[0])
    time.sleep(0.3)  # the host is away when the first ends
    first, second = collect(session, 2)
    assert second.start_ns - first.end_ns < 50 * MS


def test_a_gate_starts_lanes_together(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    differences = []
    for _ in range(5):  # the best of five: this machine may be busy otherwise
        with session.gate():
            for lane in (0, 1):
                session.submit(lane, pair[lane])
            inside_ns = session.now_ns()
        first, second = collect(session, 2)
        assert min(first.start_ns, second.start_ns) >= inside_ns
        differences.append(abs(first.start_ns - second.start_ns))
    assert min(differences) < MS


def test_nothing_runs_before_its_gate_is_open(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    with session.gate():
        session.submit(0, pair[0])
        assert session.wait(session.now_ns() + 60 * MS) == []
        opened_ns = session.now_ns()
    assert collect(session, 1)[0].start_ns >= opened_ns


def submit_in_a_gate(session: Session, *loaded: Loaded) -> None:
    with session.gate():
        for lane, engine in enumerate(loaded):
            session.submit(lane, engine)


def test_a_gate_that_fails_starts_nothing(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    with pytest.raises(ValueError, match=r"not loaded"):
        submit_in_a_gate(session, pair[0], pair[0])
    assert session.wait(session.now_ns() + 60 * MS) == []


def test_a_delay_is_held_by_the_lane_after_the_gate(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    offsets = []
    for _ in range(5):
        with session.gate():
            session.submit(0, pair[0])
            session.submit(1, pair[1], delay_ns=30 * MS)
        starts = {c.lane: c.start_ns for c in collect(session, 2)}
        offsets.append(starts[1] - starts[0])
    assert min(abs(offset - 30 * MS) for offset in offsets) < MS


def test_a_delay_is_held_after_the_previous_execution(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    session.submit(0, pair[0])
    session.submit(0, pair[0], delay_ns=25 * MS)
    first, second = collect(session, 2)
    assert second.start_ns - first.end_ns >= 25 * MS


def test_wait_ends_on_time_and_as_soon_as_something_has_completed(
    session: Session, pair: tuple[Loaded, Loaded]
) -> None:
    until_ns = session.now_ns() + 40 * MS
    assert session.wait(until_ns) == []
    assert until_ns <= session.now_ns() < until_ns + 2000 * MS
    assert session.wait(session.now_ns() - 1) == []
    session.submit(0, pair[0])
    began_ns = session.now_ns()
    assert len(session.wait(began_ns + HANG_NS)) == 1
    assert session.now_ns() < began_ns + HANG_NS // 2


def test_one_engine_runs_on_two_lanes_at_once(session: Session, pair: tuple[Loaded, Loaded]) -> None:
    if session.oversubscribed:
        pytest.skip("this machine has no core for each of two lanes")
    with session.gate():
        for lane in (0, 1):
            for _ in range(3):
                session.submit(lane, pair[lane])
    done = collect(session, 6)
    first, second = ([c for c in done if c.lane == lane] for lane in (0, 1))
    assert max(first[0].start_ns, second[0].start_ns) < min(first[-1].end_ns, second[-1].end_ns)


def test_engines_are_loaded_only_while_every_lane_is_idle(
    session: Session, pair: tuple[Loaded, Loaded], engine: Engine
) -> None:
    session.submit(0, pair[0])
    with pytest.raises(ValueError, match=r"busy"):
        session.load(1, engine)
    with pytest.raises(ValueError, match=r"busy"):
        session.unload(pair[1])
    collect(session, 1)
    again = session.load(1, engine)
    session.unload(again)
    with pytest.raises(ValueError, match=r"not loaded"):
        session.submit(1, again)
    with pytest.raises(ValueError, match=r"not loaded"):
        session.submit(0, pair[1])


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def drain(session: Session) -> None:
    while session.wait(session.now_ns() + HANG_NS):
        pass


def test_a_lane_that_dies_is_told_and_nothing_hangs(runner: Runner, engine: Engine) -> None:
    before = children()
    with runner.open(runner.device(None), [Lane(), Lane()]) as opened:
        processes = children() - before
        if not processes:
            pytest.skip("lanes of this runner are no processes of their own")
        loaded = [opened.load(lane, engine) for lane in (0, 1)]
        victim = processes.pop()
        for lane in (0, 1):
            for _ in range(10):
                opened.submit(lane, loaded[lane])
        victim.send_signal(signal.SIGKILL)
        with pytest.raises(LaneLost, match=r"SIGKILL") as told:
            drain(opened)
        lane = told.value.lane
        with pytest.raises(LaneLost):
            opened.submit(lane, loaded[lane])
        with pytest.raises(LaneLost):
            opened.wait(opened.now_ns() + HANG_NS)
    assert children() == before


def fail_in_a_session(runner: Runner, engine: Engine) -> None:
    with runner.open(runner.device(None), [Lane()]) as opened:
        opened.submit(0, opened.load(0, engine), delay_ns=60_000 * MS)
        raise RuntimeError("user failed")


def test_a_session_leaves_no_process_behind_even_if_its_user_fails(runner: Runner, engine: Engine) -> None:
    before = children()
    with pytest.raises(RuntimeError, match=r"user failed"):
        fail_in_a_session(runner, engine)
    assert children() == before


HOST = """
import sys, time, psutil
from pathlib import Path
from cotenant.runners.protocol import Lane
from cotenant.runners.registry import load
runner = load(sys.argv[1])
device = runner.device(None)
engine = runner.build(sys.argv[2], 1, "fp32", runner.target(device), Path(sys.argv[3]))
with runner.open(device, [Lane(), Lane()]) as session:
    loaded = [session.load(lane, engine) for lane in (0, 1)]
    session.submit(0, loaded[0], delay_ns=60_000_000_000)
    for _ in range(500):
        session.submit(1, loaded[1])
    print(*[child.pid for child in psutil.Process().children()], flush=True)
    time.sleep(60)
"""


@pytest.fixture
def host(runner: Runner, engine: Engine, cache: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", HOST, runner.name, PROBE, str(cache)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield process
        process.kill()


def test_no_lane_outlives_a_host_that_was_killed(host: subprocess.Popen[str]) -> None:
    assert host.stdout is not None
    lanes = [int(pid) for pid in host.stdout.readline().split()]
    if not lanes:
        pytest.skip("lanes of this runner are no processes of their own")
    host.kill()
    deadline_s = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and not zombie(pid) for pid in lanes):
        assert time.monotonic() < deadline_s, "lanes live on without their host"
        time.sleep(0.02)


def test_ctrl_c_is_the_hosts_to_decide(host: subprocess.Popen[str]) -> None:
    assert host.stdout is not None
    lanes = [int(pid) for pid in host.stdout.readline().split()]
    if not lanes:
        pytest.skip("lanes of this runner are no processes of their own")
    assert all(os.getpgid(pid) != os.getpgid(host.pid) for pid in lanes)
    for pid in lanes:
        os.kill(pid, signal.SIGINT)
    time.sleep(0.1)
    assert all(psutil.pid_exists(pid) and not zombie(pid) for pid in lanes)


def zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
