"""An execution's intervals are contiguous and disjoint, and sum to its span exactly."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, some


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """First starts where the execution does, each ends where the next starts, last ends where the execution does."""
    yield from (("overlaps", fault) for fault in _faults(rows))


def _faults(rows: ExperimentRows) -> Iterator[str]:
    if not len(rows.owner):
        return
    is_first = np.concatenate(([True], ~rows.same_owner))
    is_last = np.concatenate((~rows.same_owner, [True]))
    duration_ns = rows.to_ns - rows.from_ns
    span_ns = (rows.end_ns - rows.start_ns)[rows.owner]
    yield from some(is_first & (rows.from_ns != rows.start_ns[rows.owner]), "an execution's first start is not its own")
    yield from some(is_last & (rows.to_ns != rows.end_ns[rows.owner]), "an execution's last end is not its own")
    gap = np.concatenate((rows.same_owner & (rows.to_ns[:-1] != rows.from_ns[1:]), [False]))
    yield from some(gap, "an interval does not end where the next one starts")
    yield from some(duration_ns <= 0, "end_ns is not after start_ns")
    yield from some(rows.of_overlaps("duration_ns") != duration_ns, "duration_ns is not end_ns - start_ns")
    sums = np.zeros(len(rows.start_ns), np.int64)
    np.add.at(sums, rows.owner, rows.of_overlaps("duration_ns"))
    wrong = sums != rows.end_ns - rows.start_ns
    if wrong.any():
        yield f"the intervals of {np.count_nonzero(wrong)} executions do not sum to their span"
    fraction = rows.overlaps["fraction"].to_numpy()
    yield from some(fraction != duration_ns / span_ns, "fraction is not duration_ns over the span")
    short = np.asarray(rows.overlaps["below_clock_error"].to_numpy(), dtype=bool)
    expected = duration_ns < rows.experiment["clock_error_ns"]
    yield from some(short != expected, "below_clock_error does not follow from clock_error_ns")


CHECK = ExperimentCheck("partition", run)
