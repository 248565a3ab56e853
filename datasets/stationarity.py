"""Has a run settled? Where its start is to be cut (MSER-5), and whether both halves of the rest have the same tail.

    queue and live count   ,-'"--..-'--.-''-.--'-.-     averaged over bins of equal length
    MSER-5                 |cut|                        the cut after which the mean is known best
    p95 of each half           [-- first --|-- second --)   their intervals overlap, or the run is not stationary

MSER: White, "An effective truncation heuristic for bias reduction in simulation output" (1997); MSER-5 batches five
observations. A mean-based cut does not settle quantiles, hence the halves.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.statistics import Interval, mean_interval

BATCH = 5
BATCHES_OF_HALF = 8
TAIL_PCT = 95

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """Where a series has settled.

    Attributes:
        observations: How many at the start are to be left out, a multiple of five.
        settled: False if the best cut is the latest that was allowed (half of the series), so that none can be trusted.
    """

    observations: int
    settled: bool


def mser5_cut(values: Ints) -> Cut:
    """Return the MSER-5 cut of a series of whole numbers: exact, so the same on every machine.

    Of the means of five observations (a rest at the end is left out), the cut d up to half of their number n minimises
    sum over j >= d of (Y_j - mean)^2 / (n - d)^2; the earliest of equals. Too short a series (below 10) is not settled.
    """
    count = len(values) // BATCH
    if count < 2:
        return Cut(0, False)
    sums = np.asarray(values[: count * BATCH]).reshape(count, BATCH).sum(axis=1).tolist()
    best, best_at = _statistic(sums, 0, *_moments(sums, 0)), 0
    total, squares = _moments(sums, 0)
    for cut in range(1, count // 2 + 1):
        total -= sums[cut - 1]
        squares -= sums[cut - 1] ** 2
        found = _statistic(sums, cut, total, squares)
        if found < best:
            best, best_at = found, cut
    return Cut(best_at * BATCH, best_at < count // 2)


def _moments(sums: list[int], cut: int) -> tuple[int, int]:
    return sum(sums[cut:]), sum(value * value for value in sums[cut:])


def _statistic(sums: list[int], cut: int, total: int, squares: int) -> Fraction:
    left = len(sums) - cut
    return Fraction(left * squares - total * total, left**3)


def bin_edges(start_ns: int, end_ns: int, bins: int) -> Ints:
    """Return the edges of `bins` bins of equal length (to one ns) over [start_ns, end_ns)."""
    return start_ns + np.arange(bins + 1, dtype=np.int64) * (end_ns - start_ns) // bins


def level_integrals(stamps_ns: Ints, steps: Ints, edges_ns: Ints) -> Ints:
    """Return a level's integral (its units x ns) over each bin; it is 0 at first and changes by its steps at stamps.

    Stamps need no order.
    """
    order = np.argsort(stamps_ns, kind="stable")
    since_ns = stamps_ns[order] - edges_ns[0]
    step = steps[order]
    level = np.concatenate((np.zeros(1, np.int64), np.cumsum(step)))
    moment = np.concatenate((np.zeros(1, np.int64), np.cumsum(step * since_ns)))
    upto = edges_ns - edges_ns[0]
    place = np.searchsorted(since_ns, upto, side="right")
    integrals: Ints = np.diff(level[place] * upto - moment[place])
    return integrals


@dataclass(frozen=True)
class Halves:
    """A p95 in the first and the second half of a window.

    Attributes:
        agree: Whether the intervals overlap; None if a half has too few values for one.
    """

    first: Interval
    second: Interval
    agree: bool | None


def p95_halves(at_ns: Ints, values: Ints, start_ns: int, end_ns: int, alpha: float) -> Halves:
    """Compare the p95 of `values`, which happened at `at_ns`, between the halves of [start_ns, end_ns).

    Neighbouring values depend on each other, so that each half is cut into eight stretches; their p95s have a mean with
    Student t bounds at confidence 1 - alpha. Stretches without values are left out; below two there are no bounds.
    """
    edges = bin_edges(start_ns, end_ns, 2 * BATCHES_OF_HALF)
    place = np.searchsorted(edges, at_ns, side="right") - 1
    parts = [values[place == index] for index in range(2 * BATCHES_OF_HALF)]
    tails = [[_tail(part) for part in half if len(part)] for half in (parts[:BATCHES_OF_HALF], parts[BATCHES_OF_HALF:])]
    first, second = (mean_interval(each, alpha) for each in tails)
    return Halves(first, second, _overlap(first, second))


def _tail(values: Ints) -> float:
    """Return the 95th percentile: the smallest value that at least 95 % do not exceed."""
    return float(np.sort(values)[-(-len(values) * TAIL_PCT // 100) - 1])


def _overlap(first: Interval, second: Interval) -> bool | None:
    if first.lower is None or first.upper is None or second.lower is None or second.upper is None:
        return None
    return first.lower <= second.upper and second.lower <= first.upper
