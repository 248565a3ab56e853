"""One value changed in a sound dataset: never a traceback, and found unless nothing else says what it must be.

hostile     null, 0, -1, the largest, NaN, an undeclared word, an empty list ...
plausible   one more, a hundredth more, another word of the same column, another order ...
"""

import datetime
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from damaged_dataset import TablesInMemory, checked, described
from every_kind import run_every_kind
from raw_campaign import Maker
from raw_telemetry import GPU, HOST, watch

from cotenant.datasets.build import build_dataset
from cotenant.datasets.columns import TABLES, Column
from cotenant.datasets.describe import READ

NOT_DERIVED = "it is a fact of its own: nothing else in a dataset says what it must be"
FREE = {
    "devices": dict.fromkeys(
        ("device_type", "kind", "name", "sm_count", "dram_bytes", "datasheet_flop_per_s", "datasheet_dram_bytes_per_s"),
        NOT_DERIVED,
    ),
    "engines": dict.fromkeys(
        (
            *("family", "input_shapes", "precision", "engine_kind", "build_target", "build_index", "source_sha256"),
            *("engine_sha256", "engine_bytes", "parameter_count", "mac_count", "weight_bytes"),
        ),
        NOT_DERIVED,
    ),
    "throughputs": dict.fromkeys(("gpu_utilization_pct", "sm_clock_mhz", "memory_clock_mhz"), NOT_DERIVED),
    "kernels": {"name": NOT_DERIVED},
    "experiments": {
        **dict.fromkeys(("isolation_requested", "weights_shared", "offered_load"), NOT_DERIVED),
        **dict.fromkeys(
            ("generator_lag_p99_ns", "generator_lag_limit_ns"), "it decides a verdict only across the limit"
        ),
        "clock_error_ns": "overlaps tell only which intervals are shorter",
        **dict.fromkeys(("repeat", "lanes"), "the specs of `Maker` do not have it"),
    },
    "blocks": {"offsets_ns": "the planned delays; what they did shows in the stamps alone"},
    "slowdowns": {"stop_reason": "what the run decided; `cap` decides a verdict where the other tenant's is not `cap`"},
    "executions": {
        **dict.fromkeys(("cpu_ns", "h2d_ns", "d2h_ns"), "measured by itself; only medians follow from it"),
        "dispatched_ns": "measured by itself; it must lie between the dispatch before and its start",
        "arrival_items_per_s": "an estimate that the dispatcher made",
    },
    "requests": {
        "intended_arrival_ns": "of a request that was never batched only the order is told",
        "blocked_ns": "it takes the queue's rules to tell; it must not exceed the time in the queue",
    },
    "telemetry": {
        **dict.fromkeys(
            (
                *("t_ns", "memory_clock_mhz", "power_mw", "power_limit_mw", "temperature_c", "utilization_pct"),
                *("load_average_count", "sample_ns"),
            ),
            NOT_DERIVED,
        ),
        **dict.fromkeys(
            ("temperature_margin_c", "throttle_mask", "steal_pct", "foreign_cpu_pct"),
            "it decides a mark only across the limit",
        ),
        "sm_clock_mhz": "while nothing executes a clock says nothing",
    },
    "provenance": dict.fromkeys(
        (
            "started_at",
            "finished_at",
            "host",
            "pid",
            "attempt_count",
            "git_commit",
            "versions",
            "environment",
            "raw_sha256",
        ),
        "wall-clock facts; with the raw file at hand its digest is compared",
    ),
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> TablesInMemory:
    return TablesInMemory(run_every_kind(tmp_path_factory.mktemp("every_kind")) / "dataset")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TablesInMemory:
    folder = tmp_path_factory.mktemp("made")
    maker = Maker(folder, quads=2)
    maker.self_test()
    for label in ("probe:half:100@1", "resnet18@1", "vit_ti_16@1"):
        maker.solo(label, repeats=2, executions=12)
    maker.pair("resnet18@1", "vit_ti_16@1")
    maker.null("vit_ti_16@1", "resnet18@1")
    for label in ("probe:dram:100@1", "resnet18@1"):
        maker.together("sensitivity", [label, "probe:dram:100@1"])
    maker.together("sensitivity", ["resnet18@1", "probe:dram:50@1"], condition="hot", lane_share_pct=[25.0, 75.0])
    watch(folder, GPU | HOST, kinds=("pair",))
    return TablesInMemory(build_dataset(folder))


def hostile(column: Column, value: Any) -> Iterator[Any]:
    """Values that no sound dataset has there."""
    kind = column.type
    yield None
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        yield from (0, -1, int(limits.max), int(limits.min))
    elif pa.types.is_floating(kind):
        yield from (0.0, -1.0, 1e308, 5e-324, math.nan, math.inf)
    elif pa.types.is_boolean(kind):
        yield from (True, False)
    elif pa.types.is_map(kind):
        yield from ([], [("guess", "guess")], [("kind", None)], [*(value or []), *(value or [])])
    elif pa.types.is_list(kind):
        yield from ([], *([element] for element in hostile(Column("", kind.value_type, "", ""), None)))
    elif pa.types.is_timestamp(kind):
        yield from (datetime.datetime(1, 1, 1, tzinfo=datetime.UTC), datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC))
    elif column.type == pa.string():
        yield from ("", "guess", "{", "[]", "[" * 5000, '{"alpha": 2, "look_quads": []}')
    else:
        yield from ("", "guess")


def plausible(column: Column, value: Any, others: list[Any]) -> Iterator[Any]:
    """Values that could well stand there."""
    kind = column.type
    if value is None:
        return
    if isinstance(value, bool):
        yield not value
    elif pa.types.is_integer(kind):
        yield from (value + 1, value - 1)
    elif pa.types.is_floating(kind):
        yield from (value * 1.01, value * 0.99)
    elif pa.types.is_list(kind) or pa.types.is_map(kind):
        yield from (value[1:], value[::-1], value + value[-1:])
    elif not pa.types.is_timestamp(kind):
        yield from list(column.words or ())[:2]
    yield from others[:1]


def rows_to_try(values: pa.ChunkedArray) -> list[int]:
    """The first row in which a column is known, and the first in which it is not."""
    is_null = np.asarray(values.is_null().to_numpy(), dtype=bool)
    return sorted(int(np.flatnonzero(part)[0]) for part in (is_null, ~is_null) if part.any())


COLUMNS = [(table.name, column.name) for table in TABLES.values() for column in table.columns]


def unnoticed(dataset: TablesInMemory, table: str, name: str, ways: str) -> list[str]:
    """Change values of a column one at a time, and return the changes that nobody found."""
    column, sound = TABLES[table].column(name), dataset.sound[table]
    missed = []
    for index in rows_to_try(sound[name]):
        value = sound[name][index].as_py()
        others = [other for other in distinct(sound[name]) if other != value]
        values = hostile(column, value) if ways == "hostile" else plausible(column, value, others)
        for changed in (one for one in values if one != value):
            try:
                tables = dataset.with_value(table, name, index, changed)
            except (pa.ArrowInvalid, OverflowError):
                continue  # no column of this type can hold it
            if table in READ:
                assert described(tables)
            if checked(tables).ok:
                missed.append(f"row {index}: {str(changed)[:50]} instead of {str(value)[:50]}")
    return missed


def distinct(values: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_nested(values.type):
        return []
    return [value for value in values.slice(0, 1000).unique().to_pylist() if value is not None]


@pytest.mark.parametrize("table", TABLES)
def test_what_is_free_is_a_column(table: str) -> None:
    assert set(FREE.get(table, {})) <= {column.name for column in TABLES[table].columns}


@pytest.mark.parametrize(("table", "name"), COLUMNS)
def test_no_value_of_any_column_ends_in_a_traceback(made: TablesInMemory, table: str, name: str) -> None:
    missed = unnoticed(made, table, name, "hostile")
    assert not missed or name in FREE.get(table, {})


@pytest.mark.parametrize(("table", "name"), COLUMNS)
def test_another_value_is_found_unless_it_is_free(
    simulated: TablesInMemory, made: TablesInMemory, table: str, name: str
) -> None:
    """What nothing follows from in one dataset may decide something in the other."""
    if name in FREE.get(table, {}):
        return
    if not simulated.sound[table].num_rows or unnoticed(simulated, table, name, "plausible"):
        assert made.sound[table][name].null_count < made.sound[table].num_rows
        assert not unnoticed(made, table, name, "plausible")
