"""Features of executions from arrays, compiled: what ran beside each at dispatch, and over its overlap intervals.

intervals of one execution  |  A  |A B|  B  |--|  C  |     "--": nobody, shorter than coalesce_ns
steps of the average           R0   1    2         3       it is left out; had B come back, neighbours would merge
"""

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.compiled import compiled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@compiled
def combined(others: Ints, code: Ints, throughputs: Floats, metric: int, by_max: bool) -> float:
    """Return one metric of several executions together; NaN if that of any is, 0 if there are none."""
    total = 0.0
    for place in range(len(others)):
        value = throughputs[code[others[place]], metric]
        if not by_max:
            total += value
        elif value > total or np.isnan(value):
            total = value
    return total


@compiled
def _same(one: Ints, other: Ints) -> bool:
    if len(one) != len(other):
        return False
    for place in range(len(one)):  # noqa: SIM110 - numba compiles no generators
        if one[place] != other[place]:
            return False
    return True


@compiled
def over_intervals(
    wanted_first: int,
    wanted_last: int,
    row_offsets: Ints,
    start_ns: Ints,
    end_ns: Ints,
    co_offsets: Ints,
    co_index: Ints,
    code: Ints,
    throughputs: Floats,
    alphas: Floats,
    from_zero: bool,
    coalesce_ns: int,
    by_max: bool,
) -> Floats:
    """Return the first interval's, averaged and time-weighted throughput of co-runners.

    Args:
        wanted_first, wanted_last: Executions that are asked for, as a range of positions.
        row_offsets: Intervals of execution i are row_offsets[i] to row_offsets[i + 1].
        start_ns, end_ns, co_offsets, co_index: Of intervals, as in OverlapIntervals.
        code: Each execution's row of `throughputs`.
        throughputs: Engine x metric; NaN where unknown.

    Returns:
        Feature x execution; features: first, one average for each alpha, weighted, each with all metrics.
    """
    metrics = throughputs.shape[1]
    weighted = (1 + len(alphas)) * metrics
    found = np.zeros((weighted + metrics, wanted_last - wanted_first))
    beside = np.empty(metrics)
    for execution in range(wanted_first, wanted_last):
        column = execution - wanted_first
        first, last = row_offsets[execution], row_offsets[execution + 1] - 1
        span_ns = end_ns[last] - start_ns[first]
        stepped = first
        for row in range(first, last + 1):
            others = co_index[co_offsets[row] : co_offsets[row + 1]]
            duration_ns = end_ns[row] - start_ns[row]
            for metric in range(metrics):
                beside[metric] = combined(others, code, throughputs, metric, by_max)
                found[weighted + metric, column] += duration_ns / span_ns * beside[metric]
            if row == first:
                for metric in range(metrics):
                    found[metric, column] = beside[metric]
                    for place in range(len(alphas)):
                        share = alphas[place] if from_zero else 1.0
                        found[(1 + place) * metrics + metric, column] = share * beside[metric]
                continue
            if row < last and duration_ns < coalesce_ns:
                continue
            if _same(co_index[co_offsets[stepped] : co_offsets[stepped + 1]], others):
                continue
            stepped = row
            for place in range(len(alphas)):
                for metric in range(metrics):
                    at = (1 + place) * metrics + metric
                    found[at, column] = alphas[place] * beside[metric] + (1 - alphas[place]) * found[at, column]
    return found


@compiled
def at_dispatch(
    asked_ns: Ints,
    asked_lane: Ints,
    by_start: Ints,
    start_ns: Ints,
    end_ns: Ints,
    lane: Ints,
    code: Ints,
    throughputs: Floats,
    by_max: bool,
) -> Floats:
    """Return the throughput of what ran on other lanes at each asked time: start_ns <= time < end_ns.

    Args:
        asked_ns: Rising.
        by_start: Positions of the executions in order of start_ns.

    Returns:
        Metric x asked time.
    """
    metrics = throughputs.shape[1]
    found = np.zeros((metrics, len(asked_ns)))
    live = np.empty(len(start_ns), np.int64)
    others = np.empty(len(start_ns), np.int64)
    lively = started = 0
    for column in range(len(asked_ns)):
        now = asked_ns[column]
        while started < len(by_start) and start_ns[by_start[started]] <= now:
            live[lively] = by_start[started]
            lively += 1
            started += 1
        kept = beside = 0
        for place in range(lively):
            execution = live[place]
            if end_ns[execution] > now:
                live[kept] = execution
                kept += 1
                if lane[execution] != asked_lane[column]:
                    others[beside] = execution
                    beside += 1
        lively = kept
        for metric in range(metrics):
            found[metric, column] = combined(others[:beside], code, throughputs, metric, by_max)
    return found
