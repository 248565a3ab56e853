"""A timeline of one experiment for Perfetto or chrome://tracing: lanes, windows, requests, how many run and wait.

Rows are streamed; kept are the stamps that counters are made of, and each execution's lane, so that requests can point
at their batch.
"""

import heapq
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cotenant.datasets import trace_events as events
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.parquet import writing
from cotenant.datasets.read import TableDamagedError, read_table, table_files
from cotenant.models.atomic import atomic_path
from cotenant.models.errors import UserError

NUMBER_DIGITS_MAX = 6  # ids have 20 characters: so few digits are a place in the list
TELEMETRY = "telemetry"
PIECE_ROWS = 1 << 14
Row = dict[str, Any]


@dataclass(frozen=True)
class Traced:
    """What was written."""

    path: Path
    experiment_id: str
    event_count: int


def experiment_list(folder: Path) -> list[Row]:
    """Return the rows of experiments by id: a place in this list, from 1, names an experiment."""
    return sorted(read_table(folder, "experiments").to_pylist(), key=lambda row: str(row["experiment_id"]))


def write_trace(folder: Path, experiment: str, out: Path) -> Traced:
    """Write the timeline of one experiment of a campaign folder's dataset, or of one on its own.

    Args:
        experiment: Its id, the beginning of it, or its number in the list.

    Raises:
        UserError: There is no such experiment, or several, or the place cannot be written to.
        TableDamagedError, WorkError: A table is damaged, or the disk is full.
    """
    dataset = dataset_folder(folder)
    row = chosen(experiment_list(dataset), experiment)
    count = 0
    with writing(out), atomic_path(out) as temporary, temporary.open("w", encoding="utf-8") as stream:
        timeline = _Timeline(dataset, row)
        stream.write(f'{{"displayTimeUnit":"ns",\n"otherData":{json.dumps(timeline.facts())},\n"traceEvents":[')
        for count, line in enumerate(timeline.lines(), start=1):
            stream.write(("\n" if count == 1 else ",\n") + line)
        stream.write("\n]}\n")
    return Traced(out, str(row["experiment_id"]), count)


def chosen(experiments: list[Row], experiment: str) -> Row:
    """Return the experiment that an id, the beginning of one or a number means; UserError otherwise."""
    listed = "`cotenant dataset trace DIR` lists them"
    if experiment.isascii() and experiment.isdigit() and len(experiment) <= NUMBER_DIGITS_MAX:
        if not 1 <= int(experiment) <= len(experiments):
            raise UserError(f"there is no experiment {experiment}: numbers go from 1 to {len(experiments)}; {listed}")
        return experiments[int(experiment) - 1]
    found = [row for row in experiments if str(row["experiment_id"]).startswith(experiment)]
    if len(found) != 1:
        what = "no experiment's id begins" if not found else f"{len(found)} experiments' ids begin"
        raise UserError(f"{what} with {experiment!r}; {listed}")
    return found[0]


def pieces_of_experiment(
    folder: Path, name: str, experiment_id: str, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """Yield one experiment's rows of a large table; row groups that cannot hold any are not read."""
    for path in table_files(folder, name):
        yield from _pieces(path, experiment_id, columns)


def _pieces(path: Path, experiment_id: str, columns: list[str] | None) -> Iterator[pa.Table]:
    read = None if columns is None else ["experiment_id", *columns]
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        place = file.schema_arrow.get_field_index("experiment_id")
        for group in range(file.num_row_groups):
            told = file.metadata.row_group(group).column(place).statistics
            if told is not None and told.has_min_max and not told.min <= experiment_id <= told.max:
                continue
            rows = file.read_row_group(group, read)
            own = rows.filter(pc.equal(rows["experiment_id"].cast(pa.string()), experiment_id))
            for first in range(0, own.num_rows, PIECE_ROWS):
                yield own.slice(first, PIECE_ROWS)


class _Timeline:
    """All events of one experiment."""

    def __init__(self, dataset: Path, experiment: Row) -> None:
        self._dataset = dataset
        self._experiment = experiment
        self._id = str(experiment["experiment_id"])
        self._labels = {
            row["engine_id"]: f"{row['model']}@{row['batch_size']}"
            for row in read_table(dataset, "engines").to_pylist()
        }
        self._blocks = [row for row in read_table(dataset, "blocks").to_pylist() if row["experiment_id"] == self._id]
        self._start_ns, self._end_ns, self._lane, dispatched_ns = (
            self._column("executions", name) for name in ("start_ns", "end_ns", "lane", "dispatched_ns")
        )
        arrived_ns = self._column("requests", "intended_arrival_ns")
        opened_ns = np.array([row["window_start_ns"] for row in self._blocks], dtype=np.int64)
        firsts = [part.min() for part in (self._start_ns, dispatched_ns, arrived_ns, opened_ns) if len(part)]
        self.origin_ns = int(min(firsts, default=0))

    def facts(self) -> Row:
        """Return what stands at the head of the file."""
        names = ("experiment_id", "device_id", "kind", "condition", "isolation_observed", "offered_load", "verdict")
        return {**{name: self._experiment[name] for name in names}, "origin_ns": str(self.origin_ns)}

    def lines(self) -> Iterator[str]:
        """Yield all events; requests come before the executions that their arrows lead to."""
        tenants = list(self._experiment["tenants"])
        yield from events.names(events.WINDOWS, "windows and counters", {0: "windows"})
        lanes = {lane: f"lane {lane}" for lane in range(self._experiment["lanes"])}
        yield from events.names(events.LANES, "lanes", lanes)
        yield from events.windows(self._blocks, self.origin_ns)
        if self._experiment["request_count"]:
            yield from self._requests(tenants)
            yield from self._queues(tenants)
        for rows in pieces_of_experiment(self._dataset, "executions", self._id):
            yield from events.executions(rows.drop_columns(["experiment_id"]), self._labels, self.origin_ns)
        yield from self._counter("running", self._start_ns, self._end_ns, "executions")
        yield from self._telemetry()

    def _requests(self, tenants: list[str]) -> Iterator[str]:
        """Yield each tenant's requests; those that wait at once lie on tracks below each other."""
        places = {tenant: _Places() for tenant in tenants}
        for rows in pieces_of_experiment(self._dataset, "requests", self._id):
            for row in rows.drop_columns(["experiment_id"]).to_pylist():
                self._refuse_foreign(row, places)
                process_id = events.TENANTS + tenants.index(row["tenant"])
                if row["execution_id"] is None:
                    yield events.not_served(row, process_id, self.origin_ns)
                    continue
                place = places[row["tenant"]].take(row["intended_arrival_ns"], row["done_ns"])
                lane, start_ns = (int(column[row["execution_id"]]) for column in (self._lane, self._start_ns))
                yield from events.served(row, (process_id, place), lane, start_ns, self.origin_ns)
        for index, tenant in enumerate(tenants):
            tracks = {place: f"requests {place}" for place in range(places[tenant].count)}
            named = {**tracks, events.NOT_SERVED: "not served"}
            yield from events.names(events.TENANTS + index, f"tenant {tenant}", named)

    def _refuse_foreign(self, request: Row, tenants: Collection[str]) -> None:
        place, batch = self._dataset / "requests", request["execution_id"]
        if request["tenant"] not in tenants:
            raise TableDamagedError(place, "requests", f"has requests of {request['tenant']!r}, which is no tenant")
        if batch is None:
            return
        if not 0 <= batch < len(self._start_ns) or request["done_ns"] is None or request["batched_ns"] is None:
            raise TableDamagedError(place, "requests", f"has requests of execution {batch}, which does not serve them")

    def _queues(self, tenants: list[str]) -> Iterator[str]:
        columns = ["tenant", "intended_arrival_ns", "batched_ns", "outcome"]
        pieces = list(pieces_of_experiment(self._dataset, "requests", self._id, columns))
        rows = pa.concat_tables(pieces).unify_dictionaries()
        queued = rows.filter(pc.not_equal(rows["outcome"].cast(pa.string()), "dropped"))
        for tenant in tenants:
            own = queued.filter(pc.equal(queued["tenant"].cast(pa.string()), tenant))
            arrived_ns = np.asarray(own["intended_arrival_ns"].to_numpy(), dtype=np.int64)
            left_ns = np.asarray(own["batched_ns"].drop_null().to_numpy(), dtype=np.int64)
            yield from self._counter(f"queued {tenant}", arrived_ns, left_ns, "requests")

    def _telemetry(self) -> Iterator[str]:
        for path in sorted((self._dataset / TELEMETRY).rglob("*.parquet")):
            for rows in _pieces(path, self._id, None):
                times_ns = np.asarray(rows["t_ns"].to_numpy(), dtype=np.int64)
                for field in rows.schema:
                    if field.name in ("t_ns", "sample_index", "sample_ns") or not (
                        pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
                    ):
                        continue
                    known = np.asarray(rows[field.name].is_valid().to_numpy(), dtype=bool)
                    values = rows[field.name].drop_null().to_pylist()
                    yield from events.counters(field.name, times_ns[known], values, self.origin_ns, "value")

    def _counter(self, name: str, rises_ns: events.Ints, falls_ns: events.Ints, key: str) -> Iterator[str]:
        times_ns, counts = events.level(rises_ns, falls_ns)
        yield from events.counters(name, times_ns, counts.tolist(), self.origin_ns, key)

    def _column(self, table: str, name: str) -> events.Ints:
        parts = [
            np.asarray(rows[name].to_numpy(), dtype=np.int64)
            for rows in pieces_of_experiment(self._dataset, table, self._id, [name])
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


class _Places:
    """Gives each request the lowest free place; they come by arrival."""

    def __init__(self) -> None:
        self.count = 0
        self._free: list[int] = []
        self._busy: list[tuple[int, int]] = []

    def take(self, arrived_ns: int, done_ns: int) -> int:
        """Return a place that is free from arrival on, and keep it until done."""
        while self._busy and self._busy[0][0] <= arrived_ns:
            heapq.heappush(self._free, heapq.heappop(self._busy)[1])
        if self._free:
            place = heapq.heappop(self._free)
        else:
            place, self.count = self.count, self.count + 1
        heapq.heappush(self._busy, (done_ns, place))
        return place
