"""Check stored splits: each execution once in each split, on the side that the stored options say, without leaks."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.schema_faults import schema_faults
from cotenant.datasets.splits.derive import full_name, split_rows
from cotenant.datasets.splits.runs import Runs
from cotenant.datasets.splits.stored import FACTS, StoredSplit, facts_of, open_split, pieces_of
from cotenant.datasets.splits.way import PART_NAMES, Codes, Split
from cotenant.datasets.tables.splits import SPLIT_TABLE, SPLITS
from cotenant.datasets.value_faults import value_faults
from cotenant.models.errors import CotenantError, WorkError


def split_faults(dataset: Path) -> Iterator[tuple[str, str]]:
    """Yield (which split, what is wrong with it) of a dataset that is sound itself."""
    runs = Runs(dataset)
    for folder in sorted(path for path in (dataset / SPLITS).iterdir() if not path.name.startswith(".")):
        where = f"{SPLITS}/{folder.name}"
        try:
            found = open_split(folder)
            yield from ((where, fault) for fault in _faults(dataset, runs, found))
        except (WorkError, pa.ArrowException, OSError) as error:
            yield where, str(error)


def _faults(dataset: Path, runs: Runs, found: StoredSplit) -> Iterator[str]:
    faults = [fault for path in found.paths for fault in schema_faults(path, SPLIT_TABLE)]
    faults = faults or sorted({fault for rows in found.pieces() for fault in value_faults(rows, SPLIT_TABLE)})
    if faults:
        yield from faults
        return
    if runs.sha256 != found.runs_sha256:
        yield "was made of other experiments than there are; make it again with `cotenant dataset split`"
        return
    try:
        splits = found.way.splits(runs)
    except CotenantError as error:
        yield f"has options that do not fit the experiments: {error}"
        return
    if not _facts_agree(found):
        yield f"{FACTS} is missing, damaged, or does not say what the Parquet files say of themselves"
    if len(found.paths) != len(splits):
        yield f"has {len(found.paths)} files for {len(splits)} splits; make it again with `cotenant dataset split`"
        return
    yield from _wrong_rows(dataset, runs, found, splits)


def _facts_agree(found: StoredSplit) -> bool:
    try:
        stored = json.loads((found.folder / FACTS).read_text(encoding="utf-8"))
        return bool(stored == {**stored, **facts_of(found.name, found.way_name, found.way, found.runs_sha256)})
    except (OSError, ValueError, TypeError):
        return False


def _wrong_rows(dataset: Path, runs: Runs, found: StoredSplit, splits: Sequence[Split]) -> Iterator[str]:
    """Go through executions and all splits side by side."""
    stored = [_Rows(path) for path in found.paths]
    wrong: dict[str, str] = {}
    for run, rows, parts in split_rows(dataset, runs, splits):
        for split, source, own in zip(splits, stored, parts, strict=True):
            name = full_name(found.name, split)
            if name not in wrong and (fault := source.differs(rows, name, own)):
                wrong[name] = f"split {name}: {fault} in experiment {run.experiment_id}"
    for split, source in zip(splits, stored, strict=True):
        name = full_name(found.name, split)
        if name not in wrong and source.has_more():
            wrong[name] = f"split {name}: has rows of executions that there are not"
    yield from wrong.values()


class _Rows:
    """Hands out a split's rows, piece by piece."""

    def __init__(self, path: Path) -> None:
        self._source = pieces_of(path)
        self._rest = next(self._source)

    def differs(self, rows: pa.Table, split: str, parts: Codes) -> str | None:
        """Compare the next rows with executions; return what is wrong with them."""
        own = self._take(rows.num_rows)
        if own.num_rows < rows.num_rows or not _same_keys(own, rows):
            return "its rows are not those of the executions, in their order,"
        if not pc.all(pc.equal(own["split"].cast(pa.string()), split)).as_py():
            return "rows name another split"
        places = pc.index_in(own["part"].cast(pa.string()), value_set=pa.array(PART_NAMES))
        if not np.array_equal(np.asarray(places.to_numpy(), dtype=np.int8), parts):
            return "rows are on another side than its options say"
        return None

    def has_more(self) -> bool:
        """Tell whether rows are left."""
        return self._rest.num_rows > 0 or any(piece.num_rows for piece in self._source)

    def _take(self, count: int) -> pa.Table:
        parts = [self._rest]
        while sum(part.num_rows for part in parts) < count and (piece := next(self._source, None)) is not None:
            parts.append(piece)
        whole = pa.concat_tables(parts)
        self._rest = whole[count:]
        return whole[:count]


def _same_keys(own: pa.Table, rows: pa.Table) -> bool:
    ids = (own["execution_id"], rows["execution_id"])
    experiments = (own["experiment_id"].cast(pa.string()), rows["experiment_id"].cast(pa.string()))
    return bool(np.array_equal(*(column.to_numpy() for column in ids)) and pc.all(pc.equal(*experiments)).as_py())
