"""Numbers out of stamps: pure arithmetic on lists, with the standard library alone."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypedDict

COVERAGE = 0.95


class Summary(TypedDict):
    """How a list of ns is spread; None where it is empty, or its mean is 0."""

    count: int
    min_ns: int | None
    p05_ns: int | None
    p50_ns: int | None
    p95_ns: int | None
    max_ns: int | None
    cv_ratio: float | None


class Interval(NamedTuple):
    """Bounds of a median; None where there are too few values for them."""

    low: float | None
    high: float | None


class Comparison(TypedDict):
    """Ours against theirs, block by block in turn."""

    ratio: float
    low_ratio: float | None
    high_ratio: float | None
    block_count: int


def summary(values_ns: Sequence[int]) -> Summary:
    """Return how values are spread; percentiles are values that occurred (nearest rank)."""
    ranked = sorted(values_ns)
    if not ranked:
        return Summary(count=0, min_ns=None, p05_ns=None, p50_ns=None, p95_ns=None, max_ns=None, cv_ratio=None)
    mean = statistics.fmean(ranked)
    return Summary(
        count=len(ranked),
        min_ns=ranked[0],
        p05_ns=percentile(ranked, 5),
        p50_ns=percentile(ranked, 50),
        p95_ns=percentile(ranked, 95),
        max_ns=ranked[-1],
        cv_ratio=round(statistics.pstdev(ranked) / abs(mean), 6) if mean else None,
    )


def percentile(ranked: Sequence[int], percent: float) -> int:
    """Return the value at the nearest rank of a sorted list that is not empty."""
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def gaps_ns(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return the times between one execution's end and the next one's start, in order of start."""
    ordered = sorted(spans)
    return [start - end for (_, end), (start, _) in pairwise(ordered)]


def overlap_ns(first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]]) -> int:
    """Return for how long an execution of each of two lanes ran at once; those of one lane never overlap."""
    shared = ((max(a, c), min(b, d)) for a, b in first for c, d in second)
    return sum(end - start for start, end in shared if end > start)


def gain_ratio(solo_ns: Sequence[float], makespan_ns: float) -> float:
    """Return what executions would take one after the other over what they took together: 1 = nothing gained."""
    return sum(solo_ns) / makespan_ns


def median_interval(values: Sequence[float], coverage: float = COVERAGE) -> Interval:
    """Return bounds of the median of independent values by order statistics, whatever their distribution."""
    ranked, count = sorted(values), len(values)
    below = 0.0  # probability that at most `rank` of the values lie below the median
    chosen: int | None = None
    for rank in range(count // 2):
        below += math.comb(count, rank) / 2**count
        if 2 * below > 1 - coverage:
            break
        chosen = rank
    return Interval(None, None) if chosen is None else Interval(ranked[chosen], ranked[count - 1 - chosen])


def compare(ours: Sequence[Sequence[int]], theirs: Sequence[Sequence[int]]) -> Comparison:
    """Return the ratio of all medians, with bounds from the ratios of neighbouring blocks; none may be empty."""
    if len(ours) != len(theirs) or not all(ours) or not all(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} blocks, none of which may be empty")
    ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(ours, theirs, strict=True)]
    bounds = median_interval(ratios)
    return Comparison(
        ratio=_median_of_all(ours) / _median_of_all(theirs),
        low_ratio=bounds.low,
        high_ratio=bounds.high,
        block_count=len(ratios),
    )


def _median_of_all(blocks: Sequence[Sequence[int]]) -> float:
    return statistics.median(value for block in blocks for value in block)
