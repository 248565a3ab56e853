"""Arrivals are Poisson: exponential gaps, independent streams, the asked rate in every piece, and whole ns."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from cotenant.profiler.serving.arrivals import draw_arrivals, poisson_arrivals
from cotenant.profiler.serving.deployment import Piece

S = 1_000_000_000
P_MIN = 0.01  # seeds are fixed: what passes once passes always


def generators(seed: int, count: int) -> list[np.random.Generator]:
    return np.random.default_rng(seed).spawn(count)


@pytest.mark.parametrize("seed", range(5))
def test_gaps_are_exponential_and_counts_poisson(seed: int) -> None:
    at_ns = poisson_arrivals([200 * S], [50.0], np.random.default_rng(seed))
    gaps = np.diff(at_ns, prepend=0) / S
    assert stats.kstest(gaps, "expon", args=(0, 1 / 50)).pvalue > P_MIN
    assert abs(stats.pearsonr(gaps[:-1], gaps[1:]).statistic) < 3 / np.sqrt(len(gaps))
    counts = np.bincount(at_ns // (S // 5), minlength=1000)
    dispersion = ((counts - counts.mean()) ** 2).sum() / counts.mean()
    assert P_MIN < stats.chi2.sf(dispersion, len(counts) - 1) < 1 - P_MIN


def test_the_number_of_arrivals_is_poisson_too() -> None:
    rng = np.random.default_rng(8)
    counts = [len(poisson_arrivals([S], [20.0], rng)) for _ in range(2000)]
    assert abs(np.mean(counts) - 20) < 4 * np.sqrt(20 / 2000)
    assert 0.9 < np.var(counts) / 20 < 1.1


def test_streams_are_independent() -> None:
    piece = Piece(400 * S, (50.0, 50.0, 50.0))
    found = draw_arrivals([piece], generators(4, 3))
    counts = [_counts(found.at_ns[found.tenant == tenant], 400 * S, S // 10) for tenant in range(3)]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        for shift in (0, 1, 2):
            own, other = counts[first][shift:], counts[second][: len(counts[second]) - shift]
            assert abs(stats.pearsonr(own, other).statistic) < 3.3 / np.sqrt(len(own))
    together = np.diff(found.at_ns, prepend=0) / S
    assert stats.kstest(together, "expon", args=(0, 1 / 150)).pvalue > P_MIN, "merged, they are Poisson with the sum"


def test_a_stream_does_not_depend_on_the_others() -> None:
    alone = draw_arrivals([Piece(20 * S, (50.0, 0.0))], generators(4, 2))
    beside = draw_arrivals([Piece(20 * S, (50.0, 300.0))], generators(4, 2))
    np.testing.assert_array_equal(alone.at_ns[alone.tenant == 0], beside.at_ns[beside.tenant == 0])
    assert len(beside.at_ns) > len(alone.at_ns)
    fewer = draw_arrivals([Piece(20 * S, (5.0, 300.0))], generators(4, 2))
    np.testing.assert_array_equal(fewer.at_ns[fewer.tenant == 1], beside.at_ns[beside.tenant == 1])


@pytest.mark.parametrize("seed", range(3))
def test_rates_hold_piece_by_piece(seed: int) -> None:
    lengths, rates = [40 * S, 20 * S, 60 * S, 10 * S], [30.0, 0.0, 90.0, 10.0]
    at_ns = poisson_arrivals(lengths, rates, np.random.default_rng(seed))
    edges = np.cumsum([0, *lengths])
    for first, last, rate in zip(edges[:-1], edges[1:], rates, strict=True):
        own = at_ns[(at_ns >= first) & (at_ns < last)]
        expected = rate * (last - first) / S
        assert abs(len(own) - expected) <= 4 * np.sqrt(expected)
        if rate:
            assert stats.kstest((own - first) / (last - first), "uniform").pvalue > P_MIN
    hazard = np.interp(at_ns, edges, np.concatenate(([0.0], np.cumsum(np.array(rates) * lengths / S))))
    assert stats.kstest(np.diff(hazard, prepend=0.0), "expon").pvalue > P_MIN, "in its own time the rate is 1"


def test_a_tenant_may_join_and_leave() -> None:
    pieces = [Piece(10 * S, (20.0, 0.0)), Piece(10 * S, (20.0, 80.0)), Piece(10 * S, (0.0, 80.0))]
    found = draw_arrivals(pieces, generators(1, 2))
    first, second = (found.at_ns[found.tenant == tenant] for tenant in range(2))
    assert 0 <= first.min() < S < 19 * S < first.max() < 20 * S
    assert 10 * S <= second.min() < 11 * S < 29 * S < second.max() < 30 * S


def test_arrivals_are_sorted_whole_and_inside() -> None:
    found = draw_arrivals([Piece(S, (500.0, 0.0, 900.0)), Piece(1, (0.0, 3.0, 0.0))], generators(2, 3))
    assert found.at_ns.dtype == np.int64
    assert np.all(np.diff(found.at_ns) >= 0)
    assert found.at_ns[0] >= 0
    assert found.at_ns[-1] < S + 1
    assert set(found.tenant) == {0, 2}


def test_nobody_comes_without_a_rate() -> None:
    assert len(poisson_arrivals([S, S], [0.0, 0.0], np.random.default_rng(0))) == 0
    assert len(draw_arrivals([Piece(S, (0.0,))], generators(0, 1)).at_ns) == 0


def test_the_seed_alone_decides() -> None:
    pieces = [Piece(5 * S, (100.0, 30.0))]
    first, second, other = (draw_arrivals(pieces, generators(seed, 2)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.at_ns, second.at_ns)
    np.testing.assert_array_equal(first.tenant, second.tenant)
    assert len(first.at_ns) != len(other.at_ns) or np.any(first.at_ns != other.at_ns)


def test_too_few_draws_at_first_are_followed_by_more() -> None:
    class Hasty(np.random.Generator):
        def standard_exponential(self, size: int) -> NDArray[np.float64]:  # type: ignore[override]
            return super().standard_exponential(size) / 10

    at_ns = poisson_arrivals([S], [1000.0], Hasty(np.random.PCG64(3)))
    assert at_ns[-1] > 0.99 * S
    assert 9_000 < len(at_ns) < 11_000


def _counts(at_ns: NDArray[np.int64], length_ns: int, bin_ns: int) -> NDArray[np.int64]:
    return np.bincount(at_ns // bin_ns, minlength=length_ns // bin_ns)
