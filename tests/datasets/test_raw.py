"""A raw file exists whole or not at all, and whatever is not one is refused with a line that says what to do."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_campaign import executions_table, metadata

from cotenant.datasets import raw
from cotenant.models.digest import sha256_of_file
from cotenant.models.errors import UserError, WorkError

ID = "0123456789abcdef0123"


@pytest.fixture
def executions() -> pa.Table:
    return executions_table([("a", 0, "e", "solo", 0, 10 * k, 10 * k + 9) for k in range(1000)])


def written(folder: Path, executions: pa.Table, **siblings: pa.Table) -> Path:
    return raw.write_raw(folder, ID, executions, metadata(experiment_id=ID), siblings)


def test_what_is_written_is_read_back(tmp_path: Path, executions: pa.Table) -> None:
    path = written(tmp_path, executions)
    found = raw.read_raw(path)
    assert path.name == f"{ID}.parquet"
    assert found.executions.equals(executions)
    assert found.metadata == metadata(experiment_id=ID)
    assert raw.read_metadata(path) == found.metadata
    assert raw.finished(tmp_path) == {ID}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, executions: pa.Table) -> None:
    first, second = (written(tmp_path / name, executions).read_bytes() for name in "ab")
    assert first == second


def test_siblings_are_listed_with_their_digests(tmp_path: Path, executions: pa.Table) -> None:
    path = written(tmp_path, executions, telemetry=pa.table({"t_ns": [1, 2]}))
    sibling = raw.sibling_path(tmp_path, ID, "telemetry")
    assert raw.read_metadata(path)["siblings"] == {"telemetry": sha256_of_file(sibling)}
    assert raw.finished(tmp_path) == {ID}
    assert raw.clean(tmp_path) == 0
    assert sibling.exists()


def test_cleaning_removes_what_no_main_file_lists(tmp_path: Path, executions: pa.Table) -> None:
    path = written(tmp_path, executions, telemetry=pa.table({"t_ns": [1]}))
    before = path.read_bytes()
    for name in (".tmp-abc.parquet", f"{ID}.requests.parquet", "feedfacefeedfacefeed.telemetry.parquet"):
        (tmp_path / name).write_bytes(b"PAR1")
    assert raw.clean(tmp_path) == 3
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, f"{ID}.telemetry.parquet"}
    assert path.read_bytes() == before


def test_cleaning_keeps_siblings_of_a_damaged_main_file(tmp_path: Path, executions: pa.Table) -> None:
    path = written(tmp_path, executions, telemetry=pa.table({"t_ns": [1]}))
    path.write_bytes(b"PAR1")
    assert raw.clean(tmp_path) == 0


@pytest.mark.parametrize("kept", [0, 3, 100, -1, -8])
def test_a_truncated_file_is_told(tmp_path: Path, executions: pa.Table, kept: int) -> None:
    path = written(tmp_path, executions)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(raw.RawDamagedError, match=r"truncated.*delete this file and run the campaign again") as caught:
        raw.read_raw(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


def test_a_flipped_byte_is_told(tmp_path: Path, executions: pa.Table) -> None:
    path = written(tmp_path, executions)
    offset = pq.ParquetFile(path).metadata.row_group(0).column(8).data_page_offset + 200
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(raw.RawDamagedError):
        raw.read_raw(path)


def test_a_foreign_parquet_file_is_told(tmp_path: Path, executions: pa.Table) -> None:
    path = tmp_path / f"{ID}.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(raw.RawDamagedError, match="not written by cotenant"):
        raw.read_raw(path)
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"cotenant": "{"}), path)
    with pytest.raises(raw.RawDamagedError, match="damaged metadata"):
        raw.read_raw(path)
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"cotenant": '{"schema_version": "1.0"}'}), path)
    with pytest.raises(raw.RawDamagedError, match="lacks blocks"):
        raw.read_raw(path)


def test_a_renamed_file_and_other_columns_are_told(tmp_path: Path, executions: pa.Table) -> None:
    path = written(tmp_path, executions)
    other = path.rename(tmp_path / "other.parquet")
    with pytest.raises(raw.RawDamagedError, match="another experiment"):
        raw.read_raw(other)
    table = pq.read_table(other).drop_columns(["cpu_ns"])
    pq.write_table(table, path)
    with pytest.raises(raw.RawDamagedError, match="columns of a raw file"):
        raw.read_raw(path)


def test_a_newer_version_is_refused_and_an_older_minor_read(tmp_path: Path, executions: pa.Table) -> None:
    for version, major_newer in (("2.0", True), ("1.9", False)):
        path = raw.write_raw(tmp_path, ID, executions, metadata(experiment_id=ID, schema_version=version))
        if major_newer:
            with pytest.raises(UserError, match=r"schema version 2.0.*newer cotenant"):
                raw.read_raw(path)
        else:
            assert raw.read_raw(path).metadata["schema_version"] == version
    path = raw.write_raw(tmp_path, ID, executions, metadata(experiment_id=ID, schema_version="soon"))
    with pytest.raises(raw.RawDamagedError, match="no schema version"):
        raw.read_raw(path)


def test_what_does_not_belong_into_a_raw_file_is_refused(tmp_path: Path, executions: pa.Table) -> None:
    complete = metadata(experiment_id=ID)
    with pytest.raises(ValueError, match="lacks seed"):
        raw.write_raw(tmp_path, ID, executions, {key: complete[key] for key in complete if key != "seed"})
    with pytest.raises(ValueError, match="not other"):
        raw.write_raw(tmp_path, "other", executions, complete)
    with pytest.raises(ValueError, match="RAW_EXECUTIONS"):
        raw.write_raw(tmp_path, ID, executions.drop_columns(["lane"]), complete)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "line"),
    [
        (errno.ENOSPC, WorkError, "the disk is full"),
        (errno.EROFS, UserError, "read-only"),
        (errno.EACCES, UserError, "permission denied"),
        (errno.EIO, WorkError, "Input/output error"),
    ],
)
def test_a_failing_disk_is_one_line(
    tmp_path: Path, executions: pa.Table, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], line: str
) -> None:
    def fails(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(kind, match=line):
        written(tmp_path, executions)
    assert list(tmp_path.iterdir()) == [], "nothing half-written stays"


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (OSError(errno.EIO, os.strerror(errno.EIO)), WorkError, "Input/output error"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), WorkError, "Too many open files"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), UserError, "permission denied"),
        (pa.ArrowMemoryError("malloc of size 64 failed"), WorkError, "memory is short"),
    ],
)
def test_a_file_that_the_system_does_not_hand_out_is_not_called_damaged(
    tmp_path: Path, executions: pa.Table, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type, line: str
) -> None:
    path = written(tmp_path, executions, telemetry=pa.table({"t_ns": [1]}))

    def fails(*_args: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr(pq, "ParquetFile", fails)
    monkeypatch.setattr(pq, "read_schema", fails)
    for read in (raw.read_raw, raw.read_metadata):
        with pytest.raises(kind, match=line) as caught:
            read(path)
        assert not isinstance(caught.value, raw.RawDamagedError)
        assert "delete" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert raw.clean(tmp_path) == 0, "what cannot be read now may list its siblings"


def test_a_sibling_is_read_back_as_the_main_file_lists_it(tmp_path: Path, executions: pa.Table) -> None:
    table = pa.table({"t_ns": [1, 2]})
    path = written(tmp_path, executions, telemetry=table)
    told = raw.read_metadata(path)
    found = raw.read_sibling(path, told, "telemetry")
    assert found is not None
    assert found.equals(table)
    assert raw.read_sibling(path, told, "requests") is None
    sibling = raw.sibling_path(tmp_path, ID, "telemetry")
    pq.write_table(pa.table({"t_ns": [3]}), sibling)
    with pytest.raises(raw.RawDamagedError, match=r"lists another .*telemetry.* delete this file") as caught:
        raw.read_sibling(path, told, "telemetry")
    assert caught.value.path == path, "with the main file gone, the sibling goes too"
    sibling.unlink()
    with pytest.raises(raw.RawDamagedError, match="is missing"):
        raw.read_sibling(path, told, "telemetry")
