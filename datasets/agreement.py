"""How far two lists of numbers of the same things agree: in their order, and by what factor."""

import math
from collections.abc import Sequence

import numpy as np

from cotenant.datasets.statistics import Interval, percentile_bounds, resample_counts

ALPHA = 0.05


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, equal values sharing their mean rank; None where one side has no order."""
    ranks = [_ranks(values) for values in (first, second)]
    means = [math.fsum(own) / len(own) for own in ranks]
    off = [[rank - mean for rank in own] for own, mean in zip(ranks, means, strict=True)]
    spread = math.sqrt(math.prod(math.fsum(each * each for each in own) for own in off))
    if spread == 0:
        return None
    return max(-1.0, min(1.0, math.fsum(a * b for a, b in zip(*off, strict=True)) / spread))


def median_ratio(first: Sequence[float], second: Sequence[float], seed: int) -> Interval:
    """Return the median of first over second, pair by pair where second is above 0; bounds resample the pairs."""
    ratios = np.array([a / b for a, b in zip(first, second, strict=True) if b > 0])
    if not len(ratios):
        return Interval(None, None, None)
    value = float(np.median(ratios))
    if len(ratios) < 2:
        return Interval(value, None, None)
    counts = resample_counts(len(ratios), seed)
    medians = np.array([np.median(np.repeat(ratios, drawn)) for drawn in counts])
    bounds = percentile_bounds(medians, ALPHA)
    return Interval(value, *(bounds or (None, None)))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank, counted from 0."""
    ordered = sorted(values)
    first: dict[float, int] = {}
    last: dict[float, int] = {}
    for place, value in enumerate(ordered):
        first.setdefault(value, place)
        last[value] = place
    return [(first[value] + last[value]) / 2 for value in values]
