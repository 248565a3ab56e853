"""Who ran beside whom, from when to when: one exact sweep over all starts and ends.

    lane 0  |----- 0 -----|--- 2 ---|
    lane 1      |---- 1 ----|
    stamps  ^   ^         ^ ^       ^
    rows of 0:  {} {1}    rows of 1: {0} {2}    rows of 2: {1} {}

Executions are half-open [start, end) and longer than 0 ns; ends sort before starts at ties. A row is a maximal stretch
of an execution in which the set of the others does not change. Between two distinct stamps inside an execution's span
somebody else started or ended, so no two neighbours have equal sets: that is why nothing needs merging.

The first pass numbers the distinct stamps; an execution has as many rows as stamps from its start to its end, which
gives each its place in the result. The second pass fills them in. Both are linear after two sorts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.compiled import compiled

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OverlapIntervals:
    """Overlap intervals sorted by (execution_index, interval_index); int64 unless said.

    Attributes:
        execution_index: Position of the interval's execution in the input.
        interval_index: 0, 1, 2 ... within its execution, by time (int32).
        start_ns, end_ns: Half-open.
        co_count: How many others ran (int32).
        co_offsets: The others of row r are co_index[co_offsets[r]:co_offsets[r + 1]]; one longer than the rows.
        co_index: Their positions in the input, rising within a row.
    """

    execution_index: Ints
    interval_index: NDArray[np.int32]
    start_ns: Ints
    end_ns: Ints
    co_count: NDArray[np.int32]
    co_offsets: Ints
    co_index: Ints

    def __len__(self) -> int:
        return len(self.start_ns)


def overlap_intervals(start_ns: Ints, end_ns: Ints) -> OverlapIntervals:
    """Return every execution's overlap intervals; executions may come in any order, on any number of lanes.

    Raises:
        ValueError: Starts and ends differ in number, or an execution does not end after it starts.
    """
    start_ns = np.ascontiguousarray(start_ns, dtype=np.int64)
    end_ns = np.ascontiguousarray(end_ns, dtype=np.int64)
    if start_ns.shape != end_ns.shape or start_ns.ndim != 1:
        raise ValueError(f"{start_ns.shape} starts against {end_ns.shape} ends")
    wrong = np.flatnonzero(end_ns <= start_ns)
    if len(wrong):
        raise ValueError(f"execution {wrong[0]} does not end after it starts; {len(wrong)} such executions")
    by_start, by_end = _order(start_ns), _order(end_ns)
    stamps, first, last, others, live_max = _number_stamps(start_ns, end_ns, by_start, by_end)
    filled = _fill(by_start, by_end, first, last, stamps, _offsets(last - first), _offsets(others), live_max)
    return OverlapIntervals(*filled)


def _order(stamps: Ints) -> Ints:
    if np.all(stamps[1:] >= stamps[:-1]):
        return np.arange(len(stamps), dtype=np.int64)
    return np.argsort(stamps, kind="stable")


def _offsets(counts: Ints) -> Ints:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


@compiled
def _number_stamps(start_ns: Ints, end_ns: Ints, by_start: Ints, by_end: Ints) -> tuple[Ints, Ints, Ints, Ints, int]:
    """Return the distinct stamps; each execution's first and last one and how many its rows list; the most live."""
    count = len(start_ns)
    stamps = np.empty(2 * count, np.int64)
    first = np.empty(count, np.int64)
    last = np.empty(count, np.int64)
    others = np.empty(count, np.int64)
    started = ended = found = live_max = 0
    listed = 0  # by one that is live from the first stamp on; what others list is a difference of two such
    while ended < count:
        now = end_ns[by_end[ended]]
        if started < count and start_ns[by_start[started]] < now:
            now = start_ns[by_start[started]]
        while ended < count and end_ns[by_end[ended]] == now:
            last[by_end[ended]] = found
            others[by_end[ended]] = listed - others[by_end[ended]]
            ended += 1
        while started < count and start_ns[by_start[started]] == now:
            first[by_start[started]] = found
            others[by_start[started]] = listed
            started += 1
        stamps[found] = now
        found += 1
        listed += started - ended - 1
        live_max = max(live_max, started - ended)
    return stamps[:found], first, last, others, live_max


@compiled
def _fill(
    by_start: Ints,
    by_end: Ints,
    first: Ints,
    last: Ints,
    stamps: Ints,
    row_offsets: Ints,
    co_starts: Ints,
    live_max: int,
) -> tuple[Ints, NDArray[np.int32], Ints, Ints, NDArray[np.int32], Ints, Ints]:
    """Sweep the stamps with the live executions, sorted by position, and write one row for each of them."""
    count, rows = len(first), row_offsets[-1]
    execution_index = np.empty(rows, np.int64)
    interval_index = np.empty(rows, np.int32)
    row_start = np.empty(rows, np.int64)
    row_end = np.empty(rows, np.int64)
    co_count = np.empty(rows, np.int32)
    co_offsets = np.empty(rows + 1, np.int64)
    co_index = np.empty(co_starts[-1], np.int64)
    co_offsets[rows] = co_starts[-1]
    next_co = co_starts.copy()
    live = np.empty(live_max + 1, np.int64)
    lively = started = ended = 0
    for stamp in range(len(stamps) - 1):
        while ended < count and last[by_end[ended]] == stamp:
            place = 0
            while live[place] != by_end[ended]:
                place += 1
            lively -= 1
            for moved in range(place, lively):
                live[moved] = live[moved + 1]
            ended += 1
        while started < count and first[by_start[started]] == stamp:
            place = lively
            while place > 0 and live[place - 1] > by_start[started]:
                live[place] = live[place - 1]
                place -= 1
            live[place] = by_start[started]
            lively += 1
            started += 1
        for own in range(lively):
            execution = live[own]
            interval = stamp - first[execution]
            row = row_offsets[execution] + interval
            execution_index[row] = execution
            interval_index[row] = interval
            row_start[row] = stamps[stamp]
            row_end[row] = stamps[stamp + 1]
            co_count[row] = lively - 1
            at = next_co[execution]
            co_offsets[row] = at
            for other in range(lively):
                if other != own:
                    co_index[at] = live[other]
                    at += 1
            next_co[execution] = at
    return execution_index, interval_index, row_start, row_end, co_count, co_offsets, co_index
