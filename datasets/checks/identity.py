"""Rows belong to their experiment: counts, copied columns, ids that number without gaps, lists that fit."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.check_kinds import FORM, ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, some
from cotenant.datasets.words import ARMS

COPIED = ("experiment_id", "device_id", "kind")


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Everything that the other checks of rows rely on."""
    for name, table in rows.large.items():
        counted = rows.experiment[f"{name.removesuffix('s')}_count"]
        if table.num_rows != counted:
            yield name, f"{table.num_rows} rows, experiments says {counted}"
        for column in COPIED:
            differing = pc.sum(pc.not_equal(table[column].cast(pa.string()), rows.experiment[column])).as_py()
            if differing:
                yield name, f"{column} is not the experiment's in {differing} rows"
    yield from (("executions", fault) for fault in _executions(rows))
    yield from (("overlaps", fault) for fault in _overlaps(rows))


def _executions(rows: ExperimentRows) -> Iterator[str]:
    ids = rows.of_executions("execution_id")
    yield from some(ids != np.arange(len(ids)), "execution_id does not number 0, 1, 2 ...")
    yield from some(rows.end_ns <= rows.start_ns, "end_ns is not after start_ns")
    yield from some(rows.engine_index < 0, "engine_id is none of the deployed engines")
    index = rows.of_executions("block_index")
    count = rows.experiment["block_count"]
    if len(rows.blocks) != count or any(block["block_index"] != place for place, block in enumerate(rows.blocks)):
        yield "blocks does not number the experiment's blocks 0, 1, 2 ..."
    yield from some((index < 0) | (index >= len(rows.blocks)), "block_index is no block of the experiment")
    if any((block["quad_index"] is not None) != ARMS[block["arm"]].in_quads for block in rows.blocks):
        yield "blocks has a block of a quad without quad_index, or one of no quad with it"


def _overlaps(rows: ExperimentRows) -> Iterator[str]:
    count = rows.executions.num_rows
    yield from some((rows.owner < 0) | (rows.owner >= count), "execution_id is no execution of the experiment")
    yield from some(rows.owner[1:] < rows.owner[:-1], "rows are not sorted by execution_id")
    index = rows.of_overlaps("interval_index")
    starts = np.concatenate(([True], ~rows.same_owner)) if len(index) else np.empty(0, bool)
    expected = np.arange(len(index)) - np.flatnonzero(starts)[np.cumsum(starts) - 1] if len(index) else index
    yield from some(index != expected, "interval_index does not number 0, 1, 2 ... within its execution")
    missing = count - len(np.unique(rows.owner))
    if missing > 0:
        yield f"{missing} executions have no interval"
    yield from some(rows.of_overlaps("co_count") != rows.co_length, "co_count is not the length of co_execution_ids")
    engines = np.asarray(pc.list_value_length(rows.overlaps["co_engine_ids"]).to_numpy())
    yield from some(engines != rows.co_length, "co_engine_ids and co_execution_ids differ in length")
    outside = (rows.co_ids < 0) | (rows.co_ids >= count)
    if outside.any():
        yield f"co_execution_ids name executions that the experiment does not have, {np.count_nonzero(outside)} times"


CHECK = ExperimentCheck("identity", run, FORM)
