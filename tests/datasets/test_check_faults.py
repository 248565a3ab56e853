"""Planted faults: each check finds what it is there for; a damaged file is told before anything is read from it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import faults_of_contamination
import faults_of_counters
import faults_of_rows
import faults_of_serving
import faults_of_tables
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged_dataset import DamagedDataset
from every_kind import run_every_kind
from planting import Fault
from raw_campaign import MS, Maker
from raw_telemetry import HOST, watch

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import FINDINGS_MAX, all_checks, check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.schema import METADATA_KEY
from cotenant.models.errors import UserError

FAULTS = [*faults_of_tables.FAULTS, *faults_of_rows.FAULTS, *faults_of_contamination.FAULTS]
WITHOUT_FILE = {"schema", "order"}  # what all other checks rely on


def stolen_for_a_while(time_ns: int, metadata: dict[str, Any]) -> dict[str, Any]:
    """As if another guest had been there for a fifth of a second, in the midst of the blocks."""
    begin_ns = metadata["blocks"][9]["window_start_ns"]
    return {"steal_pct": 30.0} if begin_ns <= time_ns < begin_ns + 200 * MS else {}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    maker = Maker(folder, lanes=3)
    maker.self_test()
    maker.solo("resnet18@1", repeats=2)
    maker.pair("vit_ti_16@1", "resnet18@1")
    maker.quads = 2
    maker.together("set", ["resnet18@1", "vit_ti_16@1", "resnet18@1"])
    maker.null("vit_ti_16@1", "resnet18@1")
    watch(folder, {**HOST, "sm_clock_mhz": 2400}, stolen_for_a_while, kinds=("pair",))
    build_dataset(folder)
    return folder


@pytest.fixture
def damaged(campaign: Path, tmp_path: Path) -> DamagedDataset:
    shutil.copytree(campaign / "raw", tmp_path / "raw")
    return DamagedDataset(campaign / "dataset", tmp_path / "dataset")


def test_the_sound_dataset_is_sound(campaign: Path) -> None:
    report = check_dataset(campaign)
    assert report.findings == []
    names = [check.name for group in all_checks() for check in group]
    assert sorted(report.checked) == sorted([*WITHOUT_FILE, *names])
    assert check_dataset(campaign / "dataset") == report, "DIR may be the dataset itself"


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_found(damaged: DamagedDataset, fault: Fault) -> None:
    fault.plant(damaged)
    findings = damaged.check().findings
    said = [finding.message for finding in findings if finding.check == fault.check]
    assert any(re.search(fault.says, message) for message in said), findings
    assert all("\n" not in finding.message for finding in findings)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> DamagedDataset:
    folder = tmp_path_factory.mktemp("served")
    copied = DamagedDataset(run_every_kind(folder) / "dataset", folder / "copy")
    assert copied.check().findings == []
    return copied


@pytest.mark.parametrize("fault", faults_of_serving.FAULTS, ids=str)
def test_a_fault_planted_in_a_campaign_of_every_kind_is_found(served: DamagedDataset, fault: Fault) -> None:
    fault.plant(served)
    findings = served.check().findings
    for table in faults_of_serving.TOUCHED:
        served.restore(table)
    assert any(finding.check == fault.check and re.search(fault.says, finding.message) for finding in findings), (
        findings
    )


def test_every_check_has_a_planted_fault() -> None:
    names = [check.name for group in all_checks() for check in group]
    modules = list(Path(str(all_checks.__wrapped__.__code__.co_filename)).with_name("checks").glob("*.py"))
    assert len(set(names)) == len(names) == len(modules), "every file of checks/ is one check"
    assert {fault.check for fault in (*FAULTS, *faults_of_counters.FAULTS, *faults_of_serving.FAULTS)} == {
        *names,
        "order",
    }


def metadata(field: pa.Field, **changes: str) -> pa.Field:
    return field.with_metadata({**field.metadata, **{k.encode(): v.encode() for k, v in changes.items()}})


def with_field(table: pa.Table, name: str, change: Any) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = change(table.schema.field(name))
    return table.set_column(place, field, table[name].cast(field.type))


SCHEMA_FAULTS = {
    "lacks column span_ns": lambda table: table.drop_columns(["span_ns"]),
    "has a column guess that": lambda table: table.append_column("guess", table["span_ns"]),
    "columns in another order": lambda table: table.select(table.column_names[::-1]),
    "lane is int64, not int16": lambda table: with_field(table, "lane", lambda field: field.with_type(pa.int64())),
    "span_ns is nullable": lambda table: with_field(table, "span_ns", lambda field: field.with_nullable(True)),
    "span_ns has another unit": lambda table: with_field(table, "span_ns", lambda field: metadata(field, unit="us")),
    "end_ns has another description": lambda table: with_field(
        table, "end_ns", lambda field: metadata(field, description="Start")
    ),
}


@pytest.mark.parametrize("says", SCHEMA_FAULTS)
def test_another_schema_is_found_and_nothing_else_is_tried(damaged: DamagedDataset, says: str) -> None:
    damaged.put("executions", SCHEMA_FAULTS[says](damaged.sound["executions"]))
    report = damaged.check()
    assert [(finding.check, finding.table) for finding in report.findings] == [("schema", "executions")]
    assert says in report.findings[0].message
    assert report.checked == ["schema"]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kept", [0, 4, -1, -40])
def test_a_truncated_table_is_found(damaged: DamagedDataset, table: str, kept: int) -> None:
    path = damaged.path(table)
    path.write_bytes(path.read_bytes()[:kept])
    (finding,) = damaged.check().findings
    assert (finding.check, finding.table) == ("schema", table)
    assert f"{path} is truncated" in finding.message
    assert "cotenant dataset build" in finding.message


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"experiments"}))
def test_a_missing_table_is_found(damaged: DamagedDataset, table: str) -> None:
    shutil.rmtree(damaged.folder / table)
    (finding,) = damaged.check().findings
    assert (finding.check, finding.table) == ("schema", table)
    assert f"{table} has no Parquet file" in finding.message


def test_a_dataset_without_experiments_is_none(damaged: DamagedDataset) -> None:
    shutil.rmtree(damaged.folder / "experiments")
    with pytest.raises(UserError, match=r"has no dataset/ yet|neither a campaign"):
        damaged.check()


def test_a_table_under_another_name_is_found(damaged: DamagedDataset) -> None:
    damaged.put("devices", damaged.sound["engines"])
    pq.write_table(pa.table({"x": [1]}), damaged.path("blocks"))
    devices, blocks = damaged.check().findings
    assert "is no devices table of cotenant" in devices.message
    assert "was not written by cotenant" in blocks.message


@pytest.mark.parametrize("table", ["engines", "executions", "overlaps"])
def test_a_flipped_byte_is_found(damaged: DamagedDataset, table: str) -> None:
    path = damaged.path(table)
    column = pq.read_metadata(path).row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 2] ^= 1
    path.write_bytes(bytes(content))
    (finding,) = damaged.check().findings
    assert (finding.check, finding.table) == ("schema", table)
    assert str(path) in finding.message


def test_a_newer_dataset_is_refused(damaged: DamagedDataset) -> None:
    identity = {METADATA_KEY: json.dumps({"schema_version": "2.0", "table": "devices"}).encode()}
    damaged.put("devices", damaged.sound["devices"].replace_schema_metadata(identity))
    with pytest.raises(UserError, match=r"schema version 2\.0.*install a newer cotenant"):
        damaged.check()


def test_many_findings_of_one_kind_are_cut_short(damaged: DamagedDataset) -> None:
    rows = [{**row, "window_ns": row["window_ns"] + 1} for row in damaged.rows("blocks")]
    damaged.put("blocks", pa.Table.from_pylist(rows, schema=damaged.sound["blocks"].schema))
    said = [
        found.message for found in damaged.check().findings if (found.check, found.table) == ("estimates", "blocks")
    ]
    assert len(said) == FINDINGS_MAX + 1
    assert said[-1] == f"and {len(rows) - FINDINGS_MAX} more like these"
