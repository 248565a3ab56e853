"""What was planted in raw files stands in the tables: slowdowns, gains, solo profiles, throughputs, noise floors."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from raw_campaign import DEVICE, PEAKS, SPANS_NS, Maker, engine, small_campaign

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.read import read_table
from cotenant.models.digest import digest_id

RESNET, VIT, VGG = SPANS_NS
Row = dict[str, Any]


def tables(folder: Path) -> dict[str, list[Row]]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    return {name: read_table(folder, name).to_pylist() for name in TABLES}


def only(rows: list[Row], **wanted: Any) -> Row:
    (found,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return found


def reasons(row: Row) -> dict[str, str]:
    return dict(row["null_reasons"])


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    small_campaign(folder)
    return folder


@pytest.fixture(scope="module")
def found(campaign: Path) -> dict[str, list[Row]]:
    return tables(campaign)


def test_planted_slowdowns_are_recovered(found: dict[str, list[Row]]) -> None:
    pairs = [row for row in found["slowdowns"] if row["kind"] == "pair"]
    assert len(pairs) == 6
    for row in pairs:
        assert row["slowdown_ratio"] == pytest.approx(1.2, rel=0.002)
        assert row["cpu_ratio"] == pytest.approx(1.2, rel=0.002)
        assert row["slowdown_lower_ratio"] < row["slowdown_ratio"] < row["slowdown_upper_ratio"]
        assert row["co_run_p50_ns"] == pytest.approx(1.2 * row["solo_p50_ns"], rel=0.002)
        assert (row["quad_count"], row["within_noise"], row["stop_reason"]) == (8, False, "narrow")
    nulls = [row for row in found["slowdowns"] if row["kind"] == "null"]
    assert [row["slowdown_ratio"] for row in nulls] == pytest.approx([1.0, 1.0], rel=0.002)
    assert {row["lane"] for row in nulls} == {0}, "the idle tenant has no slowdown"


@pytest.mark.parametrize(("slowdown", "lanes"), [(1.0, 2), (1.2, 2), (2.0, 2), (1.5, 3)])
def test_without_noise_slowdown_and_gain_are_exact(tmp_path: Path, slowdown: float, lanes: int) -> None:
    maker = Maker(tmp_path, slowdown=slowdown, noise=0.0, quads=3, lanes=lanes)
    maker.together("pair" if lanes == 2 else "set", [RESNET, VIT, VGG][:lanes])
    found = tables(tmp_path)
    for row, label in zip(found["slowdowns"], (RESNET, VIT, VGG), strict=False):
        for name in ("slowdown_ratio", "slowdown_lower_ratio", "slowdown_upper_ratio", "cpu_ratio"):
            assert row[name] == pytest.approx(slowdown, rel=1e-6)
        assert (row["solo_p50_ns"], row["co_run_p50_ns"]) == (SPANS_NS[label], round(SPANS_NS[label] * slowdown))
    (experiment,) = found["experiments"]
    assert experiment["concurrency_gain_ratio"] == pytest.approx(lanes / slowdown, rel=1e-3), "gaps are 2 us at most"
    assert experiment["canary_drift_ratio"] == 1.0
    gains = [row["concurrency_gain_ratio"] for row in found["blocks"] if row["arm"] == "co_run"]
    assert experiment["concurrency_gain_ratio"] == pytest.approx(np.mean(gains))


def test_a_p95_is_slowed_too_where_there_are_enough_executions(found: dict[str, list[Row]]) -> None:
    fast = [row for row in found["slowdowns"] if row["solo_sample_count"] >= 200 and row["sample_count"] >= 200]
    slow = [row for row in found["slowdowns"] if row not in fast]
    assert fast
    assert slow
    for row in fast:
        truth = 1.2 if row["kind"] == "pair" else 1.0
        assert row["p95_ratio"] == pytest.approx(truth, rel=0.01)
        assert row["p95_lower_ratio"] < row["p95_ratio"] < row["p95_upper_ratio"]
    assert {reasons(row)["p95_ratio"] for row in slow} == {"too_few_samples"}


def test_drift_from_the_first_to_the_last_quads_is_recovered(tmp_path: Path) -> None:
    maker = Maker(tmp_path, noise=0.0, quads=6)
    identity = maker.pair(RESNET, VIT)
    path = tmp_path / "raw" / f"{identity}.parquet"
    found = raw.read_raw(path)
    rows = found.executions.to_pylist()
    quads = {block["block_index"]: block["quad_index"] for block in found.metadata["blocks"]}
    for row in rows:  # the last third is 10 % shorter: spans shrink in place, so that lanes stay sequential
        if quads[row["block_index"]] >= 4:
            row["end_ns"] -= round(0.1 * (row["end_ns"] - row["start_ns"]))
    table = pa.Table.from_pylist(rows, schema=raw.RAW_EXECUTIONS)
    raw.write_raw(path.parent, identity, table, found.metadata)
    build_dataset(tmp_path)
    (experiment,) = read_table(tmp_path, "experiments").to_pylist()
    assert experiment["canary_drift_ratio"] == pytest.approx(1 / 0.9, rel=1e-6)


def solo_spans(folder: Path, label: str) -> list[int]:
    """All but the first of each block, straight from the raw files."""
    spans = []
    for path in (folder / "raw").glob("*.parquet"):
        told = raw.read_metadata(path)
        if told["kind"] == "solo" and told["tenants"][0]["engine_ids"] == [digest_id(label)]:
            rows = sorted(raw.read_raw(path).executions.to_pylist(), key=lambda row: row["start_ns"])
            spans += [row["end_ns"] - row["start_ns"] for row in rows[1:]]
    return spans


@pytest.mark.parametrize("label", [RESNET, VIT])
def test_solo_profiles_are_those_of_the_samples(campaign: Path, found: dict[str, list[Row]], label: str) -> None:
    profile = only(found["solo_profiles"], engine_id=digest_id(label))
    spans = solo_spans(campaign, label)
    assert profile["sample_count"] == len(spans) >= 256
    assert (profile["block_count"], profile["marks"], profile["pattern"]) == (8, [], "back_to_back")
    assert profile["span_min_ns"] == min(spans)
    assert profile["span_p50_ns"] == round(np.quantile(spans, 0.5))
    assert profile["span_p95_ns"] == round(np.quantile(spans, 0.95))
    assert profile["span_mean_ns"] == round(np.mean(spans))
    assert profile["span_std_ns"] == round(np.std(spans, ddof=1))
    assert profile["throughput_items_per_s"] == pytest.approx(1e9 / np.mean(spans))
    assert profile["cpu_p50_ns"] == pytest.approx(0.9 * profile["span_p50_ns"], abs=2)
    assert profile["span_p50_lower_ns"] <= profile["span_p50_ns"] <= profile["span_p50_upper_ns"]
    assert profile["span_p50_lower_ns"] <= SPANS_NS[label] <= profile["span_p50_upper_ns"]
    assert profile["span_p95_lower_ns"] <= profile["span_p95_ns"] <= profile["span_p95_upper_ns"]
    assert reasons(profile)["span_p99_ns"] == "too_few_samples"


def test_every_execution_is_divided_by_its_engines_profile(found: dict[str, list[Row]]) -> None:
    profiles = {row["engine_id"]: row for row in found["solo_profiles"]}
    divided = [row for row in found["executions"] if row["engine_id"] in profiles]
    assert len(divided) > 1000
    for row in divided:
        profile = profiles[row["engine_id"]]
        assert row["slowdown_ratio"] == row["span_ns"] / profile["span_p50_ns"]
        assert row["interference_ratio"] == row["span_ns"] / profile["span_p95_ns"]
    rest = [row for row in found["executions"] if row["engine_id"] not in profiles]
    assert {(row["kind"], row["slowdown_ratio"]) for row in rest} == {("self_test", None)}


def test_analytic_throughputs_are_work_over_time_over_peaks(tmp_path: Path) -> None:
    maker = Maker(tmp_path, noise=0.0)
    maker.solo(RESNET, repeats=1)
    (row,) = tables(tmp_path)["throughputs"]
    work, moved = engine(RESNET), 4 * SPANS_NS[RESNET]
    seconds = SPANS_NS[RESNET] / 1e9
    assert row["flop_per_s"] == pytest.approx(work["flop_count"] / seconds)
    assert row["sm_pct"] == pytest.approx(100 * row["flop_per_s"] / PEAKS["flop_per_s"]) == pytest.approx(60)
    assert row["l2_bytes_per_s"] == pytest.approx(moved / seconds)
    assert row["l2_pct"] == pytest.approx(10)
    assert row["dram_bytes_per_s"] == pytest.approx((moved - DEVICE["l2_bytes"]) / seconds)
    assert row["dram_pct"] == pytest.approx(100 * row["dram_bytes_per_s"] / PEAKS["dram_bytes_per_s"])
    assert (row["counter_source"], row["isolation"], reasons(row)["tensor_pct"]) == (
        "analytic", "processes", "not_measured",
    )  # fmt: skip


def test_the_noise_floor_covers_what_nulls_showed_and_calls_small_slowdowns_noise(tmp_path: Path) -> None:
    maker = Maker(tmp_path, slowdown=1.01, noise=0.05, quads=4)
    for _ in range(4):
        maker.null(RESNET, VIT)
    maker.pair(RESNET, VIT)
    found = tables(tmp_path)
    (device,) = found["devices"]
    assert device["null_experiment_count"] == 4
    assert 1.0 < device["noise_floor_ratio"] < 1.2
    nulls = [abs(math.log(row["slowdown_ratio"])) for row in found["slowdowns"] if row["kind"] == "null"]
    assert math.log(device["noise_floor_ratio"]) > np.sqrt(np.mean(np.square(nulls))), "bounds lie beyond estimates"
    pair = [row for row in found["slowdowns"] if row["kind"] == "pair"]
    assert {row["noise_floor_ratio"] for row in pair} == {device["noise_floor_ratio"]}
    assert [row["within_noise"] for row in pair] == [True, True]
