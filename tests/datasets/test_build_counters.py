"""Counters that a runner brings along, and peaks: kept once, refused where experiments disagree on them."""

from pathlib import Path
from typing import Any

import pytest
from profiled_campaign import LABELS, paper, profiled_campaign, single, write
from raw_campaign import DEVICE, PEAKS, SPANS_NS, Maker, engine
from raw_serving import counters_of, kernels_of

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.raw_counters import COUNTERS, CountersDamagedError, write_counters
from cotenant.datasets.read import read_table
from cotenant.models.digest import digest_id
from cotenant.models.errors import WorkError

RESNET, VIT, _ = SPANS_NS
Row = dict[str, Any]


def tables(folder: Path) -> dict[str, list[Row]]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    return {name: read_table(folder, name).to_pylist() for name in TABLES}


def reasons(row: Row) -> dict[str, str]:
    return dict(row["null_reasons"])


def test_counters_and_kernels_are_kept_once_however_often_they_are_repeated(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    for label in (RESNET, VIT):
        maker.solo(label, repeats=2, counters=counters_of([label]), siblings={"kernels": kernels_of([label])})
    found = tables(tmp_path)
    simulated = [row for row in found["throughputs"] if row["counter_source"] == "simulated"]
    assert len(found["throughputs"]) == 4
    assert sorted(row["engine_id"] for row in simulated) == sorted(map(digest_id, (RESNET, VIT)))
    assert {(row["sm_pct"], row["kernel_count"], reasons(row)["tensor_pct"]) for row in simulated} == {
        (50.0, 2, "not_reported")
    }
    assert [(row["kernel_index"], row["duration_ns"], row["name"]) for row in found["kernels"]] == [
        (0, 1000, "conv"), (1, 1000, "conv"), (0, 1000, "conv"), (1, 1000, "conv"),
    ]  # fmt: skip
    assert {row["device_id"] for row in found["kernels"]} == {"cpu-0"}


def test_counters_that_experiments_disagree_on_are_refused(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    ids = maker.solo(VIT, repeats=1, counters=counters_of([VIT]))
    ids += maker.solo(VIT, repeats=1, counters=[counters_of([VIT])[0] | {"sm_pct": 41.0}])
    with pytest.raises(WorkError, match=r"throughputs of engine .* have another sm_pct in experiment") as caught:
        build_dataset(tmp_path)
    assert all(identity in str(caught.value) for identity in ids)


def test_kernels_without_a_column_or_with_a_wrong_one_are_refused(tmp_path: Path) -> None:
    kernels = kernels_of([VIT])
    place = kernels.column_names.index("duration_ns")
    for changed, says in (
        (kernels.drop_columns(["name"]), "has a sibling kernels without name"),
        (kernels.set_column(place, "duration_ns", [["long"] * kernels.num_rows]), "whose duration_ns is no int64"),
    ):
        folder = tmp_path / says
        Maker(folder).solo(VIT, repeats=1, siblings={"kernels": changed})
        with pytest.raises(raw.RawDamagedError, match=says):
            build_dataset(folder)


def test_the_most_that_any_experiment_saw_is_the_peak(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    for factor in (1.0, 1.3, 1.1):
        maker.solo(VIT, repeats=1, peaks={name: value * factor for name, value in PEAKS.items()})
    maker.solo(VIT, repeats=1, peaks=None)
    device = tables(tmp_path)["devices"][0]
    for name, value in PEAKS.items():
        assert device[f"peak_{name}"] == pytest.approx(1.3 * value)


@pytest.fixture
def profiled(tmp_path: Path) -> Path:
    return profiled_campaign(tmp_path)


def test_counters_files_make_rows_beside_the_analytic_ones(profiled: Path) -> None:
    found = tables(profiled)
    rows = {(row["engine_id"], row["counter_set"]): row for row in found["throughputs"]}
    profiles = {row["engine_id"]: row for row in found["solo_profiles"]}
    for label in LABELS:
        engine_id = digest_id(label)
        by_kernel, by_range = rows[engine_id, "paper"], rows[engine_id, "single"]
        assert rows[engine_id, "analytic"]["counter_source"] == "analytic"
        span_ns = profiles[engine_id]["span_p50_ns"]
        assert (by_kernel["wall_ns"], by_kernel["isolation"]) == (span_ns, "processes"), "kernels were profiled apart"
        assert (by_kernel["busy_ns"], by_kernel["replay_passes"], by_kernel["marks"]) == (4000, 8, ["fallback"])
        assert (by_kernel["kernel_count"], by_kernel["replayed_kernel_count"]) == (3, 2)
        assert reasons(by_kernel)["tensor_pct"] == "not_in_set"
        assert reasons(by_kernel)["l2_moved_bytes"] == "not_reported"
        assert by_range["wall_ns"] == 5000, "its own"
        assert by_range["dram_bytes_per_s"] == pytest.approx(1_000_000 / (span_ns * 1e-9))
        assert reasons(by_range)["busy_ns"] == "one_range"
        kernels = [row for row in found["kernels"] if row["engine_id"] == engine_id]
        assert [(row["counter_set"], row["kernel_index"], row["measured_kernel_index"]) for row in kernels] == [
            ("paper", 0, 0), ("paper", 1, 0), ("paper", 2, 2),
        ]  # fmt: skip
    told = [row for row in found["provenance"] if row["subject"] == "counters"]
    assert len(told) == 2 * len(LABELS)
    assert all(dict(row["versions"])["ncu"] == "2026.3.1" and row["host"] == "bench" for row in told)
    assert {row["subject_id"] for row in told} == {path.stem for path in (profiled / COUNTERS).glob("*.parquet")}


def test_counters_of_an_engine_and_a_device_without_experiments_are_kept(tmp_path: Path) -> None:
    Maker(tmp_path).solo(VIT, repeats=1)
    apart = paper(LABELS[2])
    apart["metadata"] = {**apart["metadata"], "device": {**DEVICE, "device_id": "gpu-1", "name": "Other"}}
    write(tmp_path, apart)
    found = tables(tmp_path)
    (row,) = [row for row in found["throughputs"] if row["counter_set"] == "paper"]
    assert (row["engine_id"], row["device_id"]) == (digest_id(LABELS[2]), "gpu-1")
    assert reasons(row)["wall_ns"] == "no_profile"
    assert row["isolation"] is None
    assert {row["engine_id"] for row in found["engines"]} == {digest_id(VIT), digest_id(LABELS[2])}
    device = next(row for row in found["devices"] if row["device_id"] == "gpu-1")
    assert (device["name"], device["noise_floor_ratio"], reasons(device)["peak_flop_per_s"]) == (
        "Other",
        None,
        "no_peak",
    )


def test_two_files_of_the_same_counters_must_agree(profiled: Path) -> None:
    write(profiled, paper(LABELS[0]), "copy")
    assert len([row for row in tables(profiled)["throughputs"] if row["counter_set"] == "paper"]) == len(LABELS)
    write(profiled, paper(LABELS[0], dram_pct=11.0), "copy")
    with pytest.raises(WorkError, match=r"another dram_pct in counters/copy\.parquet than in counters/"):
        build_dataset(profiled)
    fewer = paper(LABELS[0])
    write(profiled, {**fewer, "kernels": fewer["kernels"][:2]}, "copy")
    with pytest.raises(WorkError, match=r"copy\.parquet has another number of kernels"):
        build_dataset(profiled)


def test_engines_and_devices_of_counters_must_be_those_of_the_experiments(profiled: Path) -> None:
    for part, change, says in (
        ("engine", {"flop_count": 1}, r"another flop_count in counters copy than in experiment"),
        ("device", {"sm_count": 5}, r"sm_count 4 in experiment \w+ and 5 in counters copy"),
    ):
        other = single(LABELS[0])
        other["metadata"] = {**other["metadata"], part: {**other["metadata"][part], **change}}
        write(profiled, other, "copy")
        with pytest.raises(WorkError, match=says):
            build_dataset(profiled)


def test_a_damaged_counters_file_is_one_line_with_what_to_do(profiled: Path) -> None:
    path = sorted((profiled / COUNTERS).glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CountersDamagedError, match=r"truncated.*delete this file and run the campaign again") as caught:
        build_dataset(profiled)
    assert "\n" not in str(caught.value)
    nameless = single(LABELS[0])
    nameless["metadata"] = {**nameless["metadata"], "engine": {}}
    path.unlink()
    write_counters(profiled / COUNTERS, "copy", [], nameless["metadata"])
    with pytest.raises(CountersDamagedError, match="does not say engine_id of its engine"):
        build_dataset(profiled)
    write(profiled, paper(LABELS[0], counter_source="probe"), "copy")
    with pytest.raises(CountersDamagedError, match="of source probe, which is derived"):
        build_dataset(profiled)


def test_the_analytic_part_of_another_precisions_peak_is_not_told(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    half = {**engine(VIT), "precision": "fp16"}
    maker.solo(VIT, repeats=1, engines=[half])
    (row,) = tables(tmp_path)["throughputs"]
    assert reasons(row)["sm_pct"] == "other_precision"
    assert row["flop_per_s"] == pytest.approx(half["flop_count"] / (row["wall_ns"] * 1e-9))
    assert row["l2_pct"] is not None
