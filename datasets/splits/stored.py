"""Splits of a dataset: where they lie, what their files say of them, and how they are read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.schema import arrow_schema
from cotenant.datasets.splits.way import Way
from cotenant.datasets.splits.ways import way_of
from cotenant.datasets.tables.splits import SPLIT_TABLE, SPLITS
from cotenant.models.errors import UserError, WorkError

METADATA_KEY = b"cotenant_splits"
SPLITS_VERSION = "1.0"  # of what ways and parts mean
FACTS = "split.json"
PATTERN = "part-*.parquet"


@dataclass(frozen=True)
class StoredSplit:
    """One or several splits that were made together.

    Attributes:
        runs_sha256: Of what decided the parts beside the executions' keys.
    """

    folder: Path
    way_name: str
    way: Way
    runs_sha256: str

    @property
    def name(self) -> str:
        """Its name: that of its folder."""
        return self.folder.name

    @property
    def paths(self) -> list[Path]:
        """Its Parquet files, one for each split, in order."""
        return sorted(self.folder.glob(PATTERN))

    def pieces(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield rows of all its splits, a row group at a time."""
        for path in self.paths:
            yield from pieces_of(path, columns)

    def read(self, split: str | None = None) -> pa.Table:
        """Return the rows of one split by its name in the column `split`, of all by default."""
        kept = [rows.filter(pa.compute.equal(rows["split"], split)) if split else rows for rows in self.pieces()]
        return pa.concat_tables(kept).unify_dictionaries()


def pieces_of(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield one file's rows, a row group at a time; there is at least one piece."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        if not file.num_row_groups:
            yield file.schema_arrow.empty_table()
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns)


def file_name(place: int) -> str:
    """Return the name of the file of a way's n-th split; names sort as places do."""
    return PATTERN.replace("*", f"{place:05d}")


def facts_of(name: str, way_name: str, way: Way, runs_sha256: str) -> dict[str, Any]:
    """Return what is stored with a split."""
    return {
        "name": name,
        "version": SPLITS_VERSION,
        "way": way_name,
        "options": dict(way.options()),
        "runs_sha256": runs_sha256,
    }


def stored_schema(facts: Mapping[str, Any]) -> pa.Schema:
    """Return a split file's schema, whose metadata says how it was made."""
    schema = arrow_schema(SPLIT_TABLE)
    return schema.with_metadata({**schema.metadata, METADATA_KEY: json.dumps(facts, sort_keys=True).encode()})


def stored_splits(folder: Path) -> list[StoredSplit]:
    """Return the splits of a campaign folder's dataset, or of one on its own, by name; raises as `open_split`."""
    place = dataset_folder(folder) / SPLITS
    return [open_split(path) for path in sorted(place.glob("*")) if path.is_dir() and not path.name.startswith(".")]


def stored_split(folder: Path, name: str) -> StoredSplit:
    """Return what was made under one name; UserError where there is none."""
    found = {each.name: each for each in stored_splits(folder)}
    if name not in found:
        there = ", ".join(found) or "none"
        raise UserError(f"{folder} has no split {name!r}, splits: {there}; make it with `cotenant dataset split`")
    return found[name]


def open_split(folder: Path) -> StoredSplit:
    """Return what a split says of itself.

    Raises:
        UserError: It is of a newer cotenant.
        WorkError: It is damaged, or no split.
    """
    path = folder / file_name(0)
    again = "make it again with `cotenant dataset split`"
    try:
        facts = json.loads((pq.read_schema(path).metadata or {})[METADATA_KEY])
        version, major = str(facts["version"]), int(str(facts["version"]).partition(".")[0])
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise WorkError(f"{path} is missing, damaged or no split; {again}") from error
    if major > int(SPLITS_VERSION.partition(".")[0]):
        raise UserError(
            f"{path} has splits of version {version}, this cotenant reads up to {SPLITS_VERSION}; install a newer "
            "cotenant"
        )
    try:
        way = way_of(facts["way"], facts["options"])
        return StoredSplit(folder, str(facts["way"]), way, str(facts["runs_sha256"]))
    except (KeyError, TypeError, AttributeError, UserError) as error:
        raise WorkError(f"{path} has options that are none; {again}") from error
