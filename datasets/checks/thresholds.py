"""Each experiment tells the thresholds that were in force."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import FORM, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.thresholds import read_thresholds


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Read every experiment's `quality`."""
    for row in small.rows["experiments"]:
        try:
            read_thresholds(row["quality"])
        except (ValueError, TypeError) as error:
            yield "experiments", f"experiment {row['experiment_id']}: quality holds no thresholds: {error}"


CHECK = DatasetCheck("thresholds", run, FORM)
