"""What a dataset says of itself to people who have never seen the tool, gathered once for card and metadata."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.compute as pc

from cotenant.datasets.columns import SCHEMA_VERSION, TABLES
from cotenant.datasets.describe import describe_dataset
from cotenant.datasets.description import Description
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.read import read_table

LICENCE_UNKNOWN = "unknown"  # only who measured may say under which licence others may use it
NOT_PUBLISHED = "https://example.invalid/not-published"  # RFC 2606: a URL that says that there is none


@dataclass(frozen=True)
class CardFacts:
    """Facts of one dataset.

    Attributes:
        licence: SPDX identifier or URL.
        measured_on: Day of the last experiment, ISO 8601; "1970-01-01" where no experiment says.
        row_counts: Table -> rows, of the tables that are there.
        counter_sources: (source, set) -> engines.
    """

    name: str
    licence: str
    url: str
    version: str
    measured_on: str
    summary: str
    row_counts: dict[str, int]
    counter_sources: dict[tuple[str, str], int]
    description: Description

    def meaning_of(self, table: str) -> str:
        """Return what a row of a table is."""
        return f"One row per {TABLES[table].row}" if table in TABLES else f"Table {table}"


def card_facts(folder: Path, name: str | None = None, licence: str | None = None, url: str | None = None) -> CardFacts:
    """Gather the facts of a campaign folder's dataset, or of one on its own; raises as `describe_dataset`."""
    dataset = dataset_folder(folder)
    described = describe_dataset(folder)
    return CardFacts(
        name=name or _name(dataset),
        licence=licence or LICENCE_UNKNOWN,
        url=url or NOT_PUBLISHED,
        version=SCHEMA_VERSION + ".0",
        measured_on=_last_day(dataset),
        summary=_summary(described),
        row_counts={table: count for table, count in described.row_counts.items() if (dataset / table).is_dir()},
        counter_sources=_counter_sources(dataset),
        description=described,
    )


def _name(dataset: Path) -> str:
    return dataset.absolute().parent.name if dataset.name == "dataset" else dataset.absolute().name


def _summary(described: Description) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in described.experiment_counts.items())
    return (
        "Measured interference between co-located inference workloads: every batch execution on one clock, who ran "
        f"beside whom and how slow it was. {'; '.join(described.devices)}. Experiments: {kinds}."
    )


def _last_day(dataset: Path) -> str:
    last = pc.max(read_table(dataset, "provenance")["finished_at"]).as_py()
    return (date(1970, 1, 1) if last is None else last.date()).isoformat()


def _counter_sources(dataset: Path) -> dict[tuple[str, str], int]:
    rows = read_table(dataset, "throughputs").select(["counter_source", "counter_set"]).to_pylist()
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["counter_source"], row["counter_set"])
        found[key] = found.get(key, 0) + 1
    return dict(sorted(found.items()))
