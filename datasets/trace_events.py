"""Events of the JSON trace event format, as lines of text: times in us with three decimals, so that they are exact ns.

Viewers read times as 64-bit floats: they count from the first stamp (`origin_ns`), where those are exact to the ns.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
WINDOWS, LANES, TENANTS = 1, 2, 10  # process ids: of windows and counters, of lanes, of the first tenant
PLACES = 100_000  # thread ids apart: viewers take one id for one thread, whatever its process, and 0 for an idle one
NOT_SERVED = PLACES - 2  # a tenant's track of requests that were not served; no queue is as long


def microseconds(time_ns: int) -> str:
    """Return ns as a JSON number of us that loses nothing."""
    return f"{time_ns // 1000}.{time_ns % 1000:03d}"


def thread_id(process_id: int, place: int) -> int:
    """Return the id of a track by its place within a process."""
    return process_id * PLACES + place + 1


def event(
    phase: str,
    name: str,
    track: tuple[int, int],
    start_ns: int,
    duration_ns: int | None = None,
    args: Mapping[str, Any] | None = None,
    more: str = "",
) -> str:
    """Return one event; `track` is (process id, place in it), `more` further members as text."""
    duration = "" if duration_ns is None else f',"dur":{microseconds(duration_ns)}'
    told = "" if args is None else f',"args":{_json(args)}'
    head = f'{{"ph":"{phase}","name":{_json(name)},"pid":{track[0]},"tid":{thread_id(*track)}'
    return f'{head},"ts":{microseconds(start_ns)}{duration}{more}{told}}}'


def names(process_id: int, process: str, tracks: Mapping[int, str]) -> Iterator[str]:
    """Yield what names a process and its tracks (place -> name)."""
    yield _metadata("process_name", process_id, 0, {"name": process})
    yield _metadata("process_sort_index", process_id, 0, {"sort_index": process_id})
    for place, name in tracks.items():
        yield _metadata("thread_name", process_id, place, {"name": name})
        yield _metadata("thread_sort_index", process_id, place, {"sort_index": place})


def counters(name: str, times_ns: Ints, values: Sequence[Any], origin_ns: int, key: str) -> Iterator[str]:
    """Yield a counter's samples."""
    for time_ns, value in zip(times_ns.tolist(), values, strict=True):
        yield event("C", name, (WINDOWS, 0), time_ns - origin_ns, args={key: value})


def level(rises_ns: Ints, falls_ns: Ints) -> tuple[Ints, Ints]:
    """Return (times, how many there are from then on): each rise adds one, each fall takes one away."""
    times = np.concatenate([rises_ns, falls_ns])
    steps = np.concatenate([np.ones(len(rises_ns), np.int64), -np.ones(len(falls_ns), np.int64)])
    distinct, place = np.unique(times, return_inverse=True)
    changes = np.zeros(len(distinct), np.int64)
    np.add.at(changes, place, steps)
    counts = np.cumsum(changes)
    kept = changes != 0
    return distinct[kept], counts[kept]


def executions(rows: pa.Table, labels: Mapping[str, str], origin_ns: int) -> Iterator[str]:
    """Yield a slice on its lane for each execution."""
    for row in rows.to_pylist():
        label = labels.get(row["engine_id"], row["engine_id"])
        args = {"engine": label, **row}
        track = (LANES, row["lane"])
        more = f',"cat":{_json(row["role"])}'
        yield event("X", label, track, row["start_ns"] - origin_ns, row["span_ns"], args, more)


def windows(blocks: Sequence[Mapping[str, Any]], origin_ns: int) -> Iterator[str]:
    """Yield a slice for the window of each block."""
    for row in blocks:
        name = f"{row['arm']} {', '.join(row['tenants'])}"
        args = {key: row[key] for key in ("block_index", "quad_index", "arm", "tenants", "execution_count")}
        yield event("X", name, (WINDOWS, 0), row["window_start_ns"] - origin_ns, row["window_ns"], args)


def served(row: Mapping[str, Any], track: tuple[int, int], lane: int, start_ns: int, origin_ns: int) -> Iterator[str]:
    """Yield a request's slice, and an arrow from where its batch was formed to the next slice of the lane.

    That slice must come later in the file: viewers bind the arrow's end to what they see next at that time.
    """
    arrived_ns = row["intended_arrival_ns"]
    flow = f',"cat":"batch","id":{row["request_id"]}'
    yield event("X", "request", track, arrived_ns - origin_ns, row["done_ns"] - arrived_ns, row)
    yield event("s", "batch", track, row["batched_ns"] - origin_ns, more=flow)
    yield event("f", "batch", (LANES, lane), start_ns - origin_ns, more=flow)


def not_served(row: Mapping[str, Any], process_id: int, origin_ns: int) -> str:
    """Return an instant for a request that was dropped or is unfinished."""
    at_ns = row["intended_arrival_ns"] - origin_ns
    return event("i", row["outcome"], (process_id, NOT_SERVED), at_ns, args=row, more=',"s":"t"')


def _metadata(name: str, process_id: int, place: int, args: Mapping[str, Any]) -> str:
    return f'{{"ph":"M","name":"{name}","pid":{process_id},"tid":{thread_id(process_id, place)},"args":{_json(args)}}}'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
