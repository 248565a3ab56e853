"""Summaries, ratios and intervals of the check, against numpy, scipy and first principles."""

import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.profiler.gpu_check.figures import (
    compare,
    gain_ratio,
    gaps_ns,
    median_interval,
    overlap_ns,
    summary,
)

NS = st.integers(-(10**12), 10**12)


@given(st.lists(NS, min_size=1, max_size=200))
def test_percentiles_are_numpys_by_inverted_distribution(values: list[int]) -> None:
    told = summary(values)
    for name, percent in (("p05_ns", 5), ("p50_ns", 50), ("p95_ns", 95)):
        assert told[name] == np.percentile(values, percent, method="inverted_cdf")  # type: ignore[literal-required]
    assert (told["count"], told["min_ns"], told["max_ns"]) == (len(values), min(values), max(values))
    mean = statistics.fmean(values)
    expected = None if mean == 0 else float(np.std(values)) / abs(mean)
    assert told["cv_ratio"] == (expected if expected is None else pytest.approx(expected, rel=1e-4, abs=1e-6))


def test_nothing_measured_is_unknown_not_zero() -> None:
    assert {value for name, value in summary([]).items() if name != "count"} == {None}


@st.composite
def lanes(draw: st.DrawFn) -> list[tuple[int, int]]:
    now_ns, spans = draw(st.integers(0, 50)), []
    for gap_ns, length_ns in draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 20)), max_size=12)):
        spans.append((now_ns + gap_ns, now_ns + gap_ns + length_ns))
        now_ns = spans[-1][1]
    return spans


@given(lanes(), st.randoms())
def test_gaps_are_what_is_left_of_the_lanes_time(spans: list[tuple[int, int]], shuffle: random.Random) -> None:
    mixed = spans[:]
    shuffle.shuffle(mixed)
    gaps = gaps_ns(mixed)
    assert len(gaps) == max(0, len(spans) - 1)
    if spans:
        assert sum(gaps) + sum(end - start for start, end in spans) == spans[-1][1] - spans[0][0]


@given(lanes(), lanes())
def test_overlap_counts_the_instants_at_which_both_run(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    instants = [{t for start, end in lane for t in range(start, end)} for lane in (a, b)]
    assert overlap_ns(a, b) == overlap_ns(b, a) == len(instants[0] & instants[1])


@pytest.mark.parametrize("count", [1, 5, 6, 10, 16, 40])
def test_a_medians_bounds_cover_as_binomial_probability_says(count: int) -> None:
    values = list(range(count))
    low, high = median_interval(values)
    covers = [sum(math.comb(count, k) for k in range(rank + 1, count - rank)) / 2**count for rank in range(count // 2)]
    enough = [rank for rank, probability in enumerate(covers) if probability >= 0.95]
    if not enough:
        assert (low, high) == (None, None)
    else:
        assert (low, high) == (max(enough), count - 1 - max(enough))


def test_a_medians_bounds_cover_in_repeated_draws() -> None:
    generator = random.Random(5)
    hits = 0
    for _ in range(2000):
        low, high = median_interval([generator.lognormvariate(0, 1) for _ in range(16)])
        assert low is not None
        assert high is not None
        hits += low <= 1.0 <= high
    assert 0.95 <= hits / 2000 <= 0.99  # exactly 0.979 for 16 values


@given(
    st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=9), min_size=1, max_size=9),
    st.integers(1, 50),
)
def test_a_comparison_with_a_multiple_finds_it(blocks: list[list[int]], factor: int) -> None:
    ours = [[factor * value for value in block] for block in blocks]
    found = compare(ours, blocks)
    assert found["ratio"] == pytest.approx(factor)
    assert found["block_count"] == len(blocks)
    if found["low_ratio"] is not None:
        assert found["low_ratio"] == pytest.approx(factor)
        assert found["high_ratio"] == pytest.approx(factor)


def test_a_drift_that_both_share_does_not_widen_the_bounds() -> None:
    theirs = [[1000 + 200 * block] * 5 for block in range(10)]
    found = compare([[round(1.02 * value) for value in block] for block in theirs], theirs)
    assert found["low_ratio"] == pytest.approx(1.02, abs=1e-3)
    assert found["high_ratio"] == pytest.approx(1.02, abs=1e-3)


@pytest.mark.parametrize(("ours", "theirs"), [([[1]], []), ([[1], []], [[1], [1]]), ([[1]], [[]])])
def test_blocks_that_do_not_pair_up_are_refused(ours: list[list[int]], theirs: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"blocks"):
        compare(ours, theirs)


def test_gain_is_work_over_time() -> None:
    assert gain_ratio([100, 100], 200) == 1
    assert gain_ratio([100, 100], 100) == 2
