"""Each gate fires where telemetry shows its condition, marks what ran meanwhile, and is silent on a quiet device."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_campaign import DEVICE, MS, Maker
from raw_telemetry import GPU, GPU_DEVICE, GPU_QUALITY, HOST, samples, watch

from cotenant.datasets import gates
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.gates import count_for_gates, execution_marks, limits_of, loaded_at, sample_marks
from cotenant.datasets.read import read_table
from cotenant.datasets.verdicts import REASONS
from cotenant.datasets.words import GATE_MARKS, MARKS, ROLES
from cotenant.profiler.quality import thresholds
from cotenant.profiler.quality.thresholds import Quality

Row = dict[str, Any]
PERIOD_NS = 50 * MS
BAD: dict[str, tuple[str, Row]] = {  # one bad sample: mark -> quiet device, what it tells
    "power cap": ("throttled", {"throttle_mask": 0x4}),
    "hardware slowdown": ("throttled", {"throttle_mask": 0x8}),
    "software thermal": ("throttled", {"throttle_mask": 0x20}),
    "hardware thermal": ("throttled", {"throttle_mask": 0x41}),
    "power brake": ("throttled", {"throttle_mask": 0x80}),
    "clock": ("clock_drop", {"sm_clock_mhz": 1880}),
    "a stranger": ("foreign_load", {"foreign_process_count": 1}),
    "margin": ("hot", {"temperature_margin_c": 4}),
    "programs of others": ("foreign_load", {"foreign_cpu_pct": 10.1}),
    "stolen": ("stolen", {"steal_pct": 1.1}),
    "quota": ("quota_throttled", {"quota_throttled_ns": 1}),
}
HARMLESS: list[Row] = [
    {"throttle_mask": 0x3},  # idle, application clocks
    {"throttle_mask": 0x10},  # sync boost, unless told that it counts
    {"throttle_mask": 0x100},  # display clocks
    {"sm_clock_mhz": 1890},
    {"temperature_margin_c": 5},
    {"foreign_cpu_pct": 10.0},
    {"steal_pct": 1.0},
    dict.fromkeys(GPU),
    dict.fromkeys(HOST),
]


def is_gpu(told: Row) -> bool:
    return not told.keys() <= HOST.keys()


def one_bad(told: Row, at_ns: int) -> Any:
    """Let the first sample from then on tell something else."""
    return lambda time_ns, metadata: told if at_ns <= time_ns < at_ns + PERIOD_NS else {}


def pair(folder: Path, told: Row, at_ns: int | None = None, **facts: Any) -> tuple[Row, list[Row], list[Row]]:
    """A pair with one sample that tells something else: its experiment, executions and telemetry."""
    maker = Maker(folder, quads=2)
    begin_ns = maker.now_ns
    device = {"device": GPU_DEVICE, "quality": GPU_QUALITY} if is_gpu(told) else {"device": DEVICE}
    maker.pair("resnet18@1", "vit_ti_16@1", **device, **facts)
    at_ns = begin_ns + 800 * MS if at_ns is None else at_ns
    watch(folder, GPU if is_gpu(told) else HOST, one_bad(told, at_ns), PERIOD_NS)
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    (experiment,) = read_table(folder, "experiments").to_pylist()
    executions, rows = (read_table(folder, name).to_pylist() for name in ("executions", "telemetry"))
    assert experiment["telemetry_count"] == len(rows)
    return experiment, executions, rows


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sample_marks_what_ran_since_the_one_before(tmp_path: Path, case: str) -> None:
    word, told = BAD[case]
    experiment, executions, rows = pair(tmp_path, told)
    (place,) = (index for index, row in enumerate(rows) if row["marks"])
    assert rows[place]["marks"] == [word]
    first, last = rows[place - 1]["t_ns"], rows[place]["t_ns"]
    for row in executions:
        met = row["start_ns"] < last and row["end_ns"] > first
        assert (word in row["marks"]) == met
        assert set(row["marks"]) <= {word, "cold"}
        assert row["marks"] == sorted(row["marks"])
    assert 0 < sum(word in row["marks"] for row in executions) < len(executions)
    assert experiment["gate_marks"] == [word]
    assert word in experiment["verdict_reasons"]
    assert REASONS[word].severity == ("note" if word == "hot" else "mark")


@pytest.mark.parametrize("told", HARMLESS, ids=str)
def test_a_quiet_device_has_no_marks(tmp_path: Path, told: Row) -> None:
    experiment, executions, rows = pair(tmp_path, told)
    assert len(rows) > 10
    assert all(row["marks"] == [] for row in rows)
    assert {word for row in executions for word in row["marks"]} == {"cold"}
    assert experiment["gate_marks"] == []
    assert not set(GATE_MARKS) & set(experiment["verdict_reasons"])


def test_every_gate_is_tried() -> None:
    assert {word for word, _ in BAD.values()} == set(GATE_MARKS) == set(MARKS) - {"cold"}
    assert set(GATE_MARKS) <= set(REASONS)


def test_thresholds_are_those_stored_with_the_experiment(tmp_path: Path) -> None:
    strict = {**GPU_QUALITY, "sync_boost_throttles": True, "throttle_mask": 0, "temperature_margin_min_c": 40}
    maker = Maker(tmp_path, quads=2)
    maker.pair("resnet18@1", "vit_ti_16@1", device=GPU_DEVICE, quality=strict)
    watch(tmp_path, GPU | {"throttle_mask": 0x1C})
    build_dataset(tmp_path)
    assert check_dataset(tmp_path).ok
    (experiment,) = read_table(tmp_path, "experiments").to_pylist()
    assert experiment["gate_marks"] == ["hot", "throttled"]


def test_a_card_that_is_pinned_lower_has_no_drop(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=2)
    maker.pair("resnet18@1", "vit_ti_16@1", device=GPU_DEVICE, quality=GPU_QUALITY)
    watch(tmp_path, GPU | {"sm_clock_mhz": 600})
    build_dataset(tmp_path)
    (experiment,) = read_table(tmp_path, "experiments").to_pylist()
    assert experiment["gate_marks"] == []


def test_a_clock_between_executions_says_nothing() -> None:
    times = [0, 10, 20, 30, 40]
    told = samples(times, GPU, {1: {"sm_clock_mhz": 2500}, 3: {"sm_clock_mhz": 300}})
    start, end = np.array([0, 15, 38]), np.array([5, 25, 41])  # idle at 10 and at 30
    loaded = loaded_at(np.array(times), start, end)
    assert loaded.tolist() == [True, False, True, False, True]
    assert not sample_marks(told, loaded, limits_of({}, "gpu"))["clock_drop"].any()


def test_what_only_led_in_or_kept_a_lane_busy_says_nothing_of_its_experiment() -> None:
    roles = np.array(["warmup", "main", "solo", "canary", "null", "tail"], dtype=object)
    assert set(roles) == set(ROLES)
    assert count_for_gates(roles).tolist() == [False, True, True, True, True, False]


def test_telemetry_that_ended_early_says_how_much_it_saw(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=2)
    begin_ns = maker.now_ns
    maker.pair("resnet18@1", "vit_ti_16@1", siblings={"telemetry": samples([begin_ns, begin_ns + 600 * MS], HOST)})
    build_dataset(tmp_path)
    assert check_dataset(tmp_path).findings == []
    (experiment,) = read_table(tmp_path, "experiments").to_pylist()
    rows = read_table(tmp_path, "executions").to_pylist()
    seen = sum(row["end_ns"] <= begin_ns + 600 * MS for row in rows)
    assert experiment["watched_ratio"] == pytest.approx(seen / len(rows))
    assert 0 < experiment["watched_ratio"] < 1
    watch(tmp_path, HOST)
    build_dataset(tmp_path)
    assert read_table(tmp_path, "experiments")["watched_ratio"].to_pylist() == [1.0]


def test_a_first_sample_speaks_for_no_time(tmp_path: Path) -> None:
    begin_ns = Maker(tmp_path / "clock").now_ns
    experiment, executions, rows = pair(tmp_path / "made", {"throttle_mask": 0x4}, at_ns=begin_ns - PERIOD_NS // 2)
    assert rows[0]["marks"] == ["throttled"]
    assert experiment["gate_marks"] == []
    assert all("throttled" not in row["marks"] for row in executions)


def test_going_on_with_a_busy_device_marks_every_experiment(tmp_path: Path) -> None:
    experiment, _, _ = pair(tmp_path, {"steal_pct": 0.0}, started_busy=True)
    assert (experiment["verdict"], experiment["started_busy"]) == ("marked", True)
    assert "device_not_idle" in experiment["verdict_reasons"]
    idle, _, _ = pair(tmp_path / "idle", {"steal_pct": 0.0}, started_busy=False)
    assert idle["started_busy"] is False
    assert "device_not_idle" not in idle["verdict_reasons"]


def test_estimates_do_not_change(tmp_path: Path) -> None:
    for folder, told in (("bad", {"steal_pct": 90.0}), ("quiet", {"steal_pct": 0.0})):
        pair(tmp_path / folder, told)
    for table in ("slowdowns", "blocks", "solo_profiles"):
        assert read_table(tmp_path / "bad", table).equals(read_table(tmp_path / "quiet", table))


def test_defaults_are_the_profilers() -> None:
    for kind in ("cpu", "gpu", "simulated"):
        quality = Quality().resolved(kind)
        assert limits_of({}, kind) == limits_of(quality.stored(), kind)
        assert limits_of({}, kind).throttle_mask == quality.bad_clock_reasons
    boosted = Quality(sync_boost_throttles=True)
    assert limits_of(boosted.stored(), "gpu").throttle_mask == boosted.bad_clock_reasons
    assert thresholds.SYNC_BOOST == gates.SYNC_BOOST


SPANS = st.lists(st.tuples(st.integers(-5, 60), st.integers(1, 20)), max_size=12)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=12), SPANS)
def test_executions_get_the_marks_of_every_stretch_that_they_meet(
    taken: list[tuple[int, bool]], spans: list[tuple[int, int]]
) -> None:
    taken = sorted(taken, key=lambda sample: sample[0])
    times, flags = [time for time, _ in taken], [flag for _, flag in taken]
    ends = [(start, start + span) for start, span in spans]
    found = execution_marks(
        np.array(times, np.int64),
        {"hot": np.array(flags, bool)},
        *(np.array([e[k] for e in ends], np.int64) for k in (0, 1)),
    )
    for place, (start, end) in enumerate(ends):
        met = [
            flags[k]
            for k in range(1, len(times))
            if times[k - 1] < times[k] and start < times[k] and end > times[k - 1]
        ]
        empty = [flags[k] for k in range(1, len(times)) if times[k - 1] == times[k] and start < times[k] < end]
        assert ("hot" in found and found["hot"][place]) == any(met + empty)


@given(st.lists(st.integers(0, 60), max_size=12), SPANS)
def test_a_device_works_at_a_time_if_an_execution_holds_it(times: list[int], spans: list[tuple[int, int]]) -> None:
    times = sorted(times)
    start, end = (np.array([s + k * n for s, n in spans], np.int64) for k in (0, 1))
    found = loaded_at(np.array(times, np.int64), start, end)
    assert found.tolist() == [any(s <= time < s + n for s, n in spans) for time in times]
