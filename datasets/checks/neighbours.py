"""Consecutive intervals of an execution differ in who ran beside it."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare the lists of each interval and the next where they are equally long."""
    length = rows.co_length
    pairs = np.flatnonzero(rows.same_owner & (length[1:] == length[:-1]))
    offsets = np.concatenate(([0], np.cumsum(length)))
    pair_of = np.repeat(np.arange(len(pairs)), length[pairs])
    before = np.concatenate(([0], np.cumsum(length[pairs])))[:-1]
    within = np.arange(len(pair_of)) - before[pair_of]
    first = rows.co_ids[offsets[pairs][pair_of] + within]
    second = rows.co_ids[offsets[pairs + 1][pair_of] + within]
    differences = np.bincount(pair_of, weights=first != second, minlength=len(pairs))
    equal = pairs[differences == 0]
    if len(equal):
        yield "overlaps", f"{len(equal)} rows list the same others as the row before, the first is row {equal[0] + 1}"


CHECK = ExperimentCheck("neighbours", run)
