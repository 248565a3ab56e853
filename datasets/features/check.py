"""Check the feature sets that a dataset has: schema, values, whether they are of these tables, and a sample anew."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.columns import Table
from cotenant.datasets.features.derive import feature_rows
from cotenant.datasets.features.known import Known
from cotenant.datasets.features.rows import Rows
from cotenant.datasets.features.sets import FACTS, PART, FeatureSet, facts_of, open_set
from cotenant.datasets.schema_faults import schema_faults
from cotenant.datasets.tables.features import FEATURES
from cotenant.datasets.value_faults import value_faults
from cotenant.models.errors import WorkError

SAMPLE_ROWS = 300_000  # derived again in each set, whole experiments at a time
CLOSE = 1e-12  # of floating-point features; another machine's compiler may order operations differently


def feature_faults(dataset: Path) -> Iterator[tuple[str, str]]:
    """Yield (features/<name>, what is wrong); nothing where there are no feature sets.

    Raises:
        UserError: A set is of a newer cotenant.
    """
    for path in sorted((dataset / FEATURES).glob(f"*/{PART}")):
        if path.parent.name.startswith("."):
            continue
        where = f"{FEATURES}/{path.parent.name}"
        try:
            found = open_set(path.parent)
            yield from ((where, fault) for fault in _faults(dataset, found))
        except (WorkError, pa.ArrowException, OSError) as error:
            yield where, str(error)


def _faults(dataset: Path, found: FeatureSet) -> Iterator[str]:
    faults = list(schema_faults(found.path, found.table))
    if faults:
        yield from faults
        return
    known = Known(dataset)
    if known.sha256 != found.tables_sha256:
        yield "was derived from other tables than there are; derive it again with `cotenant dataset features`"
        return
    reasons = _reasons(found)
    if reasons is None:
        yield f"{FACTS} is missing, damaged or of other features"
        return
    counts: dict[str, int] = {}
    told: dict[str, None] = {}
    groups: list[set[str]] = []  # which experiments have rows in each row group
    for rows in found.pieces():
        told |= dict.fromkeys(value_faults(rows, found.table))
        told |= dict.fromkeys(_unexplained(rows, found.table, reasons))
        for entry in rows["experiment_id"].cast(pa.string()).value_counts().to_pylist():
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        groups.append(set(rows["experiment_id"].unique().cast(pa.string()).to_pylist()))
    yield from told
    expected = {id_: row["execution_count"] for id_, row in known.experiments.items() if row["execution_count"]}
    if counts != expected:
        wrong = sorted(id_ for id_ in counts.keys() | expected.keys() if counts.get(id_) != expected.get(id_))
        yield f"has another number of rows than executions for {len(wrong)} experiments, the first is {wrong[0]}"
        return
    chosen = _sample(counts)
    stored = _Rows(found, chosen, [place for place, ids in enumerate(groups) if ids & chosen])
    yield from _faults_of_sample(stored, feature_rows(dataset, known, found.options, chosen))


def _reasons(found: FeatureSet) -> dict[str, dict[str, list[str]]] | None:
    """Return why values are null; None where what stands beside the Parquet file does not belong to it."""
    try:
        stored = json.loads((found.folder / FACTS).read_text(encoding="utf-8"))
        same = stored == {**stored, **facts_of(found.name, found.options, found.tables_sha256)}
        return found.null_reasons if same else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _unexplained(rows: pa.Table, table: Table, reasons: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    for column in table.columns:
        if rows[column.name].null_count:
            ids = rows["experiment_id"].filter(rows[column.name].is_null()).unique().cast(pa.string()).to_pylist()
            for experiment_id in (id_ for id_ in ids if not reasons.get(id_, {}).get(column.name)):
                yield f"{column.name} is null in experiment {experiment_id}, and {FACTS} does not say why"


def _sample(counts: dict[str, int]) -> set[str]:
    """Choose experiments by a digest of their ids, the same each time, up to SAMPLE_ROWS rows, at least one."""
    chosen: set[str] = set()
    total = 0
    for experiment_id in sorted(counts, key=lambda id_: hashlib.sha256(id_.encode()).digest()):
        if not chosen or total + counts[experiment_id] <= SAMPLE_ROWS:
            chosen.add(experiment_id)
            total += counts[experiment_id]
    return chosen


def _faults_of_sample(stored: "_Rows", derived: Iterator[tuple[str, Rows]]) -> Iterator[str]:
    wrong: dict[str, str] = {}
    for experiment_id, again in derived:
        rows = stored.take(again.table.num_rows)
        for name in again.table.column_names:
            if name not in wrong and not _same(rows[name], again.table[name]):
                wrong[name] = f"{name} of experiment {experiment_id} is not what its executions say"
    yield from wrong.values()


class _Rows:
    """Hands out a set's rows of chosen experiments, piece by piece."""

    def __init__(self, found: FeatureSet, chosen: set[str], groups: list[int]) -> None:
        self._source = found.pieces(groups=groups)
        self._chosen = pa.array(sorted(chosen), pa.string())
        self._rest: list[pa.Table] = []

    def take(self, count: int) -> pa.Table:
        """Return the next rows."""
        while sum(part.num_rows for part in self._rest) < count:
            rows = next(self._source)
            wanted = pc.is_in(rows["experiment_id"].cast(pa.string()), self._chosen)
            self._rest.append(rows.filter(wanted))
        whole = pa.concat_tables(self._rest)
        self._rest = [whole[count:]]
        return whole[:count]


def _same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    if pa.types.is_list(one.type):
        lengths = (pc.list_value_length(one), pc.list_value_length(other))
        return bool(lengths[0].equals(lengths[1])) and _same(pc.list_flatten(one), pc.list_flatten(other))
    if pa.types.is_dictionary(one.type):
        return bool(_decoded(one).equals(_decoded(other)))
    if not pa.types.is_floating(one.type):
        return bool(one.equals(other))
    first, second = (np.asarray(column.to_numpy(), dtype=np.float64) for column in (one, other))
    return bool(np.allclose(first, second, rtol=CLOSE, atol=CLOSE, equal_nan=True))


def _decoded(column: pa.ChunkedArray) -> pa.Array:
    return column.cast(column.type.value_type).combine_chunks()
