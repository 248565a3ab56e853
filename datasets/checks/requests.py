"""Every request is served exactly once, or says why not; its times follow from the batch that served it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, Flags, Ints, has_mark, mark_count, some
from cotenant.datasets.words import REQUEST_MARKS

OF_A_BATCH = ("batched_ns", "execution_id", "done_ns", "latency_ns")


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare requests with executions, tenants and window."""
    yield from (("requests", fault) for fault in _tenants_and_order(rows))
    outcome = _words(rows, "outcome")
    for name in OF_A_BATCH:
        known = ~np.asarray(rows.requests[name].is_null().to_numpy(), dtype=bool)
        yield from _told(known != (outcome == "served"), f"{name} and the outcome `served` do not go together")
    blocked = ~np.asarray(rows.requests["blocked_ns"].is_null().to_numpy(), dtype=bool)
    yield from _told(blocked != (outcome != "dropped"), "blocked_ns is not null exactly where it was dropped")
    if any(rows.requests[name].filter(pa.array(outcome == "served")).null_count for name in OF_A_BATCH):
        return
    yield from _served(rows, np.flatnonzero(outcome == "served"))
    yield from _marks(rows, outcome == "served")
    yield from _batches(rows)


def _tenants_and_order(rows: ExperimentRows) -> Iterator[str]:
    ids = _ints(rows, "request_id")
    yield from some(ids != np.arange(len(ids)), "request_id does not number 0, 1, 2 ...")
    arrival = _ints(rows, "intended_arrival_ns")
    earlier = np.concatenate((np.zeros(min(1, len(arrival)), bool), arrival[1:] < arrival[:-1]))
    yield from some(earlier, "intended_arrival_ns is before that of the request before it")
    models = dict(zip(rows.experiment["tenants"], rows.experiment["deployed_models"], strict=True))
    pairs = set(zip(_words(rows, "tenant"), _words(rows, "model"), strict=True))
    for tenant, model in sorted(pairs - set(models.items())):
        yield f"tenant {tenant} with model {model} is not deployed"
    windows = [block["window_end_ns"] for block in rows.blocks if block["arm"] == "serving"]
    if len(arrival) and (not windows or arrival[-1] >= max(windows)):
        yield "the last request arrives after the window of serving has closed"


def _served(rows: ExperimentRows, served: Ints) -> Iterator[tuple[str, str]]:
    execution = _ints(rows, "execution_id")[served]
    outside = (execution < 0) | (execution >= rows.executions.num_rows)
    yield from _told(outside, "execution_id is no execution of the experiment")
    if outside.any():
        return
    arrival, batched, done, latency = (
        _ints(rows, name)[served] for name in ("intended_arrival_ns", "batched_ns", "done_ns", "latency_ns")
    )
    other = _words(rows, "tenant")[served] != rows.words("tenant")[execution]
    yield from _told(other, "the execution that served it is another tenant's")
    yield from _told(done != rows.end_ns[execution], "done_ns is not the end of its execution")
    yield from _told(latency != done - arrival, "latency_ns is not done_ns - intended_arrival_ns")
    yield from _told(batched < arrival, "batched_ns is before intended_arrival_ns")
    dispatched = rows.of_executions("dispatched_ns")[execution]
    yield from _told(batched > dispatched, "batched_ns is after its execution was dispatched")
    yield from _told(_ints(rows, "blocked_ns")[served] > batched - arrival, "blocked_ns is longer than it was queued")
    tenant = np.unique(_words(rows, "tenant")[served].astype(str), return_inverse=True)[1]
    order = np.lexsort((served, tenant))
    overtaken = (tenant[order][1:] == tenant[order][:-1]) & (batched[order][1:] < batched[order][:-1])
    yield from _told(overtaken, "a request was batched before an earlier one of its tenant")
    first = np.full(rows.executions.num_rows, np.iinfo(np.int64).max)
    last = np.full(rows.executions.num_rows, np.iinfo(np.int64).min)
    np.minimum.at(first, execution, batched)
    np.maximum.at(last, execution, batched)
    yield from _told((first < last)[execution], "requests of one batch have different batched_ns")


def _marks(rows: ExperimentRows, served: Flags) -> Iterator[tuple[str, str]]:
    starts = [block["window_start_ns"] for block in rows.blocks if block["arm"] == "serving"]
    warmup = _ints(rows, "intended_arrival_ns") < min(starts, default=0)
    yield from _told(
        warmup != has_mark(rows.requests, "warmup"), "the mark `warmup` is not on what arrived before the window"
    )
    done, deadline = (
        np.asarray(rows.requests[name].fill_null(0).to_numpy(), dtype=np.int64) for name in ("done_ns", "deadline_ns")
    )
    has_one = ~np.asarray(rows.requests["deadline_ns"].is_null().to_numpy(), dtype=bool)
    late = served & has_one & (done > deadline)
    yield from _told(
        late != has_mark(rows.requests, "late"), "the mark `late` is not on what was served after its deadline"
    )
    distinct = sum(has_mark(rows.requests, word).astype(np.int64) for word in REQUEST_MARKS)
    yield from _told(mark_count(rows.requests) != distinct, "marks has a word twice")
    allowed = deadline - _ints(rows, "intended_arrival_ns")
    for tenant in np.unique(_words(rows, "tenant").astype(str)):
        own = _words(rows, "tenant") == tenant
        if len(np.unique(np.where(has_one, allowed, -1)[own])) > 1:
            yield "requests", f"deadline_ns of tenant {tenant} is not at one distance from intended_arrival_ns"


def _batches(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Executions of serving hold as many requests as were served by them; all others are full batches."""
    execution = _ints(rows, "execution_id")
    served = np.bincount(execution[execution >= 0], minlength=rows.executions.num_rows)[: rows.executions.num_rows]
    sizes = [rows.small.engines[engine]["batch_size"] for engine in rows.measured.engine_ids]
    size = np.array(sizes, dtype=np.int64)[rows.measured.engine_index]
    serves = np.array([block["arm"] == "serving" for block in rows.blocks], dtype=bool)[rows.measured.block_index]
    count = rows.of_executions("request_count")
    wrong = np.where(serves, count != served, (count != size) | (served > 0))
    yield from (("executions", fault) for fault in some(wrong, "request_count is not what it served"))
    too_many = (count > size) | (count < 1)
    yield from (("executions", fault) for fault in some(too_many, "request_count does not fit its engine's batch"))


def _ints(rows: ExperimentRows, name: str) -> Ints:
    """Return an integer column of requests; -1 where it is null."""
    return np.asarray(rows.requests[name].fill_null(-1).to_numpy(), dtype=np.int64)


def _words(rows: ExperimentRows, name: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.asarray(rows.requests[name].cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)


def _told(wrong: Flags, what: str) -> Iterator[tuple[str, str]]:
    yield from (("requests", fault) for fault in some(np.asarray(wrong, dtype=bool), what))


CHECK = ExperimentCheck("requests", run)
