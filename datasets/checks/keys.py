"""Small tables are sorted by their key, and no key stands twice."""

from collections.abc import Iterator
from itertools import pairwise

from cotenant.datasets.check_kinds import FORM, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import TABLES


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare every row with the one before it."""
    for name, rows in small.rows.items():
        keys = [tuple((row[column] is not None, row[column]) for column in TABLES[name].key) for row in rows]
        for index, (before, key) in enumerate(pairwise(keys), start=1):
            if key == before:
                yield name, f"row {index} has the same key as the row before it: {[value for _, value in key]}"
            elif key < before:
                yield name, f"row {index} is not sorted by ({', '.join(TABLES[name].key)})"


CHECK = DatasetCheck("keys", run, FORM)
