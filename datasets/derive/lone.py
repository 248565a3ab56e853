"""Lone rows of open-loop serving: what ran beside nobody must take as long as the solo profile says.

    window    |.............|.............|.............|  ...   stretches of equal length
    lone rows   x    x x       x                x  x             each: median of span / the engine's median solo span
    ratio     exp(mean over stretches of the log of these medians)

Neighbouring rows depend on each other, so the stretch is the unit of inference. The profile has an error too, shared by
all rows of its engine, so no number of rows averages it away: its bounds are added to the interval, as independent
errors are.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.derive.executions import solo_spans
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.overlap import OverlapIntervals
from cotenant.datasets.solo import SoloProfiles
from cotenant.datasets.statistics import mean_interval

STRETCHES = 16


@dataclass(frozen=True)
class LoneSlowdown:
    """Slowdown of lone executions; None where they or the profiles do not tell it."""

    ratio: float | None
    lower: float | None
    upper: float | None
    execution_count: int


def ran_alone(measured: Measured, overlaps: OverlapIntervals) -> NDArray[np.bool_]:
    """Tell which executions nobody ran beside, from their overlap intervals."""
    beside = np.zeros(measured.executions.num_rows, dtype=bool)
    beside[overlaps.execution_index[overlaps.co_count > 0]] = True
    return ~beside


def lone_slowdown(measured: Measured, alone: NDArray[np.bool_], profiles: SoloProfiles) -> LoneSlowdown | None:
    """Estimate the slowdown of executions that nobody ran beside; None for experiments without open-loop blocks.

    Args:
        alone: Which executions nobody ran beside; of these, the ones that count in open-loop blocks are taken.
    """
    if not measured.facts_of_kind.open_loop:
        return None
    is_open = np.array([arm.open_loop for arm in measured.arms])
    solo_ns = solo_spans(measured, profiles, "span_p50_ns")
    chosen = np.flatnonzero(alone & measured.is_counted & is_open[measured.block_index] & ~np.isnan(solo_ns))
    if not len(chosen):
        return LoneSlowdown(None, None, None, 0)
    log_ratios = np.log((measured.end_ns - measured.start_ns)[chosen] / solo_ns[chosen])
    place = _stretch(measured, chosen)
    medians = [float(np.median(log_ratios[place == stretch])) for stretch in np.unique(place)]
    quality: dict[str, Any] = measured.metadata["quality"]
    logs = mean_interval(medians, float(quality["alpha"]))
    assert logs.value is not None
    solo_error = _solo_error(measured, chosen, profiles)
    if logs.upper is None or math.isnan(solo_error):
        return LoneSlowdown(math.exp(logs.value), None, None, len(chosen))
    half = math.hypot(logs.upper - logs.value, solo_error)
    return LoneSlowdown(math.exp(logs.value), math.exp(logs.value - half), math.exp(logs.value + half), len(chosen))


def _stretch(measured: Measured, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each execution's block and stretch of its window, as one number."""
    first, last = measured.window_start_ns[chosen], measured.window_end_ns[chosen]
    within: NDArray[np.int64] = (measured.start_ns[chosen] - first) * STRETCHES // (last - first)
    return measured.block_index[chosen] * STRETCHES + within


def _solo_error(measured: Measured, chosen: NDArray[np.int64], profiles: SoloProfiles) -> float:
    """Return how far the profiles' bounds reach, as a log, mean over the executions; NaN if unknown."""
    p50, lower, upper = (
        solo_spans(measured, profiles, f"span_p50{end}_ns")[chosen] for end in ("", "_lower", "_upper")
    )
    reach = np.maximum(np.log(upper / p50), np.log(p50 / lower))
    return math.fsum(reach.tolist()) / len(reach)
