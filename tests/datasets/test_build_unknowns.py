"""What cannot be told is null with its reason, never 0; what contradicts itself is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_campaign import DEVICE, PEAKS, SPANS_NS, Maker, engine

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.derive.executions import DISPATCH
from cotenant.datasets.derive.experiments import LONE, OF_SERVING
from cotenant.datasets.read import read_table
from cotenant.models.digest import digest_id
from cotenant.models.errors import WorkError

RESNET, VIT, VGG = SPANS_NS
Row = dict[str, Any]


def tables(folder: Path) -> dict[str, list[Row]]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    return {name: read_table(folder, name).to_pylist() for name in TABLES}


def reasons(row: Row) -> dict[str, str]:
    return dict(row["null_reasons"])


def first(rows: list[Row], **wanted: Any) -> Row:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def test_a_single_quad_without_controls(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=1)
    maker.pair(RESNET, VIT, self_test=None)
    found = tables(tmp_path)
    (experiment,), (device,) = found["experiments"], found["devices"]
    assert reasons(experiment) == {
        "canary_drift_ratio": "too_few_blocks",
        "condition": "not_applicable",
        "lane_share_pct": "whole_device",
        **dict.fromkeys(("gate_marks", "started_busy", "watched_ratio"), "not_measured"),
        "planned_offset_ratio": "not_applicable",
        "self_test_makespan_ratio": "not_measured",
        "self_test_passed": "not_measured",
        "weights_shared": "not_reported",
        **dict.fromkeys((*OF_SERVING, *LONE), "closed_loop"),
        **dict.fromkeys((f"executions.{name}" for name in ("span_cycle_count", "h2d_ns", "d2h_ns")), "not_measured"),
        **dict.fromkeys((f"executions.{name}" for name in DISPATCH), "closed_loop"),
        **dict.fromkeys((f"executions.{name}_ratio" for name in ("slowdown", "interference")), "no_profile"),
    }
    for row in found["slowdowns"]:
        assert row["slowdown_ratio"] == pytest.approx(1.2, rel=0.02)
        assert reasons(row)["slowdown_lower_ratio"] == reasons(row)["cpu_upper_ratio"] == "too_few_blocks"
        assert reasons(row)["noise_floor_ratio"] == reasons(row)["within_noise"] == "no_null_experiment"
    assert reasons(device)["noise_floor_ratio"] == "no_null_experiment"
    assert (found["solo_profiles"], found["throughputs"]) == ([], [])
    alone = dict.fromkeys(("concurrency_gain_ratio", "offsets_ns"), "not_applicable")
    assert reasons(first(found["blocks"], arm="solo")) == {**alone, "sm_clock_mhz": "not_measured"}


def test_an_experiment_without_co_runs_has_no_gain(tmp_path: Path) -> None:
    Maker(tmp_path).solo(VIT, repeats=1)
    (experiment,) = tables(tmp_path)["experiments"]
    told = {reasons(experiment)[f"{name}_ratio"] for name in ("concurrency_gain", "canary_drift")}
    assert told == {"not_applicable"}


def test_a_runner_without_cpu_time(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=2)
    maker.cpu_part = None
    maker.pair(RESNET, VIT)
    maker.solo(VIT, repeats=1)
    found = tables(tmp_path)
    assert {reasons(row)[f"cpu{end}_ratio"] for row in found["slowdowns"] for end in ("", "_lower", "_upper")} == {
        "not_measured"
    }
    assert [reasons(row)["cpu_p50_ns"] for row in found["solo_profiles"]] == ["not_measured"]


def test_cpu_times_of_0_were_measured_and_tell_nothing(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=2)
    maker.cpu_part = 0.0
    maker.pair(RESNET, VIT)
    told = {
        reasons(row)[f"cpu{end}_ratio"] for row in tables(tmp_path)["slowdowns"] for end in ("", "_lower", "_upper")
    }
    assert told == {"too_coarse"}


@pytest.mark.parametrize(
    ("executions", "slowdown", "interference"),
    [(33, None, None), (6, None, "too_few_samples"), (1, "no_samples", "no_samples"), (0, "no_profile", "no_profile")],
)
def test_ratios_say_what_their_profile_lacks(
    tmp_path: Path, executions: int, slowdown: str | None, interference: str | None
) -> None:
    maker = Maker(tmp_path, quads=1)
    if executions:
        maker.solo(VIT, repeats=1, executions=executions)
    maker.pair(VIT, VIT)
    found = reasons(first(tables(tmp_path)["experiments"], kind="pair"))
    assert found.get("executions.slowdown_ratio") == slowdown
    assert found.get("executions.interference_ratio") == interference


def test_an_engine_without_a_profile_is_the_graver_reason(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=1)
    maker.solo(VIT, repeats=1, executions=6)
    maker.pair(VIT, RESNET)
    found = tables(tmp_path)
    told = reasons(first(found["experiments"], kind="pair"))
    assert told["executions.interference_ratio"] == told["executions.slowdown_ratio"] == "no_profile"
    known = {row["engine_id"] for row in found["executions"] if row["slowdown_ratio"] is not None}
    assert known == {digest_id(VIT)}


def test_profiles_say_when_samples_are_few_or_many(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    maker.solo(RESNET, repeats=1, executions=6)
    maker.solo(VIT, repeats=14)
    maker.solo(VGG, repeats=1, executions=1)
    found = tables(tmp_path)
    few, many, none = (first(found["solo_profiles"], engine_id=digest_id(label)) for label in (RESNET, VIT, VGG))
    assert few["marks"] == ["too_few_blocks", "too_few_samples"]
    assert few["span_p50_ns"] > 0
    told = {name: reasons(few)[name] for name in ("span_p50_lower_ns", "span_p95_ns", "span_p95_lower_ns")}
    assert told == {
        "span_p50_lower_ns": "too_few_blocks",
        "span_p95_ns": "too_few_samples",
        "span_p95_lower_ns": "too_few_samples",
    }
    assert many["sample_count"] >= 400
    counted = [row for row in found["executions"] if row["engine_id"] == digest_id(VIT) and not row["marks"]]
    assert many["span_p99_ns"] == round(np.quantile([row["span_ns"] for row in counted], 0.99))
    assert (none["sample_count"], none["span_p50_ns"], reasons(none)["span_p50_ns"]) == (0, None, "no_samples")


@pytest.mark.parametrize(
    ("told", "peaks", "device"),
    [
        ({"sm_pct": "no_peak", "l2_pct": "no_peak", "dram_pct": "no_peak"}, None, {}),
        ({"sm_pct": "exceeds_peak"}, {"flop_per_s": 2.9e10}, {}),
        ({"l2_pct": "exceeds_peak"}, {"cache_bytes_per_s": 3.9e9}, {}),
        ({"dram_pct": "no_cache_size", "dram_bytes_per_s": "no_cache_size"}, {}, {"l2_bytes": None}),
    ],
)
def test_throughputs_without_what_they_are_divided_by(
    tmp_path: Path, told: dict[str, str], peaks: dict[str, float] | None, device: dict[str, Any]
) -> None:
    """With all known, the engine reaches 3e10 flop/s and 4e9 bytes/s, 60 % and 10 % of the peaks."""
    measured = None if peaks is None else PEAKS | peaks
    Maker(tmp_path, noise=0.0).solo(RESNET, repeats=1, peaks=measured, device=DEVICE | device)
    (row,) = tables(tmp_path)["throughputs"]
    of_interest = ("sm_pct", "l2_pct", "dram_pct", "flop_per_s", "l2_bytes_per_s", "dram_bytes_per_s")
    assert {name: reason for name, reason in reasons(row).items() if name in of_interest} == told
    assert row["flop_per_s"] == pytest.approx(3e10)


def test_unknown_costs_are_no_throughput(tmp_path: Path) -> None:
    unknown = dict.fromkeys(("flop_count", "mac_count", "read_bytes"))
    Maker(tmp_path).solo(RESNET, repeats=1, engines=[engine(RESNET) | unknown])
    found = tables(tmp_path)
    (row,), (built,) = found["throughputs"], found["engines"]
    told = {reasons(row)[name] for name in ("sm_pct", "flop_per_s", "l2_pct", "dram_pct", "dram_bytes_per_s")}
    assert told == {"not_reported"}
    assert {reasons(built)[name] for name in unknown} == {"not_reported"}


def test_of_peaks_the_most_counts_and_of_sizes_that_differ_none(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    maker.solo(RESNET, repeats=1)
    maker.solo(VIT, repeats=1, peaks=PEAKS | {"flop_per_s": 6e10}, device=DEVICE | {"l2_bytes": None})
    (device,) = tables(tmp_path)["devices"]
    assert device["peak_flop_per_s"] == 6e10, "the column's text: the most that a probe reached"
    assert (device["l2_bytes"], reasons(device)["l2_bytes"]) == (None, "differs")
    assert device["peak_dram_bytes_per_s"] == PEAKS["dram_bytes_per_s"]


def test_a_device_that_is_not_itself_is_refused(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    ids = [*maker.solo(RESNET, repeats=1), *maker.solo(VIT, repeats=1, device=DEVICE | {"sm_count": 8})]
    with pytest.raises(WorkError, match=r"device cpu-0 has sm_count .* keep their raw files in separate") as caught:
        build_dataset(tmp_path)
    assert all(identity in str(caught.value) for identity in ids)


def test_an_engine_that_is_not_itself_is_refused(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    ids = maker.solo(RESNET, repeats=1)
    ids += maker.solo(RESNET, repeats=1, engines=[engine(RESNET) | {"engine_sha256": "ef" * 32}])
    with pytest.raises(WorkError, match=rf"{digest_id(RESNET)} has another engine_sha256 .* build_index") as caught:
        build_dataset(tmp_path)
    assert all(identity in str(caught.value) for identity in ids)
