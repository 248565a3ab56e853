"""What a small table refers to exists."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import FORM, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import TABLES


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Look up every reference, those in lists too."""
    for name, rows in small.rows.items():
        for column in TABLES[name].columns:
            if column.refers_to is None:
                continue
            table, _, target = column.refers_to.partition(".")
            known = {row[target] for row in small.rows[table]}
            for value in sorted(_values(rows, column.name) - known):
                yield name, f"{column.name} names {value!r}, which {table} does not have"


def _values(rows: list[dict[str, object]], name: str) -> set[str]:
    found: set[str] = set()
    for row in rows:
        value = row[name]
        found.update(map(str, value) if isinstance(value, list) else [str(value)])
    return found


CHECK = DatasetCheck("references", run, FORM)
