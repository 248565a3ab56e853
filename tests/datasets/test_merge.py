"""Campaigns of several machines as one dataset: nothing collides, duplicates are known, contradictions are refused."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_campaign import DEVICE, Maker, metadata

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.content_digest import dataset_digest
from cotenant.datasets.merge import merge_campaigns
from cotenant.datasets.read import read_table
from cotenant.models.errors import UserError, WorkError

OTHER = {**DEVICE, "device_id": "cpu-1", "name": "Other CPU"}


def node(folder: Path, seed: int, **facts: object) -> Path:
    made = Maker(folder, seed=seed, quads=3)
    for label in ("resnet18@1", "vit_ti_16@1"):
        made.solo(label, repeats=8, **facts)
    made.pair("resnet18@1", "vit_ti_16@1", **facts)
    return folder


def rewritten(path: Path, **changes: object) -> None:
    found = raw.read_raw(path)
    raw.write_raw(path.parent, found.metadata["experiment_id"], found.executions, {**found.metadata, **changes})


def test_two_devices_stand_side_by_side_and_every_check_holds(tmp_path: Path) -> None:
    one, other = node(tmp_path / "one", 1), node(tmp_path / "other", 2, device=OTHER)
    merged = merge_campaigns([one, other], tmp_path / "all")
    assert [(each.experiment_count, each.duplicate_count) for each in merged.sources] == [(17, 0), (17, 0)]
    assert read_table(merged.dataset, "experiments").num_rows == 34
    assert set(read_table(merged.dataset, "devices")["device_id"].to_pylist()) == {"cpu-0", "cpu-1"}
    assert check_dataset(merged.dataset).ok
    build_dataset(one)
    own = read_table(one, "slowdowns").to_pylist()
    joined = [row for row in read_table(merged.dataset, "slowdowns").to_pylist() if row["device_id"] == "cpu-0"]
    assert own == joined


def test_the_same_measurement_twice_is_kept_once(tmp_path: Path) -> None:
    one, other = node(tmp_path / "one", 1), node(tmp_path / "other", 2, device=OTHER)
    copy = shutil.copytree(one, tmp_path / "copy")
    elsewhere = {**metadata()["provenance"], "host": "elsewhere"}  # who copied it says nothing of what was measured
    rewritten(sorted((copy / "raw").glob("*.parquet"))[0], provenance=elsewhere)
    merged = merge_campaigns([one, other, copy], tmp_path / "all")
    assert [each.duplicate_count for each in merged.sources] == [0, 0, 17]
    plain = merge_campaigns([other, one], tmp_path / "plain")
    assert dataset_digest(merged.dataset) == dataset_digest(plain.dataset)


def test_a_cell_measured_twice_is_refused(tmp_path: Path) -> None:
    one, again = node(tmp_path / "one", 1), node(tmp_path / "again", 2)
    with pytest.raises(UserError, match=r"measured twice with different results.*leave one of the two"):
        merge_campaigns([one, again], tmp_path / "all")


def test_a_device_described_differently_is_refused(tmp_path: Path) -> None:
    one = node(tmp_path / "one", 1)
    made = Maker(tmp_path / "other", quads=3)
    made.solo("vgg11@2", device={**DEVICE, "sm_count": 8})
    with pytest.raises(WorkError, match="device cpu-0 has sm_count"):
        merge_campaigns([one, tmp_path / "other"], tmp_path / "all")
    assert not (tmp_path / "all" / "dataset").exists()


def test_an_engine_rebuilt_under_its_id_is_refused(tmp_path: Path) -> None:
    one, other = node(tmp_path / "one", 1), node(tmp_path / "other", 2, device=OTHER)
    path = sorted((other / "raw").glob("*.parquet"))[0]
    engines = raw.read_metadata(path)["engines"]
    rewritten(path, engines=[{**engine, "engine_sha256": "ef" * 32} for engine in engines])
    with pytest.raises(WorkError, match="another engine_sha256"):
        merge_campaigns([one, other], tmp_path / "all")


def test_other_versions_are_said_and_a_newer_schema_is_refused(tmp_path: Path) -> None:
    one, other = node(tmp_path / "one", 1), node(tmp_path / "other", 2, device=OTHER)
    path = sorted((other / "raw").glob("*.parquet"))[0]
    rewritten(path, provenance={**metadata()["provenance"], "versions": {"cotenant": "0.2.0"}})
    assert merge_campaigns([one, other], tmp_path / "all").notes == [
        "experiments were measured with 2 versions of cotenant: 0.1.0, 0.2.0"
    ]
    rewritten(path, schema_version="2.0")
    with pytest.raises(UserError, match="install a newer cotenant"):
        merge_campaigns([one, other], tmp_path / "newer")


def test_a_killed_merge_goes_on(tmp_path: Path) -> None:
    one, other = node(tmp_path / "one", 1), node(tmp_path / "other", 2, device=OTHER)
    whole = merge_campaigns([one, other], tmp_path / "whole")
    half = tmp_path / "half"
    shutil.copytree(whole.folder, half)
    shutil.rmtree(half / "dataset")
    for path in sorted((half / "raw").glob("*.parquet"))[::2]:
        path.unlink()
    (half / "raw" / ".tmp-left.parquet").write_bytes(b"left")
    assert dataset_digest(merge_campaigns([one, other], half).dataset) == dataset_digest(whole.dataset)
    assert not list((half / "raw").glob(".tmp-*"))


def test_siblings_come_along(tmp_path: Path) -> None:
    one = node(tmp_path / "one", 1)
    other = node(tmp_path / "other", 2, device=OTHER)
    path = sorted((other / "raw").glob("*.parquet"))[0]
    found = raw.read_raw(path)
    raw.write_raw(path.parent, path.stem, found.executions, found.metadata, {"notes": pa.table({"x": [1, 2]})})
    merged = merge_campaigns([one, other], tmp_path / "all")
    assert pq.read_table(merged.folder / "raw" / f"{path.stem}.notes.parquet").num_rows == 2
    (path.parent / f"{path.stem}.notes.parquet").unlink()
    with pytest.raises(WorkError, match=r"notes\.parquet is missing"):
        merge_campaigns([one, other], tmp_path / "again")


@pytest.mark.parametrize(
    "case", ["one", "twice the same", "no campaign", "out is a source", "out is used", "out is a file"]
)
def test_folders_that_cannot_be_merged_are_refused(tmp_path: Path, case: str) -> None:
    one, other = node(tmp_path / "one", 1), node(tmp_path / "other", 2, device=OTHER)
    out = tmp_path / "all"
    folders = [one, other]
    if case == "one":
        folders = [one]
    elif case == "twice the same":
        folders = [one, one]
    elif case == "no campaign":
        folders = [one, tmp_path]
    elif case == "out is a source":
        out = other
    elif case == "out is used":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    else:
        out.write_text("mine")
    with pytest.raises(UserError):
        merge_campaigns(folders, out)
    assert out == other or not (out / "raw").exists()


def test_the_record_says_where_it_came_from(tmp_path: Path) -> None:
    one, other = node(tmp_path / "one", 1), node(tmp_path / "other", 2, device=OTHER)
    merged = merge_campaigns([one, other / "dataset" if (other / "dataset").exists() else other], tmp_path / "all")
    told = json.loads((merged.folder / "merged.json").read_text())
    assert [source["experiment_count"] for source in told["sources"]] == [17, 17]
