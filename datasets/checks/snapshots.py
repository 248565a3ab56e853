"""What is stored as known at dispatch was so: who was in flight, how many requests were queued, since when.

t's requests that had arrived (dropped ones aside)   1 2 3 4 5 6
of these, in batches up to this one                  1 2 3
queued                                                     4 5 6    its age counts from the arrival of 4
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, Ints, some
from cotenant.datasets.words import ARMS

PER_TENANT = ("queued_count", "queue_age_ns", "arrival_items_per_s")
COLUMNS = ("in_flight_execution_ids", "remaining_solo_ns", *PER_TENANT)
NONE = -1


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Look at batches of requests; of all other executions nothing is known at dispatch."""
    yield from (("executions", fault) for fault in _faults(rows))


def _faults(rows: ExperimentRows) -> Iterator[str]:
    is_open = np.array([ARMS[block["arm"]].open_loop for block in rows.blocks], dtype=bool)[rows.measured.block_index]
    sound = True
    for name in COLUMNS:
        known = ~np.asarray(rows.executions[name].is_null().to_numpy(), dtype=bool)
        if np.any(known & ~is_open) or (known.any() and np.any(is_open & ~known)):
            yield f"{name} is not known for batches of requests, or known for others"
            sound = False
        sound = sound and bool(known.any())
    if not sound:
        return
    own = np.flatnonzero(is_open)
    lists = {name: rows.executions[name].take(pa.array(own)).combine_chunks() for name in COLUMNS}
    length = {name: pc.list_value_length(found).to_numpy() for name, found in lists.items()}
    wrong = length["remaining_solo_ns"] != length["in_flight_execution_ids"]
    for name in PER_TENANT:
        wrong |= length[name] != len(rows.experiment["tenants"])
    yield from some(wrong, "lists of what was known at dispatch differ in length")
    if not wrong.any():
        yield from _in_flight(rows, own, lists["in_flight_execution_ids"])
        yield from _queues(rows, own, lists)


def _in_flight(rows: ExperimentRows, own: Ints, listed: pa.ListArray) -> Iterator[str]:
    """Compare with stamps; the host may not have noticed yet that a listed one had ended."""
    dispatched_ns = rows.of_executions("dispatched_ns")
    edges = listed.offsets.to_numpy()
    ids = listed.values.to_numpy()
    running: list[int] = []
    for place, execution in enumerate(own.tolist()):
        running = [other for other in running if rows.end_ns[other] > dispatched_ns[execution]]
        told = ids[edges[place] : edges[place + 1]].tolist()
        if (
            not set(running) <= set(told)
            or len(set(told)) != len(told)
            or any(not own[0] <= i < execution for i in told)
        ):
            yield f"in_flight_execution_ids of execution {execution} are {told}, {running} had not ended"
            return
        running.append(execution)


def _queues(rows: ExperimentRows, own: Ints, lists: dict[str, pa.ListArray]) -> Iterator[str]:
    requests = rows.requests
    tenant, outcome = (requests[name].cast(pa.string()).to_numpy() for name in ("tenant", "outcome"))
    arrival = requests["intended_arrival_ns"].to_numpy()
    execution = requests["execution_id"].fill_null(NONE).to_numpy()
    batched = requests["batched_ns"].fill_null(NONE).to_numpy()
    place = np.full(rows.executions.num_rows, NONE)
    place[own] = np.arange(len(own))
    of_batch = np.where((execution >= 0) & (execution < len(place)), place[np.clip(execution, 0, len(place) - 1)], NONE)
    now = np.zeros(len(own), np.int64)
    now[of_batch[of_batch >= 0]] = batched[of_batch >= 0]
    for index, name in enumerate(rows.experiment["tenants"]):
        mine = (tenant == name) & (outcome != "dropped")
        taken = np.cumsum(np.bincount(of_batch[mine & (of_batch >= 0)], minlength=len(own)))
        queued = np.searchsorted(arrival[mine], now, side="right") - taken
        told = lists["queued_count"].values.to_numpy()[index :: len(rows.experiment["tenants"])]
        yield from some(told != queued, f"queued_count of tenant {name} is not what its requests say")
        oldest = np.append(arrival[mine], 0)[np.minimum(taken, mine.sum())]
        ages = lists["queue_age_ns"].values[index :: len(rows.experiment["tenants"])].fill_null(NONE).to_numpy()
        expected = np.where(queued > 0, now - oldest, NONE)
        yield from some(ages != expected, f"queue_age_ns of tenant {name} is not what its requests say")


CHECK = ExperimentCheck("snapshots", run)
