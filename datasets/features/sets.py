"""Feature sets of a dataset: where they lie, what their files say of them, and how they are read."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.columns import THROUGHPUTS, Table
from cotenant.datasets.features.options import FEATURES_VERSION, FeatureOptions, options_of
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.schema import arrow_schema
from cotenant.datasets.tables.features import FEATURES, features_table
from cotenant.models.errors import UserError, WorkError

METADATA_KEY = b"cotenant_features"
PART = "part-0.parquet"
FACTS = "features.json"


@dataclass(frozen=True)
class FeatureSet:
    """One feature table and what it was made of.

    Attributes:
        version: Of what the columns mean.
        tables_sha256: Of the small tables that it was derived from.
    """

    folder: Path
    version: str
    options: FeatureOptions
    tables_sha256: str

    @property
    def name(self) -> str:
        """Its name: that of its folder."""
        return self.folder.name

    @property
    def path(self) -> Path:
        """Its Parquet file."""
        return self.folder / PART

    @property
    def table(self) -> Table:
        """Its declared columns."""
        return table_of_options(self.options)

    @property
    def null_reasons(self) -> dict[str, dict[str, list[str]]]:
        """Experiment -> column -> why it is null in rows of it."""
        stored = json.loads((self.folder / FACTS).read_text(encoding="utf-8"))["null_reasons"]
        return {experiment_id: each["reasons"] for each in stored for experiment_id in each["experiments"]}

    def pieces(self, columns: list[str] | None = None, groups: Collection[int] | None = None) -> Iterator[pa.Table]:
        """Yield its rows, a row group at a time, or those of some row groups; there is at least one piece."""
        with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            if not file.num_row_groups:
                yield file.schema_arrow.empty_table()
            for group in range(file.num_row_groups) if groups is None else sorted(groups):
                yield file.read_row_group(group, columns)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return its rows."""
        return pa.concat_tables(self.pieces(columns)).unify_dictionaries()


def table_of_options(options: FeatureOptions) -> Table:
    """Return the declared columns of a feature table."""
    metrics = [THROUGHPUTS.column(name) for name in options.columns]
    alphas = dict(zip(options.labels, options.alphas, strict=True))
    return features_table(metrics, alphas, options.combine, options.denominator)


def stored_schema(name: str, options: FeatureOptions, tables_sha256: str) -> pa.Schema:
    """Return a feature file's schema, whose metadata says what it was made of."""
    schema = arrow_schema(table_of_options(options))
    facts = facts_of(name, options, tables_sha256)
    return schema.with_metadata({**schema.metadata, METADATA_KEY: json.dumps(facts, sort_keys=True).encode()})


def facts_of(name: str, options: FeatureOptions, tables_sha256: str) -> dict[str, Any]:
    """Return what is stored with a feature table."""
    return {
        "name": name,
        "version": FEATURES_VERSION,
        "options": options.as_dict(),
        "tables_sha256": tables_sha256,
    }


def feature_sets(folder: Path) -> list[FeatureSet]:
    """Return the feature sets of a campaign folder's dataset, or of one on its own, by name; raises as `open_set`."""
    place = dataset_folder(folder) / FEATURES
    return [open_set(path.parent) for path in sorted(place.glob(f"*/{PART}")) if not path.parent.name.startswith(".")]


def feature_set(folder: Path, name: str | None = None) -> FeatureSet:
    """Return one feature set by name; without a name the only one.

    Raises:
        UserError: There is none, or none of that name, or several and no name.
    """
    found = {each.name: each for each in feature_sets(folder)}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is None or name not in found:
        there = ", ".join(found) or "none"
        raise UserError(f"{folder} has feature sets: {there}; name one, or make it with `cotenant dataset features`")
    return found[name]


def open_set(folder: Path) -> FeatureSet:
    """Return what a feature set says of itself.

    Raises:
        UserError: It is of a newer cotenant.
        WorkError: It is damaged, or no feature table.
    """
    path = folder / PART
    try:
        metadata: Mapping[bytes, bytes] = pq.read_schema(path).metadata or {}
        facts = json.loads(metadata[METADATA_KEY])
        version = str(facts["version"])
        major = int(version.partition(".")[0])
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise WorkError(f"{path} is damaged or no feature table; derive it with `cotenant dataset features`") from error
    if major > int(FEATURES_VERSION.partition(".")[0]):
        raise UserError(
            f"{path} has features of version {version}, this cotenant reads up to {FEATURES_VERSION}; install a newer "
            "cotenant"
        )
    try:
        return FeatureSet(folder, version, options_of(facts["options"]), str(facts["tables_sha256"]))
    except (KeyError, TypeError, ValueError, UserError) as error:
        raise WorkError(f"{path} has options that are none; derive it with `cotenant dataset features`") from error
