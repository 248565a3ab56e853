"""Sensitivities and the throughputs read off them, from raw files of probes whose law is known."""

from pathlib import Path
from typing import Any

import pytest
from profiled_campaign import INTENSITIES_PCT, LABELS, LIKE_PCT, beside_probes
from raw_campaign import SELF_TEST, Maker

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.derive.probe_throughputs import probe_rows
from cotenant.datasets.derive.sensitivities import probe_of
from cotenant.datasets.read import read_table
from cotenant.models.digest import digest_id

Row = dict[str, Any]
RESNET = LABELS[0]


def tables(folder: Path) -> dict[str, list[Row]]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    return {name: read_table(folder, name).to_pylist() for name in TABLES}


def maker(folder: Path, **changes: Any) -> Maker:
    made = Maker(folder, quads=4, **changes)
    made.self_test()
    return made


def probe_row(found: dict[str, list[Row]], label: str) -> Row:
    (row,) = [
        row for row in found["throughputs"] if row["counter_source"] == "probe" and row["engine_id"] == digest_id(label)
    ]
    return row


def why(row: Row, column: str) -> str:
    return str(dict(row["null_reasons"])[column])


def test_both_slowdowns_of_each_experiment_stand_there_by_intensity(tmp_path: Path) -> None:
    beside_probes(maker(tmp_path))
    found = tables(tmp_path)
    slowdowns = {(row["experiment_id"], row["tenant"]): row for row in found["slowdowns"]}
    assert len(found["sensitivities"]) == len(INTENSITIES_PCT) + len(LABELS)
    for row in found["sensitivities"]:
        (experiment_id,) = row["experiment_ids"]
        engine, probe = slowdowns[experiment_id, "a"], slowdowns[experiment_id, "b"]
        assert row["engine_id"] == engine["engine_id"]
        for end in ("", "_lower", "_upper"):
            assert row[f"slowdown{end}_ratio"] == engine[f"slowdown{end}_ratio"]
            assert row[f"pressure{end}_ratio"] == probe[f"slowdown{end}_ratio"]
        assert (row["probe"], row["quad_count"], row["isolation"]) == ("dram", 4, "processes")
    full = [row for row in found["sensitivities"] if row["engine_id"] == digest_id("probe:dram:100@1")]
    assert [row["intensity_pct"] for row in full] == sorted(INTENSITIES_PCT)


def test_an_engine_is_like_the_probe_that_does_the_same(tmp_path: Path) -> None:
    beside_probes(maker(tmp_path, noise=0.0005))
    found = tables(tmp_path)
    for label in LABELS:
        row = probe_row(found, label)
        assert row["dram_pct"] == pytest.approx(LIKE_PCT[label], abs=1.5), "straight lines between calibrated points"
        assert row["aggregation"] == "equivalent"
        assert {why(row, name) for name in ("sm_pct", "l2_pct")} == {"no_full_probe"}
        assert row["isolation"] == "processes"
    assert sum(row["counter_source"] == "probe" for row in found["throughputs"]) == len(LABELS), "no full probe's own"


def test_an_effect_within_the_noise_is_unknown_and_not_zero(tmp_path: Path) -> None:
    made = maker(tmp_path)
    beside_probes(made, labels=())
    made.slowdown = 1.0
    made.together("sensitivity", [RESNET, "probe:dram:100@1"])
    made.slowdown = 2.5
    made.together("sensitivity", [LABELS[1], "probe:dram:100@1"])
    found = tables(tmp_path)
    assert (probe_row(found, RESNET)["dram_pct"], why(probe_row(found, RESNET), "dram_pct")) == (
        None, "below_resolution",
    )  # fmt: skip
    assert why(probe_row(found, LABELS[1]), "dram_pct") == "above_calibration"


def test_a_slowdown_within_the_devices_noise_floor_is_unknown(tmp_path: Path) -> None:
    made = maker(tmp_path, noise=0.0005)
    beside_probes(made, labels=())
    made.slowdown = 1.01
    made.together("sensitivity", [RESNET, "probe:dram:100@1"])
    quiet = probe_row(tables(tmp_path), RESNET)["dram_pct"]
    assert quiet == pytest.approx(1.0, abs=0.2)
    made.noise = 0.05
    made.null(LABELS[1], RESNET)
    assert why(probe_row(tables(tmp_path), RESNET), "dram_pct") == "below_resolution"


@pytest.mark.parametrize(("floor_ratio", "known"), [(None, True), (1.02, True), (1.05, False)])
def test_two_slowdowns_of_nothing_may_each_reach_the_noise_floor(floor_ratio: float | None, known: bool) -> None:
    names = [f"{side}{end}_ratio" for side in ("slowdown", "pressure") for end in ("", "_lower", "_upper")]
    same: Row = {"device_id": "d", "isolation": "streams", "probe": "dram", "intensity_pct": 100.0, "quad_count": 9}
    same |= {"share_pct": None, "probe_share_pct": None, "condition": None, "verdict": "ok"}
    rows = [same | {"engine_id": "own"} | dict.fromkeys(names, 1.04)]  # together 1.08: above 1.05, not above its square
    rows += [same | {"engine_id": "probe"} | dict.fromkeys(names, 2.0)]
    engines = [{"engine_id": "own", "model": "resnet50"}, {"engine_id": "probe", "model": "probe:dram:100"}]
    (row,) = probe_rows(rows, engines, [{"device_id": "d", "noise_floor_ratio": floor_ratio}])
    assert (row["dram_pct"] is not None) is known
    assert known or why(row, "dram_pct") == "below_resolution"


def test_without_calibration_or_with_time_slicing_there_is_no_number(tmp_path: Path) -> None:
    made = maker(tmp_path / "uncalibrated")
    made.together("sensitivity", [RESNET, "probe:dram:100@1"])
    assert why(probe_row(tables(tmp_path / "uncalibrated"), RESNET), "dram_pct") == "not_calibrated"
    sliced = maker(tmp_path / "sliced")
    beside_probes(sliced, labels=())
    sliced.slowdown = 2.02
    in_turns = {**SELF_TEST, "passed": False, "makespan_ratio": 2.0}
    sliced.self_test(self_test=in_turns)
    sliced.together("sensitivity", [RESNET, "probe:dram:100@1"], self_test=in_turns)
    found = tables(tmp_path / "sliced")
    assert {row["verdict"] for row in found["sensitivities"] if row["engine_id"] == digest_id(RESNET)} == {"failed"}
    assert why(probe_row(found, RESNET), "dram_pct") == "failed_experiment"


def test_repeats_are_pooled_by_quads(tmp_path: Path) -> None:
    made = maker(tmp_path)
    for repeat, slowdown in enumerate((1.2, 1.3)):
        made.slowdown = slowdown
        made.together("sensitivity", [RESNET, "probe:dram:50@1"], repeat=repeat)
    (row,) = tables(tmp_path)["sensitivities"]
    singles = [row for row in read_table(tmp_path, "slowdowns").to_pylist() if row["tenant"] == "a"]
    product = singles[0]["slowdown_ratio"] * singles[1]["slowdown_ratio"]
    assert row["slowdown_ratio"] == pytest.approx(product**0.5)
    assert row["quad_count"] == 8
    assert len(row["experiment_ids"]) == 2
    assert row["slowdown_lower_ratio"] < row["slowdown_ratio"] < row["slowdown_upper_ratio"]
    widths = [one["slowdown_upper_ratio"] / one["slowdown_lower_ratio"] for one in singles]
    assert row["slowdown_upper_ratio"] / row["slowdown_lower_ratio"] < max(widths), "two tell more than one"


def test_conditions_and_shares_have_rows_of_their_own_and_calibrate_nothing(tmp_path: Path) -> None:
    made = maker(tmp_path)
    beside_probes(made, labels=(RESNET,), condition="hot")
    beside_probes(made, labels=(RESNET,), lane_share_pct=[25.0, 75.0])
    found = tables(tmp_path)
    own = [row for row in found["sensitivities"] if row["engine_id"] == digest_id(RESNET)]
    assert [(row["condition"], row["share_pct"], row["probe_share_pct"]) for row in own] == [
        ("hot", None, None), (None, 25.0, 75.0),
    ]  # fmt: skip
    assert not [row for row in found["throughputs"] if row["counter_source"] == "probe"]


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("probe:dram:100", ("dram", 100)), ("probe:cache:0", ("cache", 0)), ("probe:half:100", None),
        ("resnet18", None), ("probe:dram:101", None), ("probe:dram", None), ("probe:dram:-1", None), (None, None),
        ("file:probe:dram:1", None),
    ],
)  # fmt: skip
def test_probes_are_known_by_their_names(model: str | None, found: tuple[str, int] | None) -> None:
    assert probe_of(model) == found
