"""Replaying starts and ends from the intervals gives the executions back.

Whom an interval lists must run throughout it. Nobody may be missing: the time that all intervals list, others counted,
must be the integral of live x (live - 1), which follows from the executions' starts and ends alone.
"""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare intervals with executions."""
    covers = (rows.start_ns[rows.co_ids] <= rows.from_ns[rows.co_row]) & (
        rows.end_ns[rows.co_ids] >= rows.to_ns[rows.co_row]
    )
    if not covers.all():
        yield "overlaps", f"row {rows.co_row[~covers][0]} lists an execution that did not run throughout it"
    listed = int(((rows.to_ns - rows.from_ns) * rows.co_length).sum())
    if listed != _shared_ns(rows):
        yield "overlaps", f"the intervals list {listed} ns beside others, the executions ran {_shared_ns(rows)} ns so"


def _shared_ns(rows: ExperimentRows) -> int:
    stamps = np.concatenate((rows.start_ns, rows.end_ns))
    step = np.concatenate((np.ones(len(rows.start_ns), np.int64), -np.ones(len(rows.end_ns), np.int64)))
    order = np.argsort(stamps, kind="stable")
    live = np.cumsum(step[order])[:-1]
    return int((live * (live - 1) * np.diff(stamps[order])).sum())


CHECK = ExperimentCheck("replay", run)
