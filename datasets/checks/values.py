"""Small tables hold declared words and numbers in their ranges."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import VALUES, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import TABLES
from cotenant.datasets.value_faults import value_faults


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Look at every small table."""
    for name, table in small.tables.items():
        for fault in value_faults(table, TABLES[name]):
            yield name, fault


CHECK = DatasetCheck("values", run, VALUES)
