"""Executions are numbered as they were dispatched, and none starts before that."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, some


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare stamps of dispatch with starts, and with those of the execution before."""
    dispatched_ns = rows.of_executions("dispatched_ns")
    late = dispatched_ns > rows.start_ns
    yield from (("executions", fault) for fault in some(late, "dispatched_ns is after start_ns"))
    earlier = np.concatenate((np.zeros(1, bool), dispatched_ns[1:] < dispatched_ns[:-1]))[: len(dispatched_ns)]
    yield from (("executions", fault) for fault in some(earlier, "dispatched before the execution before it"))


CHECK = ExperimentCheck("dispatch", run)
