"""Stamps of a real device span no more time than the wall clock says that the experiment took.

A step of the stamps' clock shows as executions that lie further apart than the experiment lasted; a step of the wall
clock shows as an experiment that lasted less than its stamps span. Either way its times cannot be trusted.
"""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows

SLACK_NS = 1_000_000_000  # between the two wall stamps and the first and last execution; and for drift of either clock


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare the stamps with provenance; virtual time has nothing to do with the wall clock."""
    device = {row["device_id"]: row["kind"] for row in rows.small.rows["devices"]}[rows.experiment["device_id"]]
    if device == "simulated" or not len(rows.end_ns):
        return
    told = rows.small.provenance.get(rows.experiment["experiment_id"])
    if told is None or told["started_at"] is None or told["finished_at"] is None:
        return
    lasted_ns = round((told["finished_at"] - told["started_at"]).total_seconds() * 1e9)
    stamped_ns = int(np.max(rows.end_ns)) - int(np.min(rows.start_ns))
    if stamped_ns > lasted_ns + SLACK_NS:
        yield (
            "executions",
            f"stamps span {stamped_ns / 1e9:.3f} s, the experiment lasted {lasted_ns / 1e9:.3f} s: a clock stepped",
        )


CHECK = ExperimentCheck("clock steps", run)
