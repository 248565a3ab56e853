"""Agreements of counter sources follow from the throughputs table."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import AGREEMENTS
from cotenant.datasets.derive.agreements import agreement_rows
from cotenant.datasets.differences import differences


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare every two sources again."""
    again = agreement_rows(small.rows["throughputs"], small.rows["engines"])
    yield from differences("agreements", small.rows["agreements"], again, AGREEMENTS.key, "throughputs say")


CHECK = DatasetCheck("agreements", run)
