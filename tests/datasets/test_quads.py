"""Slowdowns, gain and noise floor recover what was planted, and say nothing where nothing can be told."""

import math

import numpy as np
import pytest

from cotenant.datasets.quads import (
    QuadBlock,
    block_gain,
    concurrency_gain,
    counted_spans,
    estimate_p95_ratio,
    estimate_slowdown,
    is_narrow,
    is_within_noise,
    noise_floor_ratio,
    quad_log_ratios,
)
from cotenant.datasets.statistics import mean_interval


def planted(
    ratio: float, quads: int = 8, noise: float = 0.01, drift: float = 0.0, samples: int = 20
) -> list[QuadBlock]:
    rng = np.random.default_rng(4)
    blocks = []
    for quad in range(quads):
        for place, arm in enumerate(("solo", "co_run", "co_run", "solo")):
            scale = 1e7 * (ratio if arm == "co_run" else 1.0) * math.exp(drift * (4 * quad + place))
            spans = np.rint(scale * np.exp(noise * rng.normal(size=samples))).astype(np.int64)
            blocks.append(QuadBlock(quad, arm, spans))
    return blocks


def test_a_planted_slowdown_is_recovered() -> None:
    found = estimate_slowdown(planted(1.3), 0.05)
    assert found.ratio == pytest.approx(1.3, rel=0.005)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower <= 1.3 <= found.upper
    assert (found.quad_count, found.sample_count, found.solo_sample_count) == (8, 320, 320)
    assert found.co_run_p50_ns == pytest.approx(1.3e7, rel=0.01)
    assert is_narrow(found, 0.01)
    assert not is_narrow(found, 1e-5)


def test_linear_drift_cancels_within_a_quad() -> None:
    logs = quad_log_ratios(planted(1.0, noise=0.0, drift=0.01))
    assert logs == pytest.approx([0.0] * 8, abs=2e-4), "the drift over a quad is 4 %"


def test_the_order_of_blocks_does_not_matter() -> None:
    blocks = planted(1.1)
    assert estimate_slowdown(blocks[::-1], 0.05) == estimate_slowdown(blocks, 0.05)


def test_quads_with_an_empty_arm_do_not_count() -> None:
    empty = np.empty(0, np.int64)
    blocks = [*planted(1.1, quads=2), QuadBlock(7, "solo", empty), QuadBlock(7, "co_run", np.array([5]))]
    assert estimate_slowdown(blocks, 0.05).quad_count == 2
    nothing = estimate_slowdown([QuadBlock(0, "solo", empty)], 0.05)
    assert (nothing.ratio, nothing.solo_p50_ns, nothing.half_width_ratio) == (None, None, None)
    assert not is_narrow(nothing, 1.0)
    single = estimate_slowdown(planted(1.1, quads=1), 0.05)
    assert single.ratio is not None
    assert single.lower is None
    with pytest.raises(ValueError, match="no part of a quad"):
        quad_log_ratios([QuadBlock(0, "profile", np.array([1]))])


def test_what_begins_in_the_window_counts_to_its_end_but_not_the_first_of_the_block() -> None:
    start = np.array([30, 0, 10, 20, 40])
    end = np.array([39, 9, 19, 29, 49])
    assert counted_spans(start, end, 0, 49).tolist() == [9, 9, 9, 9]
    assert counted_spans(start, end, 0, 35).tolist() == [9, 9, 9], "one that ends after the window counts"
    assert counted_spans(start, end, 0, 40).tolist() == [9, 9, 9], "half-open: what begins as it closes does not"
    assert counted_spans(start, end, 15, 49).tolist() == [9, 9, 9], "one that began before it does not"
    assert counted_spans(start, end, 10, 49).tolist() == [9, 9, 9, 9], "the first is the block's, not the window's"
    assert counted_spans(start[:0], end[:0], 0, 1).tolist() == []


def test_each_block_has_the_same_weight_however_many_executions_it_has() -> None:
    """Of two blocks of 100 ms, one at 10 ms and one at 13.3 ms, a pool would have its median in the faster one."""
    solo = np.full(10, 10_000_000)
    slow = np.full(7, 13_300_000)
    blocks = [QuadBlock(0, arm, spans) for arm, spans in (("solo", solo), ("co_run", solo), ("co_run", slow))]
    assert quad_log_ratios(blocks) == pytest.approx([math.log(1.33) / 2])


def test_linear_drift_cancels_though_faster_blocks_have_more_executions() -> None:
    """Blocks of 100 ms back to back on a machine that slows down by 5 % a second: true ratio 1."""
    blocks, now = [], 0.0
    for quad in range(8):
        for arm in ("solo", "co_run", "co_run", "solo"):
            spans, end = [], now + 0.1
            while now < end:
                spans.append(0.010 * (1 + 0.05 * now))
                now += spans[-1]
            blocks.append(QuadBlock(quad, arm, np.rint(np.array(spans) * 1e9).astype(np.int64)))
    assert quad_log_ratios(blocks) == pytest.approx([0.0] * 8, abs=1.5e-3)


def test_p95_needs_samples_in_both_arms() -> None:
    assert estimate_p95_ratio(planted(1.2, quads=4), 0.05, 1).value is None
    found = estimate_p95_ratio(planted(1.2), 0.05, 1)
    assert found.value == pytest.approx(1.2, rel=0.02)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower <= 1.2 <= found.upper
    assert found == estimate_p95_ratio(planted(1.2), 0.05, 1)


def test_gain_is_two_when_free_and_one_when_taking_turns() -> None:
    start, end = np.array([0, 0, 10, 10]), np.array([10, 10, 20, 20])
    assert block_gain(start, end, np.array([10, 10, 10, 10]), 0, 20) == 2.0
    assert block_gain(start, end, np.array([5, 5, 5, 5]), 0, 20) == 1.0
    assert block_gain(start, end, np.array([10, 10, 10, 10]), 5, 15) == 2.0, "only the part inside counts"
    assert block_gain(start, end, np.array([10, 10, 10, 10]), 5, 5) is None
    both = concurrency_gain([1.5, 1.7], 0.05)
    assert both.lower is not None
    assert both.upper is not None
    assert (both.lower + both.upper) / 2 == pytest.approx(1.6)
    apart = concurrency_gain([0.2, 2.0], 0.05)
    assert apart.lower == 0.0, "no gain lies below 0, whatever t says of two blocks"
    assert concurrency_gain([1.5], 0.05).lower is None
    assert both.value == pytest.approx(1.6)


def test_noise_floor_is_how_far_intervals_of_nulls_reach() -> None:
    assert noise_floor_ratio([]) is None
    assert noise_floor_ratio([(0.95, 1.02)]) == pytest.approx(1 / 0.95)
    assert noise_floor_ratio([(0.99, 1.01), (0.5, 2.0)]) == pytest.approx(2 ** np.sqrt(0.5), rel=1e-3)


def test_noise_floor_holds_nulls_to_come() -> None:
    rng = np.random.default_rng(5)
    held = []
    for _ in range(300):
        intervals = [mean_interval(quads.tolist(), 0.025) for quads in rng.normal(0, 0.02, (4, 8))]
        *before, after = [tuple(np.exp([i.lower, i.value, i.upper])) for i in intervals]
        floor = noise_floor_ratio([(lower, upper) for lower, _, upper in before])
        held.append(max(after[1], 1 / after[1]) <= floor)
    assert np.mean(held) >= 0.95


@pytest.mark.parametrize(
    ("ratio", "lower", "upper", "floor", "within"),
    [
        (1.02, 1.01, 1.03, 1.05, True),
        (1.30, 1.25, 1.35, 1.05, False),
        (1.10, 0.95, 1.25, 1.05, True),
        (0.90, 0.88, 0.92, 1.05, False),
        (1.30, 1.25, 1.35, None, False),
        (1.30, None, None, None, None),
        (1.30, None, None, 1.05, False),
    ],
)
def test_within_noise(
    ratio: float, lower: float | None, upper: float | None, floor: float | None, within: bool | None
) -> None:
    assert is_within_noise(ratio, lower, upper, floor) is within
