"""Make splits of a dataset: executions are streamed once, and each split writes its own file beside the others."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from cotenant.datasets.columns import EXECUTIONS
from cotenant.datasets.features.writer import FeatureWriter
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.parquet import writing
from cotenant.datasets.read import TableDamagedError, experiment_pieces
from cotenant.datasets.splits.runs import RunFacts, Runs
from cotenant.datasets.splits.stored import FACTS, StoredSplit, facts_of, file_name, open_split, stored_schema
from cotenant.datasets.splits.tally import READ, Tally, training_rows
from cotenant.datasets.splits.way import PART_NAMES, Codes, Split
from cotenant.datasets.splits.ways import way_of
from cotenant.datasets.tables.splits import SPLITS
from cotenant.models.errors import UserError

BUILDING_PREFIX = ".building-"


@dataclass(frozen=True)
class Made:
    """What was written, and what each split amounts to."""

    stored: StoredSplit
    tallies: list[Tally]


def make_split(folder: Path, way_name: str, name: str | None = None, **options: object) -> Made:
    """Split the dataset of a campaign folder, or one on its own; what was made under that name before is replaced.

    Args:
        name: Of its folder and of the split; the way's by default.

    Raises:
        UserError: There is no dataset, the options do not fit it, a set leaks, or a side stays empty.
        TableDamagedError, WorkError: A table is damaged or does not hold together.
    """
    dataset = dataset_folder(folder)
    name = name or way_name
    if Path(name).name != name or name.startswith("."):
        raise UserError(f"{name!r} is no name of a split: it becomes the name of a folder")
    way = way_of(way_name, options)
    runs = Runs(dataset)
    splits = way.splits(runs)
    schema = stored_schema(facts_of(name, way_name, way, runs.sha256))
    place = dataset / SPLITS
    with writing(place):
        place.mkdir(exist_ok=True)
        for leftover in place.glob(f"{BUILDING_PREFIX}*"):
            shutil.rmtree(leftover)
        building = Path(tempfile.mkdtemp(prefix=BUILDING_PREFIX, dir=place))
        try:
            tallies = _write(dataset, runs, splits, name, schema, building)
            told = {**facts_of(name, way_name, way, runs.sha256), "splits": [each.as_dict() for each in tallies]}
            (building / FACTS).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            building.chmod(0o755)
            shutil.rmtree(place / name, ignore_errors=True)
            building.rename(place / name)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return Made(open_split(place / name), tallies)


def split_rows(dataset: Path, runs: Runs, splits: Sequence[Split]) -> Iterator[tuple[RunFacts, pa.Table, list[Codes]]]:
    """Yield a run, some of its executions and their part in each split, in order of the executions table."""
    for experiment_id, rows in experiment_pieces(dataset, EXECUTIONS.name, READ):
        if experiment_id not in runs.by_id:
            raise TableDamagedError(dataset, EXECUTIONS.name, f"has rows of {experiment_id}, which no experiment is")
        run = runs.by_id[experiment_id]
        yield run, rows, [split.rule(run, rows) for split in splits]


def full_name(name: str, split: Split) -> str:
    """Return what stands in the column `split`."""
    return f"{name}:{split.left_out}" if split.left_out else name


def _write(
    dataset: Path, runs: Runs, splits: Sequence[Split], name: str, schema: pa.Schema, target: Path
) -> list[Tally]:
    tallies = [Tally(full_name(name, split)) for split in splits]
    with ExitStack() as stack:
        writers = [stack.enter_context(FeatureWriter(target / file_name(i), schema)) for i in range(len(splits))]
        for run, rows, parts in split_rows(dataset, runs, splits):
            training = training_rows(run, rows)
            for writer, tally, own in zip(writers, tallies, parts, strict=True):
                tally.add(run, own, training)
                writer.write(_table(rows, tally.split, own, schema))
    for split, tally in zip(splits, tallies, strict=True):
        tally.close()
        _refuse_empty(split, tally)
    return tallies


def _table(rows: pa.Table, split: str, parts: Codes, schema: pa.Schema) -> pa.Table:
    columns = [
        rows["experiment_id"],
        rows["execution_id"],
        pa.DictionaryArray.from_arrays(np.zeros(rows.num_rows, dtype=np.int32), pa.array([split])),
        pa.DictionaryArray.from_arrays(parts.astype(np.int32), pa.array(PART_NAMES)),
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def _refuse_empty(split: Split, tally: Tally) -> None:
    counts = dict(zip(PART_NAMES, tally.training_row_counts, strict=True))
    for part in split.least:
        if not counts[part]:
            raise UserError(
                f"no training row of the dataset falls into {part} of split {tally.split}; choose another seed, ratio "
                "or limit, or measure more runs (rows that count: role main, censored and co_censored none)"
            )
