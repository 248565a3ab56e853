"""The requests table of one serving run, from its log: what became of every request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cotenant.datasets.raw_siblings import RAW_REQUESTS, WORDS
from cotenant.profiler.serving.batching import ready_ns
from cotenant.profiler.serving.blocking import Held, batches_of_queue, blocked_ns
from cotenant.profiler.serving.deployment import TenantRules
from cotenant.profiler.serving.log import NOT_BATCHED, ServingLog

SERVED, UNFINISHED, DROPPED = 0, 1, 2
OUTCOMES = ("served", "unfinished", "dropped")
LAGGED, LATE, WARMUP = "lagged", "late", "warmup"


@dataclass(frozen=True)
class RequestWindow:
    """How requests are numbered and marked: batch i is execution first_execution_id + i."""

    start_ns: int
    first_execution_id: int
    lag_max_ns: int


def requests_table(
    log: ServingLog, tenants: Sequence[TenantRules], concurrency: int, window: RequestWindow
) -> pa.Table:
    """Return one row per request, RAW_REQUESTS.

    Null: what a request that was not batched does not have, `blocked_ns` of dropped ones, `deadline_ns` without one.
    """
    arrival, tenant, batch = (np.array(each, np.int64) for each in (log.arrival_ns, log.request_tenant, log.batch_of))
    outcome = outcomes(log)
    is_open = outcome != SERVED
    end = _of_batch(log.end, batch)
    allowed = np.array([-1 if each.deadline_ns is None else each.deadline_ns for each in tenants], np.int64)[tenant]
    marks = {
        LAGGED: np.array(log.lag_ns, np.int64) > window.lag_max_ns,
        LATE: (allowed >= 0) & (outcome == SERVED) & (end - arrival > allowed),
        WARMUP: arrival < window.start_ns,
    }
    columns = [
        np.arange(len(arrival)),
        words_of(tenant, [each.name for each in tenants]),
        words_of(tenant, [each.model for each in tenants]),
        arrival,
        pa.array(_of_batch(log.batched_ns, batch), mask=is_open),
        pa.array(batch + window.first_execution_id, mask=is_open),
        pa.array(end, mask=is_open),
        pa.array(end - arrival, mask=is_open),
        pa.array(_blocked(log, tenants, concurrency, outcome), mask=outcome == DROPPED),
        pa.array(arrival + allowed, mask=allowed < 0),
        words_of(outcome, OUTCOMES),
        _mark_lists(marks),
    ]
    return pa.Table.from_arrays([pa.array(each) for each in columns], schema=RAW_REQUESTS)


def outcomes(log: ServingLog) -> NDArray[np.int64]:
    """Return each request's outcome, as its place in OUTCOMES."""
    found = np.where(np.array(log.batch_of, np.int64) == NOT_BATCHED, UNFINISHED, SERVED)
    found[log.dropped] = DROPPED
    return found


def _blocked(
    log: ServingLog, tenants: Sequence[TenantRules], concurrency: int, outcome: NDArray[np.int64]
) -> NDArray[np.int64]:
    arrival, tenant, batch = (np.array(each, np.int64) for each in (log.arrival_ns, log.request_tenant, log.batch_of))
    ready = np.full(len(arrival), log.end_ns, np.int64)
    for requests in _batches(log, tenants, outcome):
        rules = tenants[log.request_tenant[requests[0]]]
        ready[requests] = ready_ns([log.arrival_ns[each] for each in requests], rules.max_batch, rules.wait_ns)
    left = np.where(batch == NOT_BATCHED, log.end_ns, _of_batch(log.batched_ns, batch))
    held = Held(*(np.array(each, np.int64) for each in (log.tenant, log.dispatched_ns, log.end)))
    return blocked_ns(held, concurrency, tenant, np.maximum(arrival, ready), left, len(tenants))


def _batches(log: ServingLog, tenants: Sequence[TenantRules], outcome: NDArray[np.int64]) -> list[Sequence[int]]:
    """Return the requests of every batch, and of those that the queues left at the end would have made."""
    batches: list[list[int]] = [[] for _ in log.tenant]
    queued: list[list[int]] = [[] for _ in tenants]
    for request, batch in enumerate(log.batch_of):
        if batch != NOT_BATCHED:
            batches[batch].append(request)
        elif outcome[request] == UNFINISHED:
            queued[log.request_tenant[request]].append(request)
    rest = [part for own, rules in zip(queued, tenants, strict=True) for part in batches_of_queue(own, rules.max_batch)]
    return [*batches, *rest]


def _of_batch(values: list[int], batch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each request's batch's value; anything where it was not batched."""
    return np.array([*values, 0], np.int64)[batch]


def words_of(index: Any, words: Sequence[str]) -> pa.DictionaryArray:
    """Return words by their places; equal words (two tenants' model) become one."""
    unique = list(dict.fromkeys(words))
    place = np.array([unique.index(word) for word in words], np.int32)
    return pa.DictionaryArray.from_arrays(place[np.asarray(index, np.int64)], pa.array(unique, pa.string()))


def _mark_lists(marks: dict[str, NDArray[np.bool_]]) -> pa.ListArray:
    """Return each row's marks, sorted; `marks` must be in order of the words."""
    table = np.stack(list(marks.values()), axis=1)
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(table.sum(axis=1))))
    words = words_of(np.nonzero(table)[1], list(marks))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), words).cast(WORDS)
