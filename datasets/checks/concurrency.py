"""No more run at once than there are lanes; others are listed once, rising, with their engines, never oneself."""

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, some


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Look at the lists of others."""
    yield from (("overlaps", fault) for fault in _faults(rows))


def _faults(rows: ExperimentRows) -> Iterator[str]:
    yield from some(rows.co_length + 1 > rows.experiment["lanes"], "more executions at once than lanes")
    falling = (rows.co_row[1:] == rows.co_row[:-1]) & (rows.co_ids[1:] <= rows.co_ids[:-1])
    if falling.any():
        yield f"co_execution_ids of row {rows.co_row[1:][falling][0]} do not rise"
    oneself = rows.co_ids == rows.owner[rows.co_row]
    if oneself.any():
        yield f"row {rows.co_row[oneself][0]} lists its own execution"
    engines = rows.engine_places(pc.list_flatten(rows.overlaps["co_engine_ids"]))
    wrong = engines != rows.engine_index[rows.co_ids]
    if wrong.any():
        yield f"co_engine_ids of {np.count_nonzero(wrong)} entries are not the engines of co_execution_ids"


CHECK = ExperimentCheck("concurrency", run)
