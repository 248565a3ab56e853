"""A dataset comes from raw files alone, the same bytes each time; the old one stays until the new one is whole."""

import fcntl
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_campaign import Maker, executions_table, metadata, small_campaign

from cotenant.datasets import raw
from cotenant.datasets.build import BUILDING_PREFIX, build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.parquet import write_parquet
from cotenant.datasets.read import read_table
from cotenant.models.errors import UserError, WorkError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "campaign"
    small_campaign(folder, quads=3)
    build_dataset(folder)
    return folder


@pytest.fixture
def campaign(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "campaign")
    return tmp_path / "campaign"


def content(folder: Path, without: str = "") -> dict[str, bytes]:
    """Every file's bytes by its place below the folder."""
    dataset = folder / "dataset"
    paths = (path for path in dataset.rglob("*") if path.is_file() and path.parent.name != without)
    return {str(path.relative_to(dataset)): path.read_bytes() for path in paths}


def raw_files(folder: Path) -> list[Path]:
    return sorted((folder / "raw").glob("*.parquet"))


def rewritten(path: Path, rows: list[int]) -> None:
    """Write an experiment anew with its rows in another order."""
    found = raw.read_raw(path)
    table = found.executions.take(pa.array(rows)).combine_chunks()
    write_parquet(table.replace_schema_metadata(pq.read_schema(path).metadata), path)


def test_every_table_is_there_and_holds(built: Path) -> None:
    assert sorted(content(built)) == sorted(f"{name}/part-0.parquet" for name in TABLES)
    assert check_dataset(built).findings == []
    assert sorted(path.name for path in built.iterdir()) == ["campaign.yaml", "dataset", "failed", "raw"]


def test_building_again_gives_the_same_bytes(campaign: Path) -> None:
    before = content(campaign)
    assert build_dataset(campaign) == campaign / "dataset"
    assert content(campaign) == before


def test_raw_files_alone_decide(campaign: Path, tmp_path: Path) -> None:
    """Neither the folder's name, nor its spec, nor what failed, nor an older dataset."""
    other = tmp_path / "elsewhere"
    shutil.copytree(campaign / "raw", other / "raw")
    Maker(campaign).failure()
    (campaign / "campaign.yaml").unlink()
    build_dataset(other)
    build_dataset(campaign / "dataset")
    assert content(other) == content(campaign)


def test_the_order_of_files_and_rows_does_not_matter(campaign: Path) -> None:
    before = content(campaign, without="provenance")
    for path in reversed(raw_files(campaign)):
        rewritten(path, list(range(raw.read_raw(path).executions.num_rows))[::-1])
    build_dataset(campaign)
    assert content(campaign, without="provenance") == before, "provenance holds the digests of the files"


def test_a_folder_without_results_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no raw/ to derive a dataset from; name a campaign folder"):
        build_dataset(tmp_path)
    (tmp_path / "raw").mkdir()
    with pytest.raises(WorkError, match="has no finished experiment yet; run the campaign first"):
        build_dataset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_siblings_and_leftovers_are_no_experiments(campaign: Path) -> None:
    before = content(campaign)
    (campaign / "raw" / "feedface.telemetry.parquet").write_bytes(b"PAR1")
    (campaign / "raw" / ".tmp-1.parquet").write_bytes(b"PAR1")
    build_dataset(campaign)
    assert content(campaign) == before


def test_a_damaged_raw_file_leaves_the_old_dataset(campaign: Path) -> None:
    before = content(campaign)
    path = raw_files(campaign)[3]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(raw.RawDamagedError, match="truncated") as caught:
        build_dataset(campaign)
    assert str(path) in str(caught.value)
    assert content(campaign) == before
    assert not list(campaign.glob(f"{BUILDING_PREFIX}*"))


def test_one_builder_at_a_time_and_a_killed_ones_leftovers_go(campaign: Path) -> None:
    leftover = campaign / f"{BUILDING_PREFIX}killed"
    leftover.mkdir()
    handle = os.open(campaign, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="being derived by another process; wait for it"):
            build_dataset(campaign)
        assert leftover.exists(), "it may be the other one's"
    finally:
        os.close(handle)
    build_dataset(campaign)
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("says", "changes", "row"),
    [
        ("does not end after it starts", {}, ("a", 0, "e", "solo", 0, 9, 9)),
        ("a tenant that it does not list", {}, ("z", 0, "e", "solo", 0, 0, 9)),
        ("an engine that it does not list", {}, ("a", 0, "f", "solo", 0, 0, 9)),
        ("a block that it does not list", {}, ("a", 0, "e", "solo", 1, 0, 9)),
        ("does not number its blocks", {"block_index": 1}, ("a", 0, "e", "solo", 0, 0, 9)),
        ("quad without quad_index", {"arm": "co_run"}, ("a", 0, "e", "main", 0, 0, 9)),
        ("one of no quad with it", {"quad_index": 0}, ("a", 0, "e", "solo", 0, 0, 9)),
    ],
)
def test_a_raw_file_that_does_not_hold_together_is_told(
    tmp_path: Path, says: str, changes: dict[str, object], row: tuple[str, int, str, str, int, int, int]
) -> None:
    block = {
        "block_index": 0, "quad_index": None, "arm": "profile", "tenants": ["a"],
        "window_start_ns": 0, "window_end_ns": 9, "offset_ns": None, **changes,
    }  # fmt: skip
    told = metadata(
        engines=[{"engine_id": "e"}], tenants=[{"tenant": "a", "lane": 0, "engine_id": "e"}], blocks=[block]
    )
    (tmp_path / "raw").mkdir()
    raw.write_raw(tmp_path / "raw", told["experiment_id"], executions_table([row]), told)
    with pytest.raises(raw.RawDamagedError, match=says):
        build_dataset(tmp_path)


def test_no_executions_are_told(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    table = executions_table([("a", 0, "e", "solo", 0, 0, 9)])[:0]
    raw.write_raw(tmp_path / "raw", metadata()["experiment_id"], table, metadata())
    with pytest.raises(raw.RawDamagedError, match="has no executions"):
        build_dataset(tmp_path)


def test_executions_are_numbered_without_gaps(campaign: Path) -> None:
    path = raw_files(campaign)[0]
    rewritten(path, list(range(1, raw.read_raw(path).executions.num_rows)))
    with pytest.raises(raw.RawDamagedError, match="does not number its executions"):
        build_dataset(campaign)


def test_a_hundred_row_groups_are_one_table(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streaming in small pieces gives the same rows, and a check that reads them piece by piece agrees."""
    before = {name: read_table(campaign, name).to_pylist() for name in ("executions", "overlaps")}
    monkeypatch.setattr("cotenant.datasets.table_writer.ROW_GROUP_ROWS", 17)
    build_dataset(campaign)
    for name, rows in before.items():
        path = campaign / "dataset" / name / "part-0.parquet"
        assert pq.ParquetFile(path).num_row_groups > 50
        assert read_table(campaign, name).to_pylist() == rows
        assert pq.read_table(path).to_pylist() == rows, "as whoever has pyarrow alone reads it"
    assert check_dataset(campaign).ok
