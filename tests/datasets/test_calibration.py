"""Inversion of calibration curves: against scipy's isotonic regression, and back to where a value came from."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from cotenant.datasets.calibration import Curve, Mutual, calibration_curve, isotonic

VALUES = st.lists(st.floats(-3, 3), min_size=1, max_size=12)


def exactly(ratio: float) -> Mutual:
    return Mutual(ratio, ratio * 0.999, ratio * 1.001)


def fair(intensity_pct: float) -> float:
    """Mutual slowdown of the full probe and one of so much, where each gets its half at least."""
    part = intensity_pct / 100
    return 1 / (1 - part) if part <= 0.5 else 2 * 2 * part


@settings(deadline=None)
@given(VALUES)
def test_isotonic_is_the_nearest_rising_sequence(values: list[float]) -> None:
    assert isotonic(values) == pytest.approx(list(isotonic_regression(values).x), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(1, 99), unique=True, max_size=8), st.floats(2, 100))
def test_a_value_of_the_curve_leads_back_to_its_intensity(points: list[int], asked: float) -> None:
    knots = [*points, 100]
    curve = calibration_curve([(x, fair(x)) for x in knots])
    assert curve is not None
    logs = np.interp(asked, curve.intensities_pct, curve.logs)
    found = curve.intensity(exactly(math.exp(float(logs))))
    if math.exp(float(logs)) * 0.999 <= 1:
        assert (found.pct, found.reason) == (None, "below_resolution")
    else:
        assert found.pct == pytest.approx(asked, abs=1e-6)


def test_more_demand_is_never_less_intensity() -> None:
    curve = calibration_curve([(x, fair(x) * noise) for x, noise in ((10, 1.02), (25, 0.99), (30, 0.97), (100, 1.0))])
    assert curve is not None
    found = [curve.intensity(exactly(ratio)).pct for ratio in np.linspace(1.05, 3.9, 60)]
    assert all(a is not None and b is not None and a <= b for a, b in pairwise(found))


def test_where_the_curve_is_flat_the_middle_is_taken() -> None:
    curve = calibration_curve([(20, 1.5), (40, 2.0), (60, 2.0), (100, 3.0)])
    assert curve is not None
    assert curve.intensity(exactly(2.0)).pct == 50.0


def test_what_cannot_be_told_from_nothing_is_not_nothing() -> None:
    curve = Curve((0.0, 100.0), (0.0, math.log(4)))
    for mutual, floor_ratio in ((Mutual(1.01, 0.99, 1.03), 1.0), (Mutual(1.04, 1.02, 1.06), 1.03)):
        found = curve.intensity(mutual, floor_ratio)
        assert (found.pct, found.reason) == (None, "below_resolution")
    assert curve.intensity(Mutual(1.04, 1.02, 1.06)).pct is not None


def test_beyond_the_full_probe_there_is_no_number_unless_it_may_be_the_full_probe() -> None:
    curve = Curve((0.0, 100.0), (0.0, math.log(4)))
    assert curve.intensity(Mutual(4.1, 3.9, 4.3)).pct == 100.0
    beyond = curve.intensity(Mutual(5.0, 4.5, 5.5))
    assert (beyond.pct, beyond.reason) == (None, "above_calibration")


@pytest.mark.parametrize("points", [[], [(50.0, 2.0)], [(100.0, 0.98)], [(50.0, 1.01), (100.0, 0.97)]], ids=str)
def test_without_the_full_probe_or_an_effect_there_is_no_curve(points: list[tuple[float, float]]) -> None:
    assert calibration_curve(points) is None
