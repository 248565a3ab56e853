"""Counters files: what is written is read back; whatever else lies there is one clear line."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiled_campaign import paper

from cotenant.datasets import raw_counters
from cotenant.datasets.raw import RawDamagedError
from cotenant.datasets.raw_counters import CountersDamagedError, read_counters, write_counters
from cotenant.models.errors import UserError

ID = "ab" * 10
PCT = st.none() | st.floats(0, 110)
KERNEL = st.fixed_dictionaries(
    {"name": st.text(min_size=1), "duration_ns": st.integers(0, 10**12), "sm_pct": PCT, "dram_pct": PCT},
    optional={"grid": st.text(), "null_reasons": st.dictionaries(st.sampled_from(["l2_pct", "grid"]), st.just("x"))},
)


def written(folder: Path, **changes: Any) -> Path:
    found = paper("resnet18@1")
    return write_counters(folder, ID, found["kernels"], {**found["metadata"], **changes})


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(KERNEL, max_size=6), st.randoms(use_true_random=False))
def test_what_is_written_is_read_back_in_order(tmp_path: Path, kernels: list[dict[str, Any]], random: Any) -> None:
    rows = [{**kernel, "kernel_index": index} for index, kernel in enumerate(kernels)]
    shuffled = random.sample(rows, len(rows))
    facts = paper("resnet18@1")["metadata"]
    found = read_counters(write_counters(tmp_path, ID, shuffled, facts))
    assert {name: found.metadata[name] for name in facts} == facts
    assert found.kernels.schema.equals(raw_counters.RAW_COUNTER_KERNELS)
    for row, back in zip(rows, found.kernels.to_pylist(), strict=True):
        assert {name: back[name] for name in row if name != "null_reasons"} == {
            name: row[name] for name in row if name != "null_reasons"
        }
        assert dict(back["null_reasons"]) == row.get("null_reasons", {})
        assert back["measured_kernel_index"] == row["kernel_index"], "measured itself unless told otherwise"


def test_what_is_no_counters_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    found = paper("resnet18@1")
    kernels, facts = found["kernels"], found["metadata"]
    for rows, metadata, says in (
        (kernels, {key: facts[key] for key in facts if key != "device"}, "lacks device"),
        (kernels, {**facts, "counter_id": "other"}, "not " + ID),
        (kernels[1:], facts, "not numbered 0, 1, 2"),
        ([{**kernels[0], "speed": 1}], facts, "a kernel has no speed"),
        ([{**kernels[0], "name": None}], facts, "a kernel lacks name"),
    ):
        with pytest.raises(ValueError, match=says):
            write_counters(tmp_path, ID, rows, metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_anywhere_or_flipped_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    for kept in (0, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(
            CountersDamagedError, match=r"truncated.*delete this file.*profile the engine anew"
        ) as caught:
            read_counters(path)
        assert isinstance(caught.value, RawDamagedError)
        assert "\n" not in str(caught.value)
    column = pq.read_metadata(written(tmp_path)).row_group(0).column(0)
    content = bytearray(whole)
    content[column.data_page_offset + column.total_compressed_size - 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CountersDamagedError):
        read_counters(path)


def test_foreign_renamed_and_newer_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.parquet"
    for table, says in (
        (pa.table({"x": [1]}), "not written by cotenant"),
        (pa.table({"x": [1]}).replace_schema_metadata({"cotenant": "{"}), "damaged metadata"),
        (pa.table({"x": [1]}).replace_schema_metadata({"cotenant": '{"schema_version": "1.0"}'}), "lacks counter_id"),
        (pa.table({"x": [1]}).replace_schema_metadata({"cotenant": '{"schema_version": "x"}'}), "no schema version"),
    ):
        pq.write_table(table, path)
        with pytest.raises(CountersDamagedError, match=says):
            read_counters(path)
    written(tmp_path, schema_version="2.0")
    with pytest.raises(UserError, match=r"schema version 2\.0.*newer cotenant"):
        read_counters(path)
    other = written(tmp_path).rename(tmp_path / "other.parquet")
    with pytest.raises(CountersDamagedError, match="holds other counters"):
        read_counters(other)
    with pytest.raises(FileNotFoundError):
        read_counters(path)
    table = pq.read_table(written(tmp_path))
    pq.write_table(table.drop_columns(["grid"]), path)
    with pytest.raises(CountersDamagedError, match="columns of a counters file"):
        read_counters(path)
    pq.write_table(table[1:], path)
    with pytest.raises(CountersDamagedError, match="does not number its kernels"):
        read_counters(path)


def test_finished_and_clean_know_whole_files_only(tmp_path: Path) -> None:
    assert raw_counters.finished(tmp_path / "none") == set()
    assert raw_counters.clean(tmp_path / "none") == 0
    path = written(tmp_path)
    (tmp_path / ".tmp-x.parquet").write_bytes(b"half")
    assert raw_counters.finished(tmp_path) == {ID}
    assert raw_counters.clean(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [path]
