"""Large tables hold declared words and numbers in their ranges."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import VALUES, ExperimentCheck
from cotenant.datasets.columns import TABLES
from cotenant.datasets.experiment_rows import ExperimentRows
from cotenant.datasets.value_faults import value_faults


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Look at one experiment's rows of every large table."""
    for name, found in rows.large.items():
        for fault in value_faults(found, TABLES[name]):
            yield name, fault


CHECK = ExperimentCheck("values of rows", run, VALUES)
