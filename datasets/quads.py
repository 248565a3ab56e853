"""Slowdown and concurrency gain from ABBA quads; the stopping rule of a run and the derived tables share it.

    quad q    | solo | co_run | co_run | solo |      (or its mirror)
    r(q)      mean log median span of q's co_run blocks - mean log median span of its solo blocks
    slowdown  exp(mean of r over quads), Student t bounds over quads: the quad is the unit of inference

Samples within a block are autocorrelated and machines drift from block to block; what is done within a few hundred
milliseconds of each other is compared, and only the comparisons are averaged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.statistics import (
    RESAMPLES,
    Interval,
    Spans,
    mean_interval,
    percentile_bounds,
    resample_counts,
    resampled_quantiles,
)
from cotenant.datasets.words import ARMS

COLD_EXECUTIONS = 1  # a tenant's first execution in a block meets cold caches; where nothing led in, it would count
P95_SAMPLES_MIN = 200  # an arm; fewer do not settle a p95


@dataclass(frozen=True)
class QuadBlock:
    """One tenant's part of one block.

    Attributes:
        arm: A word of ARMS that is in quads.
        spans_ns: Its executions that count, see `counted`; may be empty.
    """

    quad_index: int
    arm: str
    spans_ns: Spans


@dataclass(frozen=True)
class SlowdownEstimate:
    """How much longer executions take beside others than alone (1.0 = the same).

    Attributes:
        ratio, lower, upper: None where the quads do not tell.
        quad_count: Quads in which both arms have executions that count.
        sample_count, solo_sample_count: Executions that count beside others and alone, in those quads.
        solo_p50_ns, co_run_p50_ns: Medians over those quads; for people, the ratio is not their quotient.
    """

    ratio: float | None
    lower: float | None
    upper: float | None
    quad_count: int
    sample_count: int
    solo_sample_count: int
    solo_p50_ns: int | None
    co_run_p50_ns: int | None

    @property
    def half_width_ratio(self) -> float | None:
        """How far the upper bound lies above the estimate, as a part of it (0.01 = 1 %)."""
        return None if self.ratio is None or self.upper is None else self.upper / self.ratio - 1


def counted(start_ns: Spans, end_ns: Spans, window_start_ns: int, window_end_ns: int) -> NDArray[np.bool_]:
    """Tell which of one tenant's executions in one block count: begun inside the window, and not the block's first.

    Those that end after it count too: leaving them out would leave out the long ones more often than the short.

    Args:
        start_ns, end_ns: All of the tenant's executions in the block, in any order.
    """
    inside = (start_ns >= window_start_ns) & (start_ns < window_end_ns)
    inside[np.argsort(start_ns, kind="stable")[:COLD_EXECUTIONS]] = False
    return inside


def counted_spans(start_ns: Spans, end_ns: Spans, window_start_ns: int, window_end_ns: int) -> Spans:
    """Return the spans of the executions that count; see `counted`."""
    chosen = counted(start_ns, end_ns, window_start_ns, window_end_ns)
    return (end_ns - start_ns)[chosen]


def paired_spans(blocks: Sequence[QuadBlock]) -> list[tuple[Spans, Spans]]:
    """Return (solo, treated) spans of each quad that has both, by quad index."""
    arms: dict[int, tuple[list[Spans], list[Spans]]] = {}
    for block in blocks:
        arms.setdefault(block.quad_index, ([], []))[_arm(block)].append(block.spans_ns)
    pooled = []
    for quad_index in sorted(arms):
        solo, treated = (np.concatenate(part) if part else np.empty(0, np.int64) for part in arms[quad_index])
        if len(solo) and len(treated):
            pooled.append((solo, treated))
    return pooled


def quad_log_ratios(blocks: Sequence[QuadBlock]) -> list[float]:
    """Return r of each quad that has executions in both arms, by quad index.

    Each block has one median and each block the same weight: blocks last equally long, so in a pool of an arm's blocks
    the faster one would have more executions, and the median would fall into it.
    """
    arms: dict[int, tuple[list[float], list[float]]] = {}
    for block in blocks:
        arm = _arm(block)
        quad = arms.setdefault(block.quad_index, ([], []))
        if len(block.spans_ns):
            quad[arm].append(math.log(np.median(block.spans_ns)))
    return [_mean(treated) - _mean(solo) for _, (solo, treated) in sorted(arms.items()) if solo and treated]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _arm(block: QuadBlock) -> int:
    """Return 0 for the solo arm, 1 for the other."""
    if not ARMS[block.arm].in_quads:
        raise ValueError(f"arm {block.arm!r} is no part of a quad")
    return int(ARMS[block.arm].treated)


def estimate_slowdown(blocks: Sequence[QuadBlock], alpha: float) -> SlowdownEstimate:
    """Estimate one tenant's slowdown from its blocks.

    Args:
        alpha: Error probability spent at this look (the experiment's alpha over its number of looks).
    """
    pairs = paired_spans(blocks)
    logs = mean_interval(quad_log_ratios(blocks), alpha)
    solo = np.concatenate([solo for solo, _ in pairs]) if pairs else np.empty(0, np.int64)
    treated = np.concatenate([treated for _, treated in pairs]) if pairs else np.empty(0, np.int64)
    return SlowdownEstimate(
        ratio=None if logs.value is None else math.exp(logs.value),
        lower=None if logs.lower is None else math.exp(logs.lower),
        upper=None if logs.upper is None else math.exp(logs.upper),
        quad_count=len(pairs),
        sample_count=len(treated),
        solo_sample_count=len(solo),
        solo_p50_ns=round(float(np.median(solo))) if pairs else None,
        co_run_p50_ns=round(float(np.median(treated))) if pairs else None,
    )


def is_narrow(estimate: SlowdownEstimate, half_width_max_ratio: float) -> bool:
    """Tell whether an estimate is settled: its half width is at most this part of it (0.01 = 1 %)."""
    return estimate.half_width_ratio is not None and estimate.half_width_ratio <= half_width_max_ratio


def estimate_p95_ratio(blocks: Sequence[QuadBlock], alpha: float, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Estimate p95 beside others over p95 alone, pooled, with bounds by a bootstrap of whole quads.

    All parts are None if an arm has fewer than `P95_SAMPLES_MIN` executions, or if there are fewer than two quads;
    without resamples there are no bounds.
    """
    pairs = paired_spans(blocks)
    solo, treated = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if len(pairs) < 2 or min(sum(map(len, solo)), sum(map(len, treated))) < P95_SAMPLES_MIN:
        return Interval(None, None, None)
    ratio = float(np.quantile(np.concatenate(treated), 0.95) / np.quantile(np.concatenate(solo), 0.95))
    if not resamples:
        return Interval(ratio, None, None)
    counts = resample_counts(len(pairs), seed, resamples)
    replicates = resampled_quantiles(treated, 0.95, counts) / resampled_quantiles(solo, 0.95, counts)
    bounds = percentile_bounds(replicates, alpha)
    return Interval(ratio, *(bounds or (None, None)))


def block_gain(
    start_ns: Spans, end_ns: Spans, solo_ns: Spans, window_start_ns: int, window_end_ns: int
) -> float | None:
    """Return the concurrency gain of one co-run block: solo time's worth of work done per time of its window.

    1.0 = together gains nothing over taking turns, 2.0 = the second tenant is free. None if the window is empty.

    Args:
        start_ns, end_ns: All executions of the block, of every tenant.
        solo_ns: Median solo span of each execution's tenant in this experiment.
    """
    if window_end_ns <= window_start_ns:
        return None
    inside = np.minimum(end_ns, window_end_ns) - np.maximum(start_ns, window_start_ns)
    worth = solo_ns * (np.maximum(inside, 0) / (end_ns - start_ns))
    return math.fsum(worth.tolist()) / (window_end_ns - window_start_ns)


def concurrency_gain(block_gains: Sequence[float], alpha: float) -> Interval:
    """Return the experiment's concurrency gain: the mean over its co-run blocks with t bounds over blocks.

    Of few blocks that differ much, t bounds may reach below 0, where no gain can lie: they end there.
    """
    found = mean_interval(block_gains, alpha)
    return Interval(found.value, None if found.lower is None else max(0.0, found.lower), found.upper)


def noise_floor_ratio(null_bounds: Sequence[tuple[float, float]]) -> float | None:
    """Return how far a slowdown of nothing may look from 1.00: how far the intervals of null experiments reach.

    It is the root mean square of their farther bounds' logs, as a ratio of at least 1: one null tells something, and of
    many the widest does not decide alone. None if there was no null experiment with bounds.
    """
    if not null_bounds:
        return None
    reaches = [max(abs(math.log(lower)), abs(math.log(upper))) for lower, upper in null_bounds]
    return math.exp(math.sqrt(math.fsum(reach * reach for reach in reaches) / len(reaches)))


def is_within_noise(ratio: float, lower: float | None, upper: float | None, floor_ratio: float | None) -> bool | None:
    """Tell whether a slowdown cannot be told from none: inside the noise floor, or its own interval holds 1.00.

    None where neither the floor nor the interval is known.
    """
    if floor_ratio is not None and abs(math.log(ratio)) <= math.log(floor_ratio):
        return True
    if lower is not None and upper is not None:
        return lower <= 1.0 <= upper
    return None if floor_ratio is None else False
