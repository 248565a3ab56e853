"""Quantiles of Student's t against scipy, coverage and determinism of the bootstrap."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from cotenant.datasets.statistics import (
    mean_interval,
    quantile_bounds,
    resample_counts,
    resampled_quantiles,
    seed_of,
    student_t_quantile,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 7, 15, 31, 63, 127, 1000])
@pytest.mark.parametrize("probability", [0.001, 0.1, 0.3, 0.6, 0.95, 0.975, 0.9916666, 0.999])
def test_t_quantiles_agree_with_scipy(degrees: int, probability: float) -> None:
    assert student_t_quantile(probability, degrees) == pytest.approx(t.ppf(probability, degrees), rel=1e-10)


@pytest.mark.parametrize(
    ("probability", "degrees", "published"),
    [(0.975, 1, 12.706), (0.975, 7, 2.365), (0.975, 30, 2.042), (0.95, 15, 1.753)],
)
def test_t_quantiles_agree_with_the_printed_table(probability: float, degrees: int, published: float) -> None:
    assert student_t_quantile(probability, degrees) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize(("probability", "degrees"), [(0.0, 3), (1.0, 3), (0.5, 0), (math.nan, 3)])
def test_no_quantile_where_there_is_none(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        student_t_quantile(probability, degrees)


def test_mean_interval_of_few_values_has_no_bounds() -> None:
    assert mean_interval([], 0.05).value is None
    alone = mean_interval([2.0], 0.05)
    assert (alone.value, alone.lower, alone.upper) == (2.0, None, None)
    two = mean_interval([1.0, 3.0], 0.05)
    assert two.lower == pytest.approx(2 - 12.7062047)
    assert two.upper == pytest.approx(2 + 12.7062047)


def test_t_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        found = mean_interval(rng.normal(3.0, 1.0, 8).tolist(), 0.05)
        assert found.lower is not None
        assert found.upper is not None
        held += found.lower <= 3.0 <= found.upper
    assert 925 <= held <= 975, "binomial(1000, 0.95) leaves this range once in 3000 runs"


@given(st.lists(st.lists(st.integers(1, 10**12), max_size=5), min_size=1, max_size=5), st.sampled_from([0.5, 0.95]))
def test_resampled_quantiles_are_numpys_of_the_expanded_sample(groups: list[list[int]], probability: float) -> None:
    arrays = [np.array(group, dtype=np.int64) for group in groups]
    counts = resample_counts(len(groups), 11, resamples=20)
    if not sum(map(len, arrays)):
        return
    found = resampled_quantiles(arrays, probability, counts)
    np.testing.assert_array_equal(resampled_quantiles(arrays, probability, counts, bisected_max=0), found)
    for row, value in zip(counts, found, strict=True):
        expanded = np.concatenate([np.repeat(array, times) for array, times in zip(arrays, row, strict=True)])
        if len(expanded):
            assert value == pytest.approx(np.quantile(expanded, probability), rel=1e-9)
        else:
            assert math.isnan(value)


def test_resampling_draws_every_group_and_depends_on_the_seed_alone() -> None:
    first = resample_counts(8, seed_of("engine", "device"))
    assert first.shape == (2000, 8)
    assert (first.sum(axis=1) == 8).all()
    assert first.mean(axis=0) == pytest.approx(np.ones(8), abs=0.1)
    assert (first == resample_counts(8, seed_of("engine", "device"))).all()
    assert (first != resample_counts(8, seed_of("engine", "other"))).any()


def test_block_bootstrap_is_wider_than_one_that_ignores_blocks() -> None:
    rng = np.random.default_rng(2)
    blocks = [
        np.rint(1e6 * (1 + shift + 0.001 * rng.normal(size=32))).astype(np.int64) for shift in 0.02 * rng.normal(size=8)
    ]
    whole = quantile_bounds(blocks, 0.5, 0.05, 1)
    single = quantile_bounds([np.array([span]) for span in np.concatenate(blocks)], 0.5, 0.05, 1)
    assert whole is not None
    assert single is not None
    assert whole[1] - whole[0] > 2 * (single[1] - single[0])
    assert whole[0] <= np.median(np.concatenate(blocks)) <= whole[1]


def test_one_block_has_no_bounds() -> None:
    assert quantile_bounds([np.array([1, 2, 3])], 0.5, 0.05, 1) is None
    assert quantile_bounds([np.array([1, 2, 3]), np.empty(0, np.int64)], 0.5, 0.05, 1) is None
