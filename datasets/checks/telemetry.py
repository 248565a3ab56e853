"""Samples are numbered and sorted by time, and were taken around their experiment, on the clock of its executions."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import FORM, ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, some

# Before the first execution engines are loaded and warmed, which takes minutes; a wall clock, or the clock of another
# boot, lies years or days apart.
APART_MAX_NS = 6 * 3600 * 10**9


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Look at one experiment's samples."""
    yield from (("telemetry", fault) for fault in _faults(rows))


def _faults(rows: ExperimentRows) -> Iterator[str]:
    times_ns = np.asarray(rows.telemetry["t_ns"].to_numpy(), dtype=np.int64)
    index = np.asarray(rows.telemetry["sample_index"].to_numpy(), dtype=np.int64)
    yield from some(index != np.arange(len(index)), "sample_index does not number 0, 1, 2 ...")
    yield from some(times_ns[1:] < times_ns[:-1], "t_ns is after that of the next sample")
    if not len(rows.start_ns):
        return
    first, last = int(rows.start_ns.min()), int(rows.end_ns.max())
    apart = (times_ns < first - APART_MAX_NS) | (times_ns > last + APART_MAX_NS)
    yield from some(apart, "t_ns lies hours before or after all executions: another clock?")


CHECK = ExperimentCheck("telemetry", run, FORM)
