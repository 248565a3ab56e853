"""The intervals do not depend on the order in which the executions come: sweeping them backwards gives the same."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows
from cotenant.datasets.overlap import overlap_intervals


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Sweep the executions in reversed order and compare with the stored rows."""
    last = rows.executions.num_rows - 1
    swept = overlap_intervals(rows.start_ns[::-1], rows.end_ns[::-1])
    owner = last - swept.execution_index
    order = np.lexsort((swept.interval_index, owner))
    expected = (owner[order], swept.start_ns[order], swept.end_ns[order], swept.co_count[order].astype(np.int64))
    stored = (rows.owner, rows.from_ns, rows.to_ns, rows.co_length)
    if any(len(a) != len(b) or np.any(a != b) for a, b in zip(expected, stored, strict=True)):
        yield "overlaps", "sweeping the executions in reversed order gives other intervals"
        return
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    row = place[np.repeat(np.arange(len(order)), swept.co_count)]
    ids = last - swept.co_index
    if np.any(ids[np.lexsort((ids, row))] != rows.co_ids):
        yield "overlaps", "sweeping the executions in reversed order lists others"


CHECK = ExperimentCheck("input order", run)
