"""Each experiment says once where it comes from."""

import re
from collections.abc import Iterator

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables

SHA256 = re.compile("[0-9a-f]{64}")


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare provenance with experiments."""
    told = {row["subject_id"] for row in small.rows["provenance"] if row["subject"] == "experiment"}
    for experiment_id in sorted(small.experiments.keys() - told):
        yield "provenance", f"experiment {experiment_id} has no row"
    for experiment_id in sorted(told - small.experiments.keys()):
        yield "provenance", f"experiment {experiment_id} is none of experiments"
    for index, row in enumerate(small.rows["provenance"]):
        if row["raw_sha256"] is not None and not SHA256.fullmatch(row["raw_sha256"]):
            yield "provenance", f"row {index}: raw_sha256 is no SHA-256"
        if None not in (row["started_at"], row["finished_at"]) and row["finished_at"] < row["started_at"]:
            yield "provenance", f"row {index}: finished_at is before started_at"


CHECK = DatasetCheck("provenance", run)
