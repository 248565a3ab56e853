"""Derive a feature table from a dataset's tables: executions are streamed, everything else is looked up."""

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.columns import EXECUTIONS
from cotenant.datasets.features.known import Known
from cotenant.datasets.features.options import FeatureOptions
from cotenant.datasets.features.prospective import COLUMNS as PROSPECTIVE
from cotenant.datasets.features.rows import COPIED, ExperimentFeatures, Rows
from cotenant.datasets.features.sets import FACTS, PART, FeatureSet, facts_of, open_set, stored_schema, table_of_options
from cotenant.datasets.features.windows import Stamps, windows
from cotenant.datasets.features.writer import FeatureWriter
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.parquet import writing
from cotenant.datasets.read import TableDamagedError, experiment_pieces
from cotenant.datasets.tables.features import FEATURES
from cotenant.models.errors import UserError, WorkError

BUILDING_PREFIX = ".building-"
WINDOW_ROWS = 1 << 16  # their intervals fit in a processor's cache
READ = [*COPIED, *PROSPECTIVE]


@dataclass(frozen=True)
class Derived:
    """What was written.

    Attributes:
        unknown_counts: Feature of an engine's own counters -> rows in which it is null.
    """

    set: FeatureSet
    row_count: int
    column_count: int
    unknown_counts: dict[str, int]


def derive_features(folder: Path, options: FeatureOptions, name: str | None = None) -> Derived:
    """Derive one feature set of a campaign folder's dataset, or of one on its own; one of that name is replaced.

    Args:
        name: Of the set; the options' own by default.

    Raises:
        UserError: There is no dataset, the place cannot be written to, or the name is no folder's.
        TableDamagedError, WorkError: A table is damaged or does not hold together.
    """
    dataset = dataset_folder(folder)
    name = name or options.name
    if Path(name).name != name or name.startswith("."):
        raise UserError(f"{name!r} is no name of a feature set: it becomes the name of a folder")
    known = Known(dataset)
    place = dataset / FEATURES
    with writing(place):
        place.mkdir(exist_ok=True)
        for leftover in place.glob(f"{BUILDING_PREFIX}*"):
            shutil.rmtree(leftover)
        building = Path(tempfile.mkdtemp(prefix=BUILDING_PREFIX, dir=place))
        try:
            counts = _write(dataset, known, options, name, building)
            building.chmod(0o755)
            shutil.rmtree(place / name, ignore_errors=True)
            building.rename(place / name)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return Derived(open_set(place / name), *counts)


def feature_rows(
    dataset: Path, known: Known, options: FeatureOptions, only: Collection[str] | None = None
) -> Iterator[tuple[str, Rows]]:
    """Yield (experiment_id, some of its rows) in order of the executions table.

    Args:
        only: Ids of the experiments wanted; all by default.
    """
    engines = pa.array(known.engine_ids, pa.string())
    table = table_of_options(options)
    pieces = experiment_pieces(dataset, EXECUTIONS.name, READ)
    for experiment_id, own in groupby(pieces, key=itemgetter(0)):
        if only is not None and experiment_id not in only:
            continue
        if experiment_id not in known.experiments:
            raise TableDamagedError(dataset, "executions", f"has executions of {experiment_id}, which no experiment is")
        features = ExperimentFeatures(known, experiment_id, options, table)
        stamped = ((rows, _stamps(rows, engines, experiment_id)) for _, piece in own for rows in _cut(piece))
        for window in windows(experiment_id, stamped):
            yield experiment_id, features.rows(window)


def _cut(piece: pa.Table) -> Iterator[pa.Table]:
    for first in range(0, piece.num_rows, WINDOW_ROWS):
        yield piece.slice(first, WINDOW_ROWS)


def _stamps(rows: pa.Table, engines: pa.Array, experiment_id: str) -> Stamps:
    words = rows["engine_id"].combine_chunks()
    if not pa.types.is_dictionary(words.type):
        words = words.dictionary_encode()
    places = pc.index_in(words.dictionary.cast(pa.string()), value_set=engines).fill_null(-1).to_numpy()
    code = places.astype(np.int64)[words.indices.to_numpy()]
    if np.any(code < 0):
        raise WorkError(f"experiment {experiment_id} has executions of engines that there are not; see `dataset check`")
    dispatched_ns, start_ns, end_ns, lane = (
        np.array(rows[name].to_numpy(), dtype=np.int64)  # a copy: loops are compiled for arrays that may be written
        for name in ("dispatched_ns", "start_ns", "end_ns", "lane")
    )
    return Stamps(dispatched_ns, start_ns, end_ns, lane, code)


def _write(
    dataset: Path, known: Known, options: FeatureOptions, name: str, target: Path
) -> tuple[int, int, dict[str, int]]:
    schema = stored_schema(name, options, known.sha256)
    unknown = {f"self_{column}": 0 for column in options.columns}
    reasons: dict[str, dict[str, set[str]]] = {}
    count = 0
    with FeatureWriter(target / PART, schema) as writer:
        for experiment_id, rows in feature_rows(dataset, known, options):
            writer.write(rows.table)
            count += rows.table.num_rows
            for column in unknown:
                unknown[column] += rows.table[column].null_count
            own = reasons.setdefault(experiment_id, {})
            for column, words in rows.reasons.items():
                own.setdefault(column, set()).update(words)
    facts = {**facts_of(name, options, known.sha256), "null_reasons": _grouped(reasons)}
    (target / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return count, len(schema), unknown


def _grouped(reasons: dict[str, dict[str, set[str]]]) -> list[dict[str, Any]]:
    """Return each distinct set of reasons once, with the experiments that it holds for."""
    found: dict[str, dict[str, Any]] = {}
    for experiment_id, own in reasons.items():
        told = {column: sorted(own[column]) for column in sorted(own)}
        entry = found.setdefault(json.dumps(told), {"reasons": told, "experiments": []})
        entry["experiments"].append(experiment_id)
    return list(found.values())
