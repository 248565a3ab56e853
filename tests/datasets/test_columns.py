"""The one table of columns: every column is told, every number says its unit, and the design's columns are there."""

import re

import pyarrow as pa
import pytest

from cotenant.datasets import words
from cotenant.datasets.column import COUNTER_MAX_PCT
from cotenant.datasets.columns import LARGE, NAMED_UNITS, TABLES, UNIT_SUFFIXES, Column, Table
from cotenant.datasets.derive import requests
from cotenant.datasets.derive.executions import DISPATCH, QUANTILES
from cotenant.datasets.schema import METADATA_KEY, arrow_schema, columns_page, table_of, unit_of_name
from cotenant.datasets.verdicts import REASONS
from cotenant.profiler.quality.source import SAMPLED

COLUMNS = [
    pytest.param(table, column, id=f"{table.name}.{column.name}")
    for table in TABLES.values()
    for column in table.columns
]
PLAIN_NUMBERS = {  # those that count nothing: an order, a place, a name that happens to be a number
    "build_index", "block_index", "quad_index", "interval_index", "execution_id", "co_execution_ids",
    "rank_correlation", "repeat", "seed", "lane", "pid", "kernel_index", "measured_kernel_index", "request_id",
    "in_flight_execution_ids", "sample_index", "throttle_mask",
}  # fmt: skip
DESIGN = {  # design section 5, "columns that must be there", of the tables that there are
    "devices": "device_id device_type kind name sm_count l2_bytes dram_bytes peak_dram_bytes_per_s peak_flop_per_s "
    "datasheet_dram_bytes_per_s datasheet_flop_per_s",
    "engines": "engine_id model family batch_size input_shapes precision runner engine_kind build_target build_index "
    "source_sha256 engine_sha256 engine_bytes parameter_count mac_count flop_count weight_bytes",
    "solo_profiles": "sample_count block_count span_min_ns span_p50_ns span_mean_ns span_p95_ns span_p99_ns "
    "span_std_ns span_p50_lower_ns span_p50_upper_ns span_p95_lower_ns span_p95_upper_ns throughput_items_per_s "
    "busy_ns sm_clock_mhz gpu_utilization_pct",
    "throughputs": "sm_pct l2_pct dram_pct memory_pct tensor_pct occupancy_pct aggregation busy_ns kernel_count "
    "replay_passes sm_clock_mhz memory_clock_mhz",
    "experiments": "experiment_id cell_id kind spec seed repeat lanes isolation_requested isolation_observed "
    "deployed_models condition offered_load concurrency_gain_ratio concurrency_gain_lower_ratio "
    "concurrency_gain_upper_ratio clock_error_ns weights_shared verdict verdict_reasons",
    "slowdowns": "tenant lane engine_id co_engine_ids slowdown_ratio slowdown_lower_ratio slowdown_upper_ratio "
    "p95_ratio p95_lower_ratio p95_upper_ratio solo_p50_ns co_run_p50_ns quad_count sample_count stop_reason "
    "noise_floor_ratio within_noise source",
    "executions": "device_id kind execution_id engine_id tenant lane role block_index request_count dispatched_ns "
    "start_ns end_ns span_ns cpu_ns h2d_ns d2h_ns censored co_censored slowdown_ratio interference_ratio "
    "remaining_solo_ns queued_count marks",
    "kernels": "engine_id kernel_index name duration_ns grid block sm_pct l2_pct dram_pct memory_pct tensor_pct "
    "occupancy_pct",
    "requests": "device_id kind request_id tenant model intended_arrival_ns batched_ns execution_id done_ns latency_ns "
    "blocked_ns deadline_ns outcome marks",
    "telemetry": "t_ns sm_clock_mhz memory_clock_mhz power_mw temperature_c throttle_mask foreign_process_count marks",
    "overlaps": "device_id kind experiment_id execution_id interval_index start_ns end_ns duration_ns fraction "
    "co_count co_execution_ids co_engine_ids below_clock_error",
}
REASONED = {  # columns of large tables that may be null, for which derivation has a reason
    "executions": {"span_cycle_count", "cpu_ns", "h2d_ns", "d2h_ns", *QUANTILES, *DISPATCH},
    "overlaps": set(),
    "requests": set(requests.NULL_REASONS),
    "telemetry": set(SAMPLED),
}
KEYS = {
    "devices": "device_id",
    "engines": "engine_id",
    "solo_profiles": "engine_id device_id isolation share_pct pattern condition",
    "throughputs": "engine_id device_id counter_source counter_set",
    "kernels": "engine_id device_id counter_source counter_set kernel_index",
    "sensitivities": "engine_id device_id isolation share_pct probe_share_pct condition probe intensity_pct",
    "agreements": "device_id metric counter_source counter_set other_source other_set",
    "experiments": "experiment_id",
    "blocks": "experiment_id block_index",
    "slowdowns": "experiment_id tenant",
    "executions": "experiment_id execution_id",
    "overlaps": "experiment_id execution_id interval_index",
    "requests": "experiment_id request_id",
    "telemetry": "experiment_id sample_index",
    "provenance": "subject subject_id",
}


NULLABLE_KEYS = ("share_pct", "probe_share_pct", "condition")


def value_type(column: Column) -> pa.DataType:
    return column.type.value_type if pa.types.is_list(column.type) else column.type


def is_number(column: Column) -> bool:
    kind = value_type(column)
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_has_a_plain_name_and_a_meaning(table: Table, column: Column) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", column.name)
    assert column.meaning
    assert not column.meaning.endswith(".")
    assert "|" not in column.meaning, "the page is a Markdown table"
    assert [found.name for found in table.columns].count(column.name) == 1


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_number_says_its_unit_and_nothing_else_does(table: Table, column: Column) -> None:
    if not is_number(column):
        assert column.unit == unit_of_name(column.name) == ""
        return
    assert column.unit == unit_of_name(column.name)
    assert bool(column.unit) != (column.name in PLAIN_NUMBERS)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_types_and_ranges_fit_the_unit(table: Table, column: Column) -> None:
    if column.unit == "ns":
        assert value_type(column) == pa.int64(), "integer nanoseconds"
    if column.unit in ("percent", "ratio", "flop/s", "bytes/s", "items/s", "MHz"):
        assert value_type(column) == pa.float64()
        assert column.low == 0
    if column.unit == "percent":
        assert column.high in (100, COUNTER_MAX_PCT)
    if column.unit in ("bytes", "count"):
        assert column.low is not None
        assert column.low >= 0
    if not is_number(column):
        assert column.low is column.high is None


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_keys_stand_and_are_known(table: Table) -> None:
    assert " ".join(table.key) == KEYS[table.name]
    assert all(not table.column(name).nullable or name in NULLABLE_KEYS for name in table.key)


@pytest.mark.parametrize("name", DESIGN)
def test_the_designs_columns_are_there(name: str) -> None:
    assert set(DESIGN[name].split()) <= {column.name for column in TABLES[name].columns}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_nulls_have_a_place_for_their_reason(table: Table) -> None:
    nullable = {column.name for column in table.columns if column.nullable}
    if table.large:
        assert nullable == REASONED[table.name]
    else:
        assert table.columns[-1].name == "null_reasons"


def test_large_tables_are_those_with_a_row_for_what_happened() -> None:
    assert [table.name for table in LARGE] == list(REASONED)
    assert all(table.key[0] == "experiment_id" for table in LARGE), "they are streamed by experiment"
    counts = {column.name for column in TABLES["experiments"].columns}
    assert {f"{name.removesuffix('s')}_count" for name in REASONED} <= counts


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_references_lead_to_a_key(table: Table, column: Column) -> None:
    if column.refers_to is not None:
        target, _, name = column.refers_to.partition(".")
        assert TABLES[target].key == (name,)
        assert column.name in (name, f"{name}s", f"co_{name}s", f"deployed_{name}s")


def test_every_word_has_a_meaning_and_reasons_are_words() -> None:
    lists = [value for name, value in vars(words).items() if name.isupper()]
    assert all(word and meaning for found in lists for word, meaning in found.items())
    assert set(requests.NULL_REASONS.values()) <= set(words.NULL_REASONS)
    assert all(facts.meaning for facts in (*words.KINDS.values(), *words.ARMS.values()))
    assert all(reason.meaning and reason.severity in ("note", "mark", "fail") for reason in REASONS.values())


def test_arms_are_made_of_declared_words() -> None:
    for arm in words.ARMS.values():
        assert arm.role in words.ROLES
        assert arm.pattern is None or arm.pattern in words.PATTERNS
        assert arm.in_quads or not arm.treated, "what is treated is compared with a solo side"
    assert {arm.in_quads and not arm.treated for arm in words.ARMS.values()} == {True, False}


def test_named_units_are_of_columns_without_a_suffix() -> None:
    names = {column.name for table in TABLES.values() for column in table.columns}
    assert set(NAMED_UNITS) <= names
    assert not any(name.endswith(suffix) for name in NAMED_UNITS for suffix in UNIT_SUFFIXES)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_schema_carries_order_type_unit_and_meaning(table: Table) -> None:
    schema = arrow_schema(table)
    assert schema.names == [column.name for column in table.columns]
    for field, column in zip(schema, table.columns, strict=True):
        assert (field.type, field.nullable) == (column.type, column.nullable)
        told = {key.decode(): value.decode() for key, value in field.metadata.items()}
        assert told == {"description": column.meaning, **({"unit": column.unit} if column.unit else {})}
    assert f'"table": "{table.name}"'.encode() in schema.metadata[METADATA_KEY]


def test_rows_are_sorted_by_their_key_nulls_first() -> None:
    table = Table("t", "row", ("a", "b"), (Column("a", pa.string(), "", "A"), Column("b", pa.int64(), "", "B", True)))
    rows = [{"a": a, "b": b} for a, b in (("y", 1), ("x", 2), ("x", None), ("x", 1))]
    assert table_of(table, rows).to_pylist() == [
        {"a": "x", "b": None}, {"a": "x", "b": 1}, {"a": "x", "b": 2}, {"a": "y", "b": 1},
    ]  # fmt: skip


def test_the_page_tells_every_column_of_every_table() -> None:
    page = columns_page()
    for table in TABLES.values():
        section = page.partition(f"## {table.name}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [column.name for column in table.columns]
