"""Sensitivities follow from slowdowns and experiments, and rise with the probe's intensity as far as it can be told."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import SENSITIVITIES
from cotenant.datasets.derive.sensitivities import sensitivity_rows
from cotenant.datasets.differences import differences

Row = dict[str, Any]
SIMULATED = "simulated"  # a device on which a stronger probe never helps
SLACK_RATIO = 0.02  # of many intervals some miss the truth, though by little
BOUNDS = ("slowdown_lower_ratio", "slowdown_upper_ratio")


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Derive the rows again, and compare neighbours of each curve of a simulated device."""
    stored = small.rows["sensitivities"]
    again = sensitivity_rows(small.rows["experiments"], small.rows["slowdowns"], small.rows["engines"])
    yield from differences("sensitivities", stored, again, SENSITIVITIES.key, "its slowdowns say")
    simulated = {row["device_id"] for row in small.rows["devices"] if row["kind"] == SIMULATED}
    curves: dict[tuple[Any, ...], list[Row]] = {}
    for row in stored:
        if row["device_id"] in simulated:
            curves.setdefault(tuple(row[name] for name in SENSITIVITIES.key[:-1]), []).append(row)
    for rows in curves.values():
        yield from (("sensitivities", fault) for fault in _falls(rows))


def _falls(rows: list[Row]) -> Iterator[str]:
    known = [row for row in rows if all(row[name] is not None for name in BOUNDS)]
    for weak, strong in pairwise(sorted(known, key=lambda row: row["intensity_pct"])):
        if strong["slowdown_upper_ratio"] < weak["slowdown_lower_ratio"] * (1 - SLACK_RATIO):
            yield (
                f"engine {strong['engine_id']} is slowed less beside probe:{strong['probe']} at "
                f"{strong['intensity_pct']:g} than at {weak['intensity_pct']:g}, beyond both intervals"
            )


CHECK = DatasetCheck("sensitivities", run)
