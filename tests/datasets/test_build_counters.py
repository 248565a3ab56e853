"""Counters that a runner brings along, and peaks: kept once, refused where experiments disagree on them."""

from pathlib import Path
from typing import Any

import pytest
from raw_campaign import PEAKS, SPANS_NS, Maker
from raw_serving import counters_of, kernels_of

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
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
