"""Draws of the simulated runner: the same bytes everywhere, and of the distribution that record 10 gives."""

import math

import numpy as np
from scipy import stats
from simulated_lists import ONE, Kernel, device, everything, listed, opened

from cotenant.runners.simulated import noise

FULL = Kernel(1_000_000, sm=ONE)
# What this law gave when it was first written: draws must not change with numpy, processor or compiler.
GOLDEN = [1064471, 1048765, 1029858, 1032082, 1041754, 1058628, 1042611, 1055343]


def test_the_first_draws_of_a_seed_are_golden() -> None:
    assert noise.factors(1, 0, 8, 2.0).tolist() == GOLDEN


def test_a_draw_depends_on_seed_and_number_alone() -> None:
    drawn = noise.factors(7, 0, 10_000, 2.0)
    for first, count in ((0, 1), (4095, 2), (8000, 2000), (9999, 1)):
        assert noise.factors(7, first, count, 2.0).tolist() == drawn[first : first + count].tolist()
    assert not np.array_equal(noise.factors(8, 0, 100, 2.0), drawn[:100])


def test_logarithms_are_standard_normal_and_independent() -> None:
    drawn = np.log(noise.factors(3, 0, 200_000, 2.0) / ONE) / math.log(1.02)
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01
    assert abs(float(np.median(noise.factors(3, 0, 200_000, 2.0))) - ONE) < ONE * 0.0005


def test_elementary_functions_are_those_of_the_library_to_the_last_bits() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(1e-300, 1, 1000), 2.0 ** -rng.integers(0, 54, 100), [1.0]])
    assert np.allclose(noise._log(x), np.log(x), rtol=4e-16, atol=4e-16)
    y = rng.uniform(-30, 30, 1000)
    assert np.allclose(noise._exp(y), np.exp(y), rtol=8e-16 * 30, atol=0)
    turns = np.concatenate([rng.uniform(0, 1, 1000), [0, 0.25, 0.5, 0.75]])
    assert np.allclose(noise._cos_of_turns(turns), np.cos(2 * np.pi * turns), rtol=0, atol=1e-15)


def test_no_noise_is_exactly_one_and_much_noise_stays_positive() -> None:
    assert set(noise.factors(1, 5, 1000, 0).tolist()) == {ONE}
    wild = noise.factors(1, 0, 100_000, 100.0)
    assert wild.min() >= 1
    assert wild.max() <= noise.largest_factor(100.0)


def test_turn_phases_spread_over_the_slice() -> None:
    phases = [noise.slice_phase_ns(seed, 1000) for seed in range(2000)]
    assert 0 <= min(phases) <= max(phases) < 1000
    assert stats.kstest(np.array(phases) / 1000, "uniform").pvalue > 0.01


def spans(seed: int, noise_pct: float) -> list[int]:
    session = opened(2, file=device(noise_pct=noise_pct), seed=seed)
    loaded = [session.load_kernels(lane, "e", listed(FULL)) for lane in range(2)]
    for _ in range(40):
        session.submit(0, loaded[0])
    return [c.end_ns - c.start_ns for c in everything(session)]


def test_executions_take_their_time_by_their_factor() -> None:
    assert spans(1, 0) == [1_000_000] * 40
    drawn = noise.factors(1, 0, 40, 2.0).tolist()
    assert spans(1, 2.0) == [-(-1_000_000 * factor // ONE) for factor in drawn]
    assert spans(1, 2.0) == spans(1, 2.0) != spans(2, 2.0)


def test_other_lanes_and_collection_change_no_draw() -> None:
    session = opened(1, file=device(noise_pct=2.0), seed=1)
    loaded = session.load_kernels(0, "e", listed(FULL))
    found = []
    for _ in range(40):
        session.submit(0, loaded)
        found += [c.end_ns - c.start_ns for c in everything(session)]
        session.load_kernels(0, "other", listed(FULL))
    assert found == spans(1, 2.0)
