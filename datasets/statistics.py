"""Intervals for means and quantiles, without scipy and the same to the last bit on every machine.

Sums are `math.fsum`, random numbers come straight from a bit generator (whose stream numpy guarantees), so that a
dataset derived twice is byte-identical.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cotenant.models.digest import sha256_of

Spans = NDArray[np.int64]

RESAMPLES = 2000  # bounds at alpha/2 = 0.8 % then rest on 16 resamples each
BISECTED_MAX = 1 << 24  # values x groups that a bisection may hold counts of: 128 MiB
FRACTION_STEPS_MAX = 1000
FRACTION_PRECISION = 1e-16
TINY = 1e-300


@dataclass(frozen=True)
class Interval:
    """A value with its bounds; a part that cannot be told is None."""

    value: float | None
    lower: float | None
    upper: float | None


def mean_interval(values: Sequence[float], alpha: float) -> Interval:
    """Return the mean with Student t bounds at confidence 1 - alpha; no bounds below two values."""
    count = len(values)
    if count == 0:
        return Interval(None, None, None)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, None, None)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = student_t_quantile(1 - alpha / 2, count - 1) * math.sqrt(variance / count)
    return Interval(mean, mean - half, mean + half)


@lru_cache(maxsize=1024)
def student_t_quantile(probability: float, degrees_of_freedom: int) -> float:
    """Return the quantile of Student's t distribution."""
    if not 0 < probability < 1 or degrees_of_freedom < 1:
        raise ValueError(f"no t quantile at probability {probability} with {degrees_of_freedom} degrees of freedom")
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -student_t_quantile(1 - probability, degrees_of_freedom)
    tail = 1 - probability
    low, high = 0.0, max(1.0, NormalDist().inv_cdf(probability))
    while _upper_tail(high, degrees_of_freedom) > tail:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        if _upper_tail(middle, degrees_of_freedom) > tail:
            low = middle
        else:
            high = middle
    return high


def _upper_tail(t: float, degrees: int) -> float:
    return 0.5 * _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front * _beta_fraction(a, b, x) / a


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction 1/(1 + d1/(1 + d2/(1 + ...))) from the front (modified Lentz)."""
    ratio_c, ratio_d, value = 1.0, 0.0, 1.0
    for step in range(FRACTION_STEPS_MAX):
        m = step // 2
        if step == 0:
            coefficient = 1.0
        elif step % 2 == 0:
            coefficient = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            coefficient = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        ratio_d = 1 / ((1 + coefficient * ratio_d) or TINY)
        ratio_c = (1 + coefficient / ratio_c) or TINY
        value *= ratio_c * ratio_d
        if step and abs(ratio_c * ratio_d - 1) < FRACTION_PRECISION:
            break
    return value - 1


def seed_of(*parts: str | int) -> int:
    """Return a seed that depends on the parts alone."""
    return int(sha256_of(list(parts))[:16], 16)


def resample_counts(group_count: int, seed: int, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Return how often each group is drawn in each bootstrap resample, shape (resamples, groups)."""
    raw = np.random.PCG64(seed).random_raw(resamples * group_count)
    drawn = (np.asarray(raw, dtype=np.uint64) % np.uint64(group_count)).astype(np.int64).reshape(resamples, group_count)
    flat = drawn + np.arange(resamples, dtype=np.int64)[:, None] * group_count
    return np.bincount(flat.ravel(), minlength=resamples * group_count).reshape(resamples, group_count)


def resampled_quantiles(
    groups: Sequence[Spans], probability: float, counts: NDArray[np.int64], bisected_max: int = BISECTED_MAX
) -> NDArray[np.float64]:
    """Return the quantile (linear between ranks, as numpy's) of each resample of whole groups; NaN if it is empty.

    A resample's sorted values are never made: its value of a rank is the least that has more than so many at or below
    it, which a bisection over all values finds from each group's count of them. Those counts grow with the square of
    the number of groups: of very many, each resample is summed up instead.
    """
    values = np.sort(np.concatenate(groups))
    totals = counts @ np.array([len(group) for group in groups], dtype=np.int64)
    position = np.maximum(totals - 1, 0) * probability
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(totals - 1, 0))
    if len(values) * len(groups) > bisected_max:
        low, high = _summed(groups, values, counts, below, above)
    else:
        at_or_below = np.stack([np.searchsorted(np.sort(group), values, side="right") for group in groups], axis=1)
        low, high = (_of_rank(values, at_or_below, counts, rank) for rank in (below, above))
    found = low + (high - low) * (position - below)
    return np.where(totals > 0, found, np.nan)


def _summed(
    groups: Sequence[Spans], values: Spans, counts: NDArray[np.int64], *ranks: NDArray[np.int64]
) -> list[Spans]:
    """Return each resample's values of the ranks, counted from 0, one resample at a time."""
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    owner = owner[np.argsort(np.concatenate(groups), kind="stable")]
    places = np.zeros((len(ranks), len(counts)), np.int64)
    for row, drawn in enumerate(counts):
        places[:, row] = np.searchsorted(np.cumsum(drawn[owner]), [rank[row] for rank in ranks], side="right")
    return [values[np.minimum(place, len(values) - 1)] for place in places]


def _of_rank(values: Spans, at_or_below: NDArray[np.int64], counts: NDArray[np.int64], rank: Spans) -> Spans:
    """Return each resample's value of its rank, counted from 0."""
    low = np.zeros(len(counts), np.int64)
    high = np.full(len(counts), len(values) - 1, np.int64)
    while np.any(low < high):
        middle = (low + high) // 2
        enough = (counts * at_or_below[middle]).sum(axis=1) > rank
        low, high = np.where(enough, low, np.minimum(middle + 1, high)), np.where(enough, middle, high)
    return values[low]


def percentile_bounds(replicates: NDArray[np.float64], alpha: float) -> tuple[float, float] | None:
    """Return the bootstrap's percentile bounds; None where no resample had a value."""
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return None
    lower, upper = np.quantile(known, [alpha / 2, 1 - alpha / 2])
    return float(lower), float(upper)


def quantile_bounds(groups: Sequence[Spans], probability: float, alpha: float, seed: int) -> tuple[float, float] | None:
    """Return block-bootstrap bounds of a quantile: whole groups are resampled; None below two groups with values."""
    filled = [group for group in groups if len(group)]
    if len(filled) < 2:
        return None
    counts = resample_counts(len(filled), seed)
    return percentile_bounds(resampled_quantiles(filled, probability, counts), alpha)
