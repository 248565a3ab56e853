"""What intensity of a probe does the same as an engine: inversion of a measured curve, by isotonic regression.

    mutual(e)  = slowdown of the full probe beside e x slowdown of e beside the full probe
    curve      = (x, mutual(probe of intensity x)), with (0, 1): a probe that does nothing does nothing to anybody
    equivalent = the x at which the curve has the engine's mutual slowdown

A resource that is shared out fairly grants each of two tenants its half: an engine that asks for less slows the full
probe and is not slowed itself; one that asks for more slows it no further, and is slowed itself by what it asks for
beyond its half. Either slowdown alone is flat on one side of the half, their product is not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

FULL_PCT = 100.0


@dataclass(frozen=True)
class Mutual:
    """The product of two slowdowns; bounds are the products of theirs, so at least as wide as they must be."""

    ratio: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Equivalent:
    """An intensity, or the reason why there is none."""

    pct: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Curve:
    """A calibration curve that never falls: intensities and log mutual slowdowns, from (0, 0) on."""

    intensities_pct: tuple[float, ...]
    logs: tuple[float, ...]

    def intensity(self, mutual: Mutual, floor_ratio: float = 1.0) -> Equivalent:
        """Return where the curve has a mutual slowdown; where it is flat there, the middle of that.

        Args:
            floor_ratio: The most that two slowdowns of nothing may multiply to; at least 1.
        """
        if mutual.lower <= floor_ratio:
            return Equivalent(None, "below_resolution")
        end = self.logs[-1]
        if math.log(mutual.lower) > end:
            return Equivalent(None, "above_calibration")
        return Equivalent(self._inverse(min(math.log(mutual.ratio), end)))

    def _inverse(self, value: float) -> float:
        points = list(zip(self.intensities_pct, self.logs, strict=True))
        flat = [x for x, y in points if y == value]
        if flat:
            return (flat[0] + flat[-1]) / 2
        right = next(index for index, (_, y) in enumerate(points) if y > value)
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        return x0 + (x1 - x0) * (value - y0) / (y1 - y0)


def calibration_curve(points: Sequence[tuple[float, float]]) -> Curve | None:
    """Return the curve of (intensity, mutual slowdown); None without the full probe, or where it shows no effect."""
    ordered = sorted((x, math.log(ratio)) for x, ratio in points if x > 0 and ratio > 0)
    if not ordered or ordered[-1][0] != FULL_PCT:
        return None
    logs = isotonic([y for _, y in ordered])
    if logs[-1] <= 0:
        return None
    return Curve((0.0, *(x for x, _ in ordered)), (0.0, *(max(0.0, y) for y in logs)))


def isotonic(values: Sequence[float]) -> list[float]:
    """Return the rising sequence nearest to `values` in the sum of squares: neighbours that fall are averaged."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while blocks and blocks[-1][0] >= mean:
            before, more = blocks.pop()
            mean, count = (before * more + mean * count) / (more + count), more + count
        blocks.append((mean, count))
    return [mean for mean, count in blocks for _ in range(count)]
