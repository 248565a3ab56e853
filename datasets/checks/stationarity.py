"""The tails of both halves of a serving window follow from its requests and executions."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.differences import differ
from cotenant.datasets.experiment_rows import ExperimentRows
from cotenant.datasets.stationarity import Halves, p95_halves
from cotenant.datasets.words import ARMS

ALPHA = 0.05  # of the halves' intervals, whatever the alpha of the looks is


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare the stored p95s of both halves, and what they say of the run, with the rows."""
    yield from (("experiments", fault) for fault in _faults(rows))


def _faults(rows: ExperimentRows) -> Iterator[str]:
    experiment = rows.experiment
    changes = ("stationary", "load_changes") in experiment["null_reasons"]
    for block, own in rows.measured.rows_by_block():
        window = block["window_start_ns"], block["window_end_ns"]
        if changes or not ARMS[block["arm"]].open_loop or window[0] >= window[1]:
            continue
        served = rows.requests.filter(pc.equal(rows.requests["outcome"].cast(pa.string()), "served"))
        arrival, latency = (served[name].to_numpy() for name in ("intended_arrival_ns", "latency_ns"))
        start = rows.start_ns[own]
        halves = {
            "latency_p95": p95_halves(arrival, latency, *window, ALPHA),
            "span_p95": p95_halves(start, rows.end_ns[own] - start, *window, ALPHA),
        }
        for column, value in (pair for name, found in halves.items() for pair in _columns(name, found)):
            if differ(experiment[column], value):
                yield f"{column} is {experiment[column]}, its rows say {value}"
        if experiment["stationary"] and not all(found.agree for found in halves.values()):
            yield "stationary is true though its halves do not agree"


def _columns(name: str, halves: Halves) -> Iterator[tuple[str, int | None]]:
    for half, interval in (("first", halves.first), ("second", halves.second)):
        for end, value in (("", interval.value), ("_lower", interval.lower), ("_upper", interval.upper)):
            yield f"{name}_{half}_half{end}_ns", None if value is None else max(0, round(value))


CHECK = ExperimentCheck("stationarity", run)
