"""The overlap of two executions is as long seen from the one as from the other."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, Ints


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Sum durations over (execution, other) and compare with (other, execution)."""
    count = rows.executions.num_rows
    own, other = rows.owner[rows.co_row], rows.co_ids
    duration_ns = rows.of_overlaps("duration_ns")[rows.co_row]
    seen, back = _sums(own * count + other, duration_ns), _sums(other * count + own, duration_ns)
    if len(seen[0]) != len(back[0]) or np.any(seen[0] != back[0]):
        yield "overlaps", "an execution lists another that does not list it"
        return
    wrong = np.flatnonzero(seen[1] != back[1])
    if len(wrong):
        pair = divmod(int(seen[0][wrong[0]]), count)
        yield "overlaps", f"{len(wrong)} overlaps differ seen from their two sides, the first is of executions {pair}"


def _sums(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.empty(0, np.int64)
    return keys[starts], np.add.reduceat(values, starts) if len(keys) else values


CHECK = ExperimentCheck("symmetry", run)
