"""Whatever is changed in any one overlap interval, the check of a dataset finds it: no raw files are at hand."""

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from damaged_dataset import DamagedDataset, Row
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from raw_campaign import Maker

from cotenant.datasets.build import build_dataset
from cotenant.datasets.columns import OVERLAPS

FEW = settings(max_examples=15, deadline=None)
LABELS = ["resnet18@1", "vit_ti_16@1", "resnet18@1"]
CLOCK_ERROR_NS = 1500  # gaps are 0, 1000 or 2000 ns long: intervals lie on both sides of it
JUMPS = st.integers(-(10**9), 10**9) | st.sampled_from([-1, 1, 2**40])
PLACES = st.integers(0, 1 << 30)  # modulo the number of rows

NEW_VALUE: dict[str, Callable[[st.DataObject, Row, list[Row]], Any]] = {
    "experiment_id": lambda data, row, rows: data.draw(st.sampled_from([*(r["experiment_id"] for r in rows), "none"])),
    "device_id": lambda data, row, rows: data.draw(st.sampled_from(["cpu-1", ""])),
    "kind": lambda data, row, rows: data.draw(st.sampled_from(["solo", "pair", "set", "null", "duet"])),
    "execution_id": lambda data, row, rows: row["execution_id"] + data.draw(st.integers(-3, 3) | JUMPS),
    "interval_index": lambda data, row, rows: row["interval_index"] + data.draw(st.integers(-3, 3)),
    "start_ns": lambda data, row, rows: row["start_ns"] + data.draw(JUMPS),
    "end_ns": lambda data, row, rows: row["end_ns"] + data.draw(JUMPS),
    "duration_ns": lambda data, row, rows: row["duration_ns"] + data.draw(JUMPS),
    "fraction": lambda data, row, rows: data.draw(
        st.floats() | st.sampled_from([math.nextafter(row["fraction"], 2), math.nextafter(row["fraction"], -1)])
    ),
    "co_count": lambda data, row, rows: row["co_count"] + data.draw(st.integers(-2, 2)),
    "co_execution_ids": lambda data, row, rows: other_list(data, row["co_execution_ids"], st.integers(-1, 200)),
    "co_engine_ids": lambda data, row, rows: other_list(
        data, row["co_engine_ids"], st.sampled_from([*sorted({e for r in rows for e in r["co_engine_ids"]}), "none"])
    ),
    "below_clock_error": lambda data, row, rows: not row["below_clock_error"],
}


def other_list(data: st.DataObject, values: list[Any], words: st.SearchStrategy[Any]) -> list[Any]:
    """Drop, add or replace one, repeat one, or turn all around."""
    place = data.draw(st.integers(0, len(values)))
    word = data.draw(words)
    ways = [[*values[:place], word, *values[place:]], values[:place] + values[place + 1 :], values[::-1]]
    ways += [[*values[:place], word, *values[place + 1 :]], values[:place] + values[:place][-1:] + values[place:]]
    return data.draw(st.sampled_from(ways))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DamagedDataset:
    campaign = tmp_path_factory.mktemp("campaign")
    maker = Maker(campaign, quads=2, lanes=3)
    maker.self_test()
    maker.solo("resnet18@1", repeats=1, executions=12)
    maker.pair("resnet18@1", "vit_ti_16@1")
    maker.together("set", LABELS, clock_error_ns=CLOCK_ERROR_NS)
    found = DamagedDataset(build_dataset(campaign), tmp_path_factory.mktemp("copy") / "dataset")
    assert found.check().findings == []
    rows = found.rows("overlaps")
    assert {row["co_count"] for row in rows} == {0, 1, 2}
    assert {row["below_clock_error"] for row in rows} == {True, False}
    return found


def found_by(dataset: DamagedDataset) -> set[str]:
    return {finding.check for finding in dataset.check().findings}


def test_every_column_is_mutated() -> None:
    assert list(NEW_VALUE) == [column.name for column in OVERLAPS.columns]


@pytest.mark.parametrize("column", NEW_VALUE)
@FEW
@given(place=PLACES, data=st.data())
def test_another_value_in_one_row_is_found(
    dataset: DamagedDataset, column: str, place: int, data: st.DataObject
) -> None:
    rows = dataset.rows("overlaps")
    index = place % len(rows)
    value = NEW_VALUE[column](data, rows[index], rows)
    assume(value != rows[index][column])
    dataset.edit("overlaps", index, **{column: value})
    assert found_by(dataset), f"row {index}: {column} {value!r} instead of {rows[index][column]!r}"


@FEW
@given(place=PLACES)
def test_a_missing_row_is_found(dataset: DamagedDataset, place: int) -> None:
    dataset.put_rows("overlaps", place % len(dataset.rows("overlaps")), 1, [])
    assert "identity" in found_by(dataset)


@FEW
@given(place=PLACES, target=PLACES)
def test_a_row_that_stands_twice_is_found(dataset: DamagedDataset, place: int, target: int) -> None:
    rows = dataset.rows("overlaps")
    dataset.put_rows("overlaps", target % (len(rows) + 1), 0, [rows[place % len(rows)]])
    assert found_by(dataset) & {"identity", "order"}


@FEW
@given(place=PLACES, distance=st.just(1) | PLACES)
def test_rows_that_changed_places_are_found(dataset: DamagedDataset, place: int, distance: int) -> None:
    rows = dataset.rows("overlaps")
    first, second = sorted({place % len(rows), (place + 1 + distance % (len(rows) - 1)) % len(rows)})
    dataset.put_rows("overlaps", first, second - first + 1, [rows[second], *rows[first + 1 : second], rows[first]])
    assert found_by(dataset) & {"identity", "order"}


def timed(row: Row, start_ns: int, end_ns: int, span_ns: int) -> Row:
    """A row with other stamps and everything that follows from them."""
    duration_ns = end_ns - start_ns
    clock_error_ns = CLOCK_ERROR_NS if row["kind"] == "set" else 100
    return {
        **row,
        "start_ns": start_ns,
        "end_ns": end_ns,
        "duration_ns": duration_ns,
        "fraction": duration_ns / span_ns,
        "below_clock_error": duration_ns < clock_error_ns,
    }


def neighbours(dataset: DamagedDataset, place: int) -> tuple[int, Row, Row, int]:
    """Two consecutive intervals of one execution, where the first lies, and the execution's span."""
    rows = dataset.rows("overlaps")
    pairs = [index for index in range(len(rows) - 1) if rows[index + 1]["interval_index"] > 0]
    index = pairs[place % len(pairs)]
    first, second = rows[index], rows[index + 1]
    return index, first, second, round(first["duration_ns"] / first["fraction"])


@FEW
@given(place=PLACES, data=st.data())
def test_a_boundary_moved_in_both_neighbours_is_found(dataset: DamagedDataset, place: int, data: st.DataObject) -> None:
    index, first, second, span_ns = neighbours(dataset, place)
    stamp = data.draw(st.integers(first["start_ns"] + 1, second["end_ns"] - 1))
    assume(stamp != first["end_ns"])
    moved = [timed(first, first["start_ns"], stamp, span_ns), timed(second, stamp, second["end_ns"], span_ns)]
    dataset.put_rows("overlaps", index, 2, moved)
    assert found_by(dataset) & {"input order", "replay", "symmetry"}


@FEW
@given(place=PLACES)
def test_neighbours_with_each_others_lists_are_found(dataset: DamagedDataset, place: int) -> None:
    index, first, second, _ = neighbours(dataset, place)
    lists = ("co_count", "co_execution_ids", "co_engine_ids")
    swapped = [{**row, **{name: other[name] for name in lists}} for row, other in ((first, second), (second, first))]
    dataset.put_rows("overlaps", index, 2, swapped)
    assert "replay" in found_by(dataset)


@pytest.mark.parametrize("change", ["split", "merged"])
@FEW
@given(place=PLACES)
def test_a_split_or_merged_interval_is_found_though_all_counts_agree(
    dataset: DamagedDataset, change: str, place: int
) -> None:
    """Later intervals are renumbered and experiments is told the new count, as a faulty sweep would."""
    index, first, second, span_ns = neighbours(dataset, place)
    own = [row for row in dataset.rows("overlaps")[index + 2 :] if row["experiment_id"] == first["experiment_id"]]
    later = [row for row in own if row["execution_id"] == first["execution_id"]]
    if change == "merged":
        new = [timed(first, first["start_ns"], second["end_ns"], span_ns)]
    else:
        assume(first["duration_ns"] > 1)
        middle = first["start_ns"] + first["duration_ns"] // 2
        new = [timed(first, first["start_ns"], middle, span_ns), timed(first, middle, first["end_ns"], span_ns), second]
    numbered = [{**row, "interval_index": first["interval_index"] + k} for k, row in enumerate([*new, *later])]
    dataset.put_rows("overlaps", index, 2 + len(later), numbered)
    recount(dataset, first["experiment_id"], len(new) - 2)
    try:
        assert found_by(dataset) & ({"neighbours"} if change == "split" else {"replay"})
    finally:
        dataset.restore("experiments")


def recount(dataset: DamagedDataset, experiment_id: str, more: int) -> None:
    place = dataset.find("experiments", lambda row: bool(row["experiment_id"] == experiment_id))
    row = dataset.rows("experiments")[place]
    dataset.edit("experiments", place, overlap_count=row["overlap_count"] + more)


def test_all_of_an_experiments_rows_gone_are_found(dataset: DamagedDataset) -> None:
    rows = dataset.rows("overlaps")
    kept = [row for row in rows if row["experiment_id"] != rows[0]["experiment_id"]]
    dataset.put("overlaps", pa.Table.from_pylist(kept, schema=dataset.sound["overlaps"].schema))
    assert "identity" in found_by(dataset)


def test_the_sound_dataset_is_still_sound(dataset: DamagedDataset) -> None:
    """What was found above was found because of the change alone."""
    dataset.restore("overlaps")
    assert dataset.check().ok
