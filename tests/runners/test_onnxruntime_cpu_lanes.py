"""What is special to lanes that are processes: isolation as the kernel tells it, oversubscription, causes of death."""

import os
import sys
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import psutil
import pytest

from cotenant.models.errors import UserError
from cotenant.runners.onnxruntime_cpu import RUNNER
from cotenant.runners.onnxruntime_cpu.lane import LaneHandle
from cotenant.runners.onnxruntime_cpu.probes import active_slots, parse_probe
from cotenant.runners.onnxruntime_cpu.runner import OnnxRuntimeCpu
from cotenant.runners.onnxruntime_cpu.wire import COMMAND, MAX_QUEUED, REPLY, RUN
from cotenant.runners.probe_names import KINDS
from cotenant.runners.protocol import Completion, Engine, Lane, LaneLost, Session

MS = 1_000_000
DEVICE = RUNNER.device(None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def engine(model: str, cache: Path) -> Engine:
    return RUNNER.build(model, 1, "fp32", RUNNER.target(DEVICE), cache)


@pytest.fixture
def session() -> Iterator[Session]:
    with RUNNER.open(DEVICE, [Lane()]) as opened:
        yield opened


def run(session: Session, count: int, *engines: Engine) -> list[Completion]:
    loaded = [session.load(lane, engine) for lane, engine in enumerate(engines)]
    with session.gate():
        for lane, item in enumerate(loaded):
            for _ in range(count):
                session.submit(lane, item)
    done: list[Completion] = []
    while len(done) < count * len(engines):
        done += session.wait(session.now_ns() + 20_000 * MS) or pytest.fail("lanes hang")
    return done


def lane_affinities() -> list[set[int]]:
    return [set(child.cpu_affinity()) for child in psutil.Process().children()]


def test_lanes_have_cores_of_their_own_while_there_are_enough() -> None:
    count = RUNNER.max_lanes(DEVICE)
    with RUNNER.open(DEVICE, [Lane()] * count) as session:
        affinities = lane_affinities()
        assert len(affinities) == count
        assert all(first.isdisjoint(second) for first, second in combinations(affinities, 2))
        assert all(len(affinity) == 1 for affinity in affinities)
        assert session.isolation_observed == "own-cores"
        assert not session.oversubscribed
        left = set(os.sched_getaffinity(0)) - set().union(*affinities)
        assert session.host_has_own_core == bool(left)


def test_more_lanes_than_cores_are_allowed_and_marked() -> None:
    with RUNNER.open(DEVICE, [Lane()] * (len(os.sched_getaffinity(0)) + 1)) as session:
        assert session.isolation_observed == "shared-cores"
        assert session.oversubscribed


def test_an_affinity_changed_from_outside_is_observed() -> None:
    if RUNNER.max_lanes(DEVICE) < 2:
        pytest.skip("needs two cores")
    with RUNNER.open(DEVICE, [Lane(), Lane()]) as session:
        first, second = psutil.Process().children()
        second.cpu_affinity(first.cpu_affinity())
        assert session.isolation_observed == "shared-cores"
        assert session.oversubscribed


def test_lanes_on_one_core_take_turns(cache: Path) -> None:
    half = engine("probe:half:100", cache)
    with RUNNER.open(DEVICE, [Lane(), Lane()], "shared-cores") as session:
        assert session.oversubscribed
        assert len(set(map(frozenset, lane_affinities()))) == 1
        together = run(session, 1, half, half)
    with RUNNER.open(DEVICE, [Lane()], "shared-cores") as session:
        (alone,) = run(session, 1, half)
    makespan_ns = max(c.end_ns for c in together) - min(c.start_ns for c in together)
    assert makespan_ns > 1.6 * (alone.cpu_ns or 0)
    assert sum(c.cpu_ns or 0 for c in together) < 1.2 * makespan_ns


def test_lanes_of_several_threads_count_their_cores() -> None:
    two = OnnxRuntimeCpu(threads_per_lane=2)
    assert two.max_lanes(DEVICE) == max(1, RUNNER.max_lanes(DEVICE) // 2)
    with two.open(DEVICE, [Lane()] * (RUNNER.max_lanes(DEVICE) // 2 + 1)) as session:
        assert session.oversubscribed


@pytest.mark.parametrize("lane", [Lane(share_pct=50.0), Lane(priority=1)])
def test_shares_and_priorities_are_refused(lane: Lane) -> None:
    with pytest.raises(UserError, match=r"neither share nor priority"):
        RUNNER.open(DEVICE, [lane])


def test_a_mistyped_isolation_gets_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean 'own-cores'"):
        RUNNER.open(DEVICE, [Lane()], "own-core")


def test_a_full_queue_is_refused_and_never_blocks(session: Session, cache: Path) -> None:
    loaded = session.load(0, engine("probe:compute:0", cache))
    for _ in range(MAX_QUEUED):
        session.submit(0, loaded)
    with pytest.raises(ValueError, match=r"call wait\(\) first"):
        session.submit(0, loaded)


def test_the_frames_of_a_full_queue_fit_into_a_pipe() -> None:
    assert MAX_QUEUED * max(COMMAND.size, REPLY.size) <= 1 << 16


def test_a_lane_that_fails_tells_its_last_words() -> None:
    lane = LaneHandle(0, os.sched_getaffinity(0), 1)
    try:
        lane.receive_one(30)
        lane.send(RUN, handle=99)
        with pytest.raises(LaneLost, match=r"exit code 1: KeyError: 99"):
            lane.receive_one(30)
    finally:
        lane.close(at_once=True)


def test_a_lane_that_cannot_start_is_lost_with_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LaneLost, match=r"lane 0 .*exit code 1"), RUNNER.open(DEVICE, [Lane(), Lane()]):
        pass
    assert psutil.Process().children() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intensity", [0, 1, 33, 50, 99, 100])
def test_intensity_is_the_share_of_slots_that_work(kind: str, intensity: int) -> None:
    probe = parse_probe(f"probe:{kind}:{intensity}")
    slots = active_slots(probe)
    assert len(slots) == probe.active_count == probe.slot_count * intensity // 100
    gaps = {after - before for before, after in pairwise(slots)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_paced_probe_takes_as_long_as_the_full_one_and_less_of_the_core(session: Session, cache: Path) -> None:
    full_ns = min(c.cpu_ns or 0 for c in run(session, 7, engine("probe:dram:100", cache)))  # its span if left alone
    tenth = run(session, 7, engine("probe:dram:10", cache))
    assert 0.5 < min(c.end_ns - c.start_ns for c in tenth) / full_ns < 2
    assert min(c.cpu_ns or 0 for c in tenth) < 0.7 * full_ns


def test_half_takes_at_least_100_ms(session: Session, cache: Path) -> None:
    (done,) = run(session, 1, engine("probe:half:100", cache))
    assert (done.cpu_ns or 0) >= 100 * MS


def test_work_is_counted_in_the_engine(cache: Path) -> None:
    compute, copy = engine("probe:compute:50", cache), engine("probe:dram:50", cache)
    assert compute.flop_count == 2 * (compute.mac_count or 0) == 2 * 50 * 224**3
    assert copy.read_bytes == copy.write_bytes == 100 << 20
    assert copy.flop_count == 0
