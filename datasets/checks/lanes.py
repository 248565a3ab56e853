"""A lane executes one at a time."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import FORM, ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, some


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Sort by lane and start: each execution begins when the one before has ended."""
    lane = rows.of_executions("lane")
    order = np.lexsort((rows.start_ns, lane))
    same = lane[order][1:] == lane[order][:-1]
    early = np.zeros(len(order), dtype=bool)
    early[order[1:]] = same & (rows.start_ns[order][1:] < rows.end_ns[order][:-1])
    yield from (("executions", fault) for fault in some(early, "started before the one before it on its lane ended"))
    outside = lane >= rows.experiment["lanes"]
    yield from (("executions", fault) for fault in some(outside, "lane is none of the experiment's lanes"))


CHECK = ExperimentCheck("lanes", run, FORM)
