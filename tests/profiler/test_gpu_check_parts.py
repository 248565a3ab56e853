"""The measuring parts on the model GPU: what holds there is told as held, and a GPU that misbehaves is found out."""

import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timed_engine
from model_gpu import ModelGpu
from model_parts import Traits

from cotenant.profiler.gpu_check import clocks, rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.part import Part
from cotenant.profiler.gpu_check.parts import bare_replay, driver_calls, lane, mode, recordings, stamps, two_lanes
from cotenant.runners.cuda.gpu import Gpu, Words
from cotenant.runners.cuda.host_clock import MonotonicClock
from cotenant.runners.cuda.in_process_session import InProcessSession
from cotenant.runners.protocol import Device, Engine

MS = 1_000_000
DEVICE = Device("GPU-model", "model", "gpu", "Model GPU 9", 16, 1 << 20, 1 << 30)
FOUND = SimpleNamespace(index=1000, device=DEVICE, capability="9.0", architecture="sm_90", cuda_version="13.0")


class ModelRunner:
    """A runner of timed engines on a model GPU, as far as the parts use one."""

    backend = SimpleNamespace(loader=timed_engine.LOADER)

    def __init__(self, traits: Traits, gpu: type[ModelGpu] = ModelGpu, work_ns: int = MS) -> None:
        self._traits, self._gpu, self._work_ns = traits, gpu, work_ns

    def device(self, _: str | None) -> Device:
        return DEVICE

    def target(self, _: Device) -> str:
        return "any"

    def build(self, model: str, batch_size: int, precision: str, target: str, cache: Path) -> Engine:
        return timed_engine.timed_engine(cache, self._work_ns)

    @contextmanager
    def open(self, _: Device, lanes: list[Any], isolation: str = "streams") -> Iterator[InProcessSession]:
        gpu = self._gpu(traits=self._traits)
        streams = gpu.lane_streams([0] * len(lanes), [None] * len(lanes) if isolation == "green-contexts" else None)
        if isolation in ("processes", "mps"):
            gpu.isolation_observed = isolation
        session = InProcessSession(gpu, MonotonicClock(), streams, timed_engine.LOADER)
        try:
            yield session
        finally:
            session.close()


@pytest.fixture
def on_model(monkeypatch: pytest.MonkeyPatch) -> Any:
    def place(traits: Traits = Traits(), gpu: type[ModelGpu] = ModelGpu, work_ns: int = MS) -> None:  # noqa: B008
        monkeypatch.setattr(rig, "RUNNER", ModelRunner(traits, gpu, work_ns))
        monkeypatch.setattr(rig, "first_gpu", lambda: FOUND)
        monkeypatch.setattr(rig, "open_gpu", lambda: gpu(traits=traits))
        monkeypatch.setattr(clocks, "gpu_state", lambda _: {})

    return place


def told(module: Any, folder: Path, argument: str = "") -> tuple[dict[str, Any], list[str]]:
    facts = Facts(folder / "facts.json", folder, Part("part", "", "", argument))
    module.measure(facts)
    return json.loads((folder / "facts.json").read_text()), facts.failed_checks


def test_a_lane_is_found_sound(on_model: Any, tmp_path: Path) -> None:
    on_model()
    facts, failed = told(lane, tmp_path)
    assert failed == []
    assert abs(facts["probe_compute_100_span"]["p50_ns"] - MS) < 1000
    assert facts["probe_compute_100_span"]["count"] == lane.EACH
    assert 0 <= facts["probe_compute_100_gap"]["p50_ns"] < 50_000
    assert abs(facts["delay_10000000_error"]["p50_ns"]) < 10_000
    assert facts["gate_to_start"]["min_ns"] >= 0


class LateDelays(ModelGpu):
    """Its delays last twice as long."""

    def launch_delay(self, stream: int, delay_ns: int) -> None:
        super().launch_delay(stream, 2 * delay_ns)


def test_wrong_delays_are_found_out(on_model: Any, tmp_path: Path) -> None:
    on_model(gpu=LateDelays)
    _, failed = told(lane, tmp_path)
    assert [sentence.split(" is ")[0] for sentence in failed] == [
        f"a delay of {delay_ns} ns" for delay_ns in (100_000, 1_000_000, 10_000_000)
    ]


def test_two_lanes_gain_and_share_a_clock(on_model: Any, tmp_path: Path) -> None:
    on_model(Traits(contention=0.2))
    facts, failed = told(two_lanes, tmp_path)
    assert failed == []
    assert facts["half_gain_ratio"] == pytest.approx(2 / 1.2, rel=0.1)
    pair = facts["compute:100+compute:100"]
    assert pair["slowdown_ratios"] == pytest.approx([1.2, 1.2], rel=0.05)
    assert 0.5 < pair["overlap_share"] <= 1


def test_lanes_that_gain_nothing_are_found_out(on_model: Any, tmp_path: Path) -> None:
    on_model(Traits(contention=1.0), work_ns=4 * MS)
    _, failed = told(two_lanes, tmp_path)
    assert failed == ["two half loads gain by running together"]


@pytest.mark.parametrize(
    ("isolation", "contention", "faults"),
    [
        ("streams", 0.1, 0),
        ("green-contexts", 0.1, 0),
        ("mps", 0.1, 0),
        ("processes", 1.0, 0),
        ("streams", 1.0, 2),
        ("processes", 0.1, 2),
    ],
)
def test_a_modes_verdict_is_compared_with_what_the_mode_is(
    on_model: Any, tmp_path: Path, isolation: str, contention: float, faults: int
) -> None:
    on_model(Traits(contention=contention), work_ns=8 * MS)
    facts, failed = told(mode, tmp_path, isolation)
    assert facts["isolation_observed"] == isolation
    assert facts["makespan_ratio"] == pytest.approx(1 + contention, rel=0.1)
    assert facts["self_test"] == ("passed" if contention < 0.5 else "failed")
    assert len(failed) == faults


def test_our_lane_adds_nothing_to_a_bare_replay(on_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_model()
    monkeypatch.setattr(bare_replay, "NETWORKS", ())
    monkeypatch.setattr(bare_replay, "BLOCKS", 6)
    monkeypatch.setattr(bare_replay, "BLOCK_NS", 20 * MS)
    facts, failed = told(bare_replay, tmp_path)
    assert failed == []
    found = facts["probe:compute:100@1"]
    assert found["ratio"] == pytest.approx(1, abs=0.005)
    assert found["low_ratio"] <= found["ratio"] <= found["high_ratio"]
    assert found["block_count"] == bare_replay.BLOCKS


def test_a_lane_that_adds_to_its_spans_is_found_out(
    on_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_model()
    real = rig.burst

    def slower(*arguments: Any) -> list[list[tuple[int, int]]]:
        return [[(start, end + (end - start) // 50) for start, end in spans] for spans in real(*arguments)]

    monkeypatch.setattr(rig, "burst", slower)
    monkeypatch.setattr(bare_replay, "NETWORKS", ())
    monkeypatch.setattr(bare_replay, "BLOCKS", 6)
    monkeypatch.setattr(bare_replay, "BLOCK_NS", 20 * MS)
    _, failed = told(bare_replay, tmp_path)
    assert len(failed) == len(bare_replay.PROBES)
    assert "1.02" in failed[0]


def test_both_clocks_of_the_device_agree(on_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_model()
    monkeypatch.setattr(stamps, "_cupti", lambda *_: None)  # reads a real GPU's records
    facts, failed = told(stamps, tmp_path)
    assert failed == []
    assert facts["timer_tick_ns"] == 32
    assert facts["probe:compute:100 alternating"]["timer_over_events"]["ratio"] == pytest.approx(1, abs=0.001)
    assert abs(facts["probe:compute:100 nested: timer less events"]["p50_ns"]) <= 64


class FastTimer(ModelGpu):
    """Its global timer runs 5 % faster than its events."""

    def _timer(self, now_ns: float) -> int:
        return int(super()._timer(now_ns * 1.05))


def test_clocks_of_the_device_that_differ_are_found_out(
    on_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_model(gpu=FastTimer)
    monkeypatch.setattr(stamps, "_cupti", lambda *_: None)
    _, failed = told(stamps, tmp_path)
    assert len(failed) == len(stamps.PROBES)


def test_recordings_hold_what_a_session_would_see(on_model: Any, tmp_path: Path) -> None:
    on_model()
    facts, failed = told(recordings, tmp_path)
    assert failed == []
    kept = json.loads((tmp_path / facts["file"]).read_text())
    assert facts["file"] == "recorded/model_gpu_9/lane.json"
    assert [(each["stamps"], each["probe"]) for each in kept["lanes"]] == [
        (name, model) for name in ("events", "globaltimer") for model in recordings.PROBES
    ]
    for each in kept["lanes"]:
        executions, anchors = each["executions"], each["anchors"]
        assert len(executions) == recordings.EXECUTIONS
        overlaps = [first["end_ns"] - second["start_ns"] for first, second in pairwise(executions)]
        assert max(overlaps) <= each["resolution_ns"]  # raw stamps: a session puts them in order
        # the median: a host that is held up between a stamp and its launch adds to a span of this model too
        assert abs(statistics.median(one["end_ns"] - one["start_ns"] for one in executions) - MS) < 2000
        assert all(one["submitted_ns"] < one["collected_ns"] for one in executions)
        assert len(anchors) >= 4
        assert all(anchor["rtt_ns"] > 0 for anchor in anchors)
    assert len(kept["timer_ticks_ns"]) == recordings.TICKS


class StuckTimer(ModelGpu):
    """Its stamp kernels write nothing."""

    def launch_stamp(self, stream: int, words: Words, index: int) -> None:
        self._call()


@pytest.mark.parametrize(("gpu", "sound"), [(ModelGpu, True), (StuckTimer, False)])
def test_the_drivers_calls_are_tried_one_by_one(
    on_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: type[ModelGpu], sound: bool
) -> None:
    on_model(gpu=gpu)
    monkeypatch.setattr("cotenant.runners.cuda.device_kernels.image", lambda _: b"\x7fELF and so on")
    facts, failed = told(driver_calls, tmp_path)
    assert (failed == []) is sound
    assert facts["is_machine_code"]
    assert facts["globaltimer_steps"]["p50_ns"] == 32
    if not sound:
        assert "a stamp kernel writes to host memory" in failed


def test_the_model_is_a_gpu() -> None:
    gpu: Gpu = ModelGpu()
    assert gpu.isolation_observed == "streams"
