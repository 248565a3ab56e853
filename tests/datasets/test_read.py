"""Tables are read by name from a campaign folder or its dataset/, whole or experiment by experiment."""

import errno
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from raw_campaign import SPANS_NS
from raw_serving import Turns, counters_of, kernels_of
from raw_telemetry import HOST, watch

from cotenant.datasets.build import build_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.folders import campaign_folder, dataset_folder
from cotenant.datasets.read import TableDamagedError, experiment_slices, read_table, table_files
from cotenant.datasets.schema import METADATA_KEY, arrow_schema
from cotenant.models.errors import UserError, WorkError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "campaign"
    maker = Turns(folder, quads=1)
    first, second, _ = SPANS_NS
    maker.solo(first, repeats=1, counters=counters_of([first]), siblings={"kernels": kernels_of([first])})
    maker.pair(first, second)
    maker.together("sensitivity", [first, "probe:dram:100@1"])
    maker.serving([first, second], groups=20)
    watch(folder, HOST, kinds=("pair",))
    build_dataset(folder)
    return folder


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built / "dataset", tmp_path / "alone"))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_its_schema_from_either_folder(built: Path, dataset: Path, name: str) -> None:
    table = read_table(built, name)
    assert table.schema.equals(arrow_schema(TABLES[name]), check_metadata=False)
    assert table.num_rows > 0
    assert read_table(built / "dataset", name).equals(table)
    assert read_table(dataset, name).equals(table)


def test_a_table_in_several_files_is_read_by_their_names(dataset: Path) -> None:
    whole = read_table(dataset, "executions")
    path = dataset / "executions" / "part-0.parquet"
    half = whole.num_rows // 2
    pq.write_table(whole[half:], path.with_name("part-1.parquet"))
    pq.write_table(whole[:half], path)
    assert [found.name for found in table_files(dataset, "executions")] == ["part-0.parquet", "part-1.parquet"]
    assert read_table(dataset, "executions").to_pylist() == whole.to_pylist()
    slices = list(experiment_slices(dataset, "executions"))
    assert [row for _, rows in slices for row in rows.to_pylist()] == whole.to_pylist()
    assert len({experiment_id for experiment_id, _ in slices}) == len(slices), "one lies in both files"


@pytest.mark.parametrize("group_rows", [1, 7, 1000, 1 << 20])
def test_slices_are_the_experiments_whatever_the_row_groups(dataset: Path, group_rows: int) -> None:
    whole = read_table(dataset, "overlaps")
    pq.write_table(whole[:400], dataset / "overlaps" / "part-0.parquet", row_group_size=group_rows)
    slices = list(experiment_slices(dataset, "overlaps"))
    ids = [experiment_id for experiment_id, _ in slices]
    assert ids == sorted(set(ids))
    for experiment_id, rows in slices:
        wanted = whole[:400].filter(pc.equal(whole[:400]["experiment_id"].cast(pa.string()), experiment_id))
        assert rows.to_pylist() == wanted.to_pylist()


def test_slices_of_some_columns(built: Path) -> None:
    experiment_id, rows = next(experiment_slices(built, "overlaps", ["experiment_id", "start_ns"]))
    assert rows.column_names == ["experiment_id", "start_ns"]
    assert set(rows["experiment_id"].to_pylist()) == {experiment_id}


def test_rows_that_lie_apart_are_yielded_apart(dataset: Path) -> None:
    whole = read_table(dataset, "executions")
    last = whole.num_rows - 1
    pq.write_table(whole.take(pa.array([0, last, 1])), dataset / "executions" / "part-0.parquet")
    ids = [experiment_id for experiment_id, _ in experiment_slices(dataset, "executions")]
    assert len(ids) == 3
    assert ids[0] == ids[2] != ids[1]


def test_an_empty_table_has_no_slices(dataset: Path) -> None:
    pq.write_table(read_table(dataset, "overlaps")[:0], dataset / "overlaps" / "part-0.parquet")
    assert list(experiment_slices(dataset, "overlaps")) == []
    pq.ParquetWriter(dataset / "overlaps" / "part-0.parquet", arrow_schema(TABLES["overlaps"])).close()
    assert read_table(dataset, "overlaps").num_rows == 0
    assert read_table(dataset, "overlaps").schema.equals(arrow_schema(TABLES["overlaps"]))


def test_a_table_that_there_is_not(built: Path) -> None:
    with pytest.raises(
        UserError, match=r"no table 'overlap'; tables: devices, engines, .*, overlaps, requests, telemetry, provenance"
    ):
        read_table(built, "overlap")


@pytest.mark.parametrize("kept", [0, 7, -1])
def test_a_truncated_table_is_told(dataset: Path, kept: int) -> None:
    path = dataset / "engines" / "part-0.parquet"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WorkError, match=r"part-0.parquet is truncated.* `cotenant dataset build`"):
        read_table(dataset, "engines")


def test_a_missing_or_foreign_table_is_told(dataset: Path) -> None:
    shutil.rmtree(dataset / "engines")
    with pytest.raises(WorkError, match="has no Parquet file"):
        read_table(dataset, "engines")
    shutil.copytree(dataset / "devices", dataset / "engines")
    with pytest.raises(WorkError, match="is no engines table of cotenant"):
        read_table(dataset, "engines")


@pytest.mark.parametrize(("version", "refused"), [("2.0", True), ("1.9", False), ("0.3", False)])
def test_a_newer_major_version_is_refused(dataset: Path, version: str, refused: bool) -> None:
    identity = f'{{"schema_version": "{version}", "table": "devices"}}'
    table = read_table(dataset, "devices").replace_schema_metadata({METADATA_KEY: identity})
    pq.write_table(table, dataset / "devices" / "part-0.parquet")
    if refused:
        with pytest.raises(UserError, match=r"schema version 2\.0, .* install a newer cotenant"):
            read_table(dataset, "devices")
    else:
        assert read_table(dataset, "devices").num_rows == 1


@pytest.mark.parametrize(
    "identity", ["{", "[]", '{"table": "devices"}', '{"schema_version": "soon", "table": "devices"}']
)
def test_damaged_metadata_is_told(dataset: Path, identity: str) -> None:
    table = read_table(dataset, "devices").replace_schema_metadata({METADATA_KEY: identity})
    pq.write_table(table, dataset / "devices" / "part-0.parquet")
    with pytest.raises(WorkError, match="was not written by cotenant; derive the dataset again"):
        read_table(dataset, "devices")


def test_a_flipped_byte_is_told(dataset: Path) -> None:
    path = dataset / "executions" / "part-0.parquet"
    column = pq.read_metadata(path).row_group(0).column(arrow_schema(TABLES["executions"]).names.index("start_ns"))
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(TableDamagedError, match=r"is truncated, damaged or no Parquet file; derive"):
        read_table(dataset, "executions")
    with pytest.raises(TableDamagedError) as caught:
        list(experiment_slices(dataset, "executions"))
    assert caught.value.table == "executions"


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (OSError(errno.EIO, os.strerror(errno.EIO)), WorkError, "Input/output error"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), UserError, "permission denied"),
        (pa.ArrowMemoryError("malloc of size 64 failed"), WorkError, "memory is short"),
    ],
)
def test_a_table_that_the_system_does_not_hand_out_is_not_called_damaged(
    built: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type, line: str
) -> None:
    def fails(*_args: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr(pq, "read_schema", fails)
    with pytest.raises(kind, match=line) as caught:
        read_table(built, "devices")
    assert not isinstance(caught.value, TableDamagedError)


def test_the_campaign_of_a_folder(built: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert campaign_folder(built) == campaign_folder(built / "dataset") == built
    assert campaign_folder(dataset) is None
    assert dataset_folder(built) == dataset_folder(built / "dataset") == built / "dataset"
    assert dataset_folder(dataset) == dataset
    monkeypatch.chdir(built / "dataset")
    assert campaign_folder(Path()) == built
    assert dataset_folder(Path()) == Path()


def test_no_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none is no folder"):
        dataset_folder(tmp_path / "none")
    with pytest.raises(UserError, match=r"neither a campaign folder nor a dataset"):
        dataset_folder(tmp_path)
    (tmp_path / "raw").mkdir()
    with pytest.raises(UserError, match=r"derive it with `cotenant dataset build .*`"):
        dataset_folder(tmp_path)
