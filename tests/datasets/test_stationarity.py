"""Where a start is cut, how levels are averaged, and when two halves are the same."""

import math
from fractions import Fraction
from itertools import pairwise
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cotenant.datasets.stationarity import Cut, bin_edges, level_integrals, mser5_cut, p95_halves


def brute_mser5(values: list[int]) -> tuple[int, bool]:
    """Return the cut by the definition: means of five, the mean squared deviation of the rest over its length."""
    means = [Fraction(sum(values[i : i + 5]), 5) for i in range(0, len(values) - 4, 5)]
    count = len(means)
    if count < 2:
        return 0, False
    statistics = []
    for cut in range(count // 2 + 1):
        rest = means[cut:]
        centre = sum(rest) / len(rest)
        statistics.append(sum((each - centre) ** 2 for each in rest) / len(rest) ** 2)
    best = statistics.index(min(statistics))
    return 5 * best, best < count // 2


@given(st.lists(st.integers(-(10**15), 10**15), max_size=120))
@settings(max_examples=200, deadline=None)
def test_the_cut_is_that_of_the_definition(values: list[int]) -> None:
    found = mser5_cut(np.array(values, np.int64))
    assert (found.observations, found.settled) == brute_mser5(values)


@given(st.lists(st.integers(0, 3), min_size=10, max_size=200))
@settings(max_examples=200, deadline=None)
def test_ties_go_to_the_earliest(values: list[int]) -> None:
    found = mser5_cut(np.array(values, np.int64))
    assert (found.observations, found.settled) == brute_mser5(values)


def test_a_transient_is_cut_off_and_little_more() -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 20, 1000)
    start = np.zeros(1000, np.int64)
    start[:120] = np.linspace(300, 0, 120).astype(np.int64)
    found = mser5_cut(noise + start)
    assert found.settled
    assert 90 <= found.observations <= 160


def test_a_series_that_goes_on_growing_has_not_settled() -> None:
    assert mser5_cut(np.arange(1000, dtype=np.int64)) == Cut(500, False)


def test_a_constant_series_needs_no_cut_and_a_short_one_tells_nothing() -> None:
    assert mser5_cut(np.full(100, 7, np.int64)) == Cut(0, True)
    assert mser5_cut(np.arange(9, dtype=np.int64)) == Cut(0, False)
    assert mser5_cut(np.zeros(0, np.int64)) == Cut(0, False)


def test_large_integrals_do_not_overflow() -> None:
    values = np.array([4 * 10**17] * 50 + [10**12] * 950, np.int64)
    assert mser5_cut(values) == Cut(50, True)


CHANGES = st.lists(st.tuples(st.integers(-20, 120), st.integers(-3, 3)), max_size=30)


@given(CHANGES, st.integers(1, 12), st.integers(-10, 10))
@settings(max_examples=200, deadline=None)
def test_integrals_are_sums_over_every_ns(changes: list[tuple[int, int]], bins: int, start: int) -> None:
    stamps, steps = (np.array([each[i] for each in changes], np.int64) for i in range(2))
    edges = bin_edges(start, start + 97, bins)
    by_ns = [sum(step for at, step in changes if at <= now) for now in range(start, start + 97)]
    expected = [sum(by_ns[first - start : last - start]) for first, last in pairwise(edges.tolist())]
    np.testing.assert_array_equal(level_integrals(stamps, steps, edges), expected)


def test_edges_are_even_and_exact() -> None:
    edges = bin_edges(10, 110, 3)
    assert edges.tolist() == [10, 43, 76, 110]
    assert bin_edges(0, 3_600_000_000_000, 1000)[-1] == 3_600_000_000_000


def test_halves_have_the_interval_of_their_stretches() -> None:
    rng = np.random.default_rng(2)
    at_ns = np.sort(rng.integers(0, 1600, 4000))
    values = rng.integers(1000, 9000, 4000)
    found = p95_halves(at_ns, values, 0, 1600, 0.05)
    for half, first in ((found.first, 0), (found.second, 800)):
        tails = []
        for begin in range(first, first + 800, 100):
            own = sorted(values[(at_ns >= begin) & (at_ns < begin + 100)].tolist())
            tails.append(next(each for each in own if sum(v <= each for v in own) >= 0.95 * len(own)))
        width = stats.t.ppf(0.975, 7) * stdev(tails) / math.sqrt(8)
        assert half.value == pytest.approx(mean(tails))
        assert (half.lower, half.upper) == pytest.approx((mean(tails) - width, mean(tails) + width))
    assert found.agree is True


def test_halves_of_one_distribution_agree_and_shifted_ones_do_not() -> None:
    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(200):
        at_ns = np.sort(rng.integers(0, 10_000, 1000))
        verdicts.append(p95_halves(at_ns, rng.exponential(1000, 1000).astype(np.int64), 0, 10_000, 0.05).agree)
    assert verdicts.count(False) <= 6, "intervals of 95 % of equal width miss each other in well under 5 %"
    at_ns = np.arange(2000)
    values = np.where(at_ns < 1000, 1000, 1500) + rng.integers(0, 100, 2000)
    assert p95_halves(at_ns, values, 0, 2000, 0.05).agree is False


def test_what_lies_outside_does_not_count_and_too_little_tells_nothing() -> None:
    at_ns = np.array([-5, 5, 95, 105])
    found = p95_halves(at_ns, np.array([1, 2, 3, 4]), 0, 100, 0.05)
    assert found.first.value == 2.0
    assert found.second.value == 3.0
    assert found.agree is None
    empty = p95_halves(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 100, 0.05)
    assert empty.agree is None
    assert empty.first.value is None
