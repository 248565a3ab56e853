"""A column of a large table that holds nulls has its reason in experiments."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare the nulls of one experiment's rows with its null_reasons."""
    told = {column for column, _ in rows.experiment["null_reasons"] if "." in column}
    nulls = {
        f"{table}.{name}"
        for table, found in rows.large.items()
        for name in found.column_names
        if found[name].null_count
    }
    for column in sorted(nulls - told):
        yield column.partition(".")[0], f"{column} holds nulls, for which experiments has no reason"
    for column in sorted(told - nulls):
        yield "experiments", f"null_reasons has {column}, which holds no null"


CHECK = ExperimentCheck("null reasons of rows", run)
