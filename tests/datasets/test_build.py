"""A dataset comes from raw files alone, the same bytes each time; the old one stays until the new one is whole."""

import fcntl
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from raw_campaign import Maker, small_campaign

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


def test_a_raw_file_that_vanishes_meanwhile_is_told_by_its_name(
    campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = raw_files(campaign)[2]

    def vanishing(path: Path) -> raw.RawExperiment:
        gone.unlink(missing_ok=True)
        return raw.read_raw(path)

    monkeypatch.setattr("cotenant.datasets.derive.open_raw.read_raw", vanishing)
    with pytest.raises(WorkError, match="is not there any more; run the same command again") as caught:
        build_dataset(campaign)
    assert str(gone) in str(caught.value)


def test_the_order_of_words_in_a_raw_files_dictionaries_does_not_matter(campaign: Path) -> None:
    before = content(campaign, without="provenance")
    for path in raw_files(campaign):
        table = raw.read_raw(path).executions
        for place, field in enumerate(table.schema):
            if pa.types.is_dictionary(field.type):
                words = table[field.name].combine_chunks()
                turned = pa.array([*words.dictionary.to_pylist()[::-1], "never"])
                index = pc.subtract(len(words.dictionary) - 1, words.indices).cast(pa.int32())
                table = table.set_column(place, field, pa.DictionaryArray.from_arrays(index, turned))
        write_parquet(table.replace_schema_metadata(pq.read_schema(path).metadata), path)
        assert raw.read_raw(path).executions["role"].chunk(0).dictionary[-1].as_py() == "never"
    build_dataset(campaign)
    assert content(campaign, without="provenance") == before


def test_overlaps_in_small_pieces_are_the_same(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(campaign)
    monkeypatch.setattr("cotenant.datasets.derive.overlaps.PIECE_ROWS", 7)
    build_dataset(campaign)
    assert content(campaign) == before


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
