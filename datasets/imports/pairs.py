"""Pair measurements of another tool as a dataset: rows of the small tables, and large ones without rows."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotenant.datasets.columns import TABLES
from cotenant.datasets.derive.agreements import agreement_rows
from cotenant.datasets.derive.devices import device_rows, noise_floors
from cotenant.datasets.derive.engines import engine_rows
from cotenant.datasets.derive.provenance import provenance_rows
from cotenant.datasets.folders import DATASET
from cotenant.datasets.imports.contamination import Contamination, contamination
from cotenant.datasets.imports.origin import Origin, check_free
from cotenant.datasets.imports.pair_mapping import PairMapping
from cotenant.datasets.imports.pair_records import PairRecord, read_records
from cotenant.datasets.imports.pair_rows import (
    engines_of,
    experiment_rows,
    slowdown_rows,
    summaries_of,
    throughput_rows,
)
from cotenant.datasets.parquet import writing
from cotenant.datasets.schema import table_of
from cotenant.datasets.table_writer import TableWriter
from cotenant.models.output_folder import made_folder

Row = dict[str, Any]


@dataclass(frozen=True)
class ImportedPairs:
    """What was imported.

    Attributes:
        dataset: None where nothing was written because rows repeat each other.
    """

    dataset: Path | None
    row_count: int
    experiment_count: int
    engine_count: int
    contamination: Contamination


def import_pairs(
    source: Path, mapping: PairMapping, origin: Origin, out: Path, allow_duplicates: bool = False
) -> ImportedPairs:
    """Write out/dataset/ from a file of pair measurements; nothing where rows repeat each other and may not.

    Raises:
        UserError: The file or the mapping is wrong, or `out` is not empty.
        WorkError: The disk is full or failed.
    """
    check_free(out)
    records = read_records(source, mapping)
    repeats = contamination(records)
    refused = bool(repeats.repeat_count) and not allow_duplicates
    tables = _tables(records, mapping, origin)
    if not refused:
        _write(tables, origin, out)
    return ImportedPairs(
        dataset=None if refused else out / DATASET,
        row_count=len(records),
        experiment_count=len(tables["experiments"]),
        engine_count=len(tables["engines"]),
        contamination=repeats,
    )


def _tables(records: Sequence[PairRecord], mapping: PairMapping, origin: Origin) -> dict[str, list[Row]]:
    summaries = summaries_of(records, mapping, origin)
    slowdowns = slowdown_rows(records, summaries)
    engines = engine_rows([], engines_of(records, mapping))
    throughputs = throughput_rows(records, mapping)
    digests = {summary.metadata["experiment_id"]: origin.sha256 for summary in summaries}
    return {
        "devices": device_rows(summaries, noise_floors(summaries), [("the mapping", mapping.device)]),
        "engines": engines,
        "throughputs": throughputs,
        "agreements": agreement_rows(throughputs, engines),
        "experiments": experiment_rows(summaries, slowdowns),
        "slowdowns": slowdowns,
        "provenance": provenance_rows(summaries, digests),
    }


def _write(tables: dict[str, list[Row]], origin: Origin, out: Path) -> None:
    with writing(out):
        made_folder(out)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=out))
        try:
            for table in TABLES.values():
                with TableWriter(building / DATASET, table) as writer:
                    if tables.get(table.name):
                        writer.write(table_of(table, tables[table.name]))
            origin.write(out)
            (building / DATASET).rename(out / DATASET)
        finally:
            shutil.rmtree(building, ignore_errors=True)
