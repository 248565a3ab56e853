"""Whatever is null says why, and nothing else does."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import FORM, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import TABLES


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare each row's nulls with its null_reasons; those of large tables, `table.column`, are another check's."""
    for name, rows in small.rows.items():
        nullable = [column.name for column in TABLES[name].columns if column.nullable]
        for index, row in enumerate(rows):
            reasons = row["null_reasons"]
            told = {column for column, _ in reasons if "." not in column}
            nulls = {column for column in nullable if row[column] is None}
            for column in sorted(nulls - told):
                yield name, f"row {index}: {column} is null without a reason"
            for column in sorted(told - nulls):
                yield name, f"row {index}: null_reasons has {column}, which is not null"
            for column in sorted(column for column, why in reasons if why is None):
                yield name, f"row {index}: null_reasons has {column} without a word"
            columns = [column for column, _ in reasons]
            if columns != sorted(set(columns)):
                yield name, f"row {index}: null_reasons is not sorted, or has a column twice"


CHECK = DatasetCheck("null reasons", run, FORM)
