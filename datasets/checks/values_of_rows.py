"""Large tables hold declared words and numbers in their ranges."""

from collections.abc import Iterator

from cotenant.datasets.check_subjects import ExperimentCheck, ExperimentRows
from cotenant.datasets.columns import EXECUTIONS, OVERLAPS
from cotenant.datasets.value_faults import value_faults


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Look at the executions and overlaps of one experiment."""
    for table, found in ((EXECUTIONS, rows.executions), (OVERLAPS, rows.overlaps)):
        for fault in value_faults(found, table):
            yield table.name, fault


CHECK = ExperimentCheck("values of rows", run, first=True)
