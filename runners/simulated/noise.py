"""What a session draws: the noise factor of each execution and the phase of the turn, the same bytes on every machine.

    seed, number of the submission -> two raw words of Philox (a stream that numpy keeps as it is) -> Box and Muller

Only +, -, x, / and the square root are used, which IEEE 754 rounds the same way everywhere; the exp, log and cos of
libraries and processors differ in their last bit, and a rounded factor would differ with it now and then.
"""

import math

import numpy as np
import numpy.typing as npt

from cotenant.runners.simulated.state import ONE, Ints

Floats = npt.NDArray[np.float64]

NOISE_STREAM, PHASE_STREAM = range(2)
BLOCK = 4096  # factors drawn at once; a block holds whole counters of Philox (4 words each)
WORDS = 2  # raw words of one factor
TO_UNIT = 2.0**-53
LN2 = 0.6931471805599453
LOG_TERMS, EXP_TERMS, SIN_TERMS = 12, 15, 12  # until the next term is below 2^-56 of the sum


def factors(seed: int, first: int, count: int, noise_pct: float) -> Ints:
    """Return the noise factors of `count` submissions from number `first` on, in units of ONE.

    An execution's factor is max(1, round(ONE x exp(ln(1 + noise_pct / 100) x z))) with z standard normal.
    """
    if noise_pct == 0:
        return np.full(count, ONE, np.int64)
    spread = _log(np.array([1 + noise_pct / 100]))[0]
    blocks = range(first // BLOCK, (first + count - 1) // BLOCK + 1)
    normal = np.concatenate([_normal(seed, block) for block in blocks])
    found = np.maximum(np.rint(ONE * _exp(spread * normal)), 1).astype(np.int64)
    skipped = first - blocks.start * BLOCK
    return found[skipped : skipped + count]


def slice_phase_ns(seed: int, slice_ns: int) -> int:
    """Return the phase of the turn, from 0 to slice_ns - 1."""
    return int(_words(seed, PHASE_STREAM, 0, 1)[0]) % slice_ns


def largest_factor(noise_pct: float) -> int:
    """Return a bound of `factors`: z is at most sqrt(-2 ln 2^-53), below 8.6."""
    return ONE if noise_pct == 0 else math.ceil(ONE * (1 + noise_pct / 100) ** 8.6)


def _words(seed: int, stream: int, first_counter: int, count: int) -> npt.NDArray[np.uint64]:
    key = np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(2, np.uint64)
    return np.random.Philox(key=key, counter=first_counter).random_raw(count)


def _normal(seed: int, block: int) -> Floats:
    """Return the standard normal numbers of one block of submissions."""
    words = _words(seed, NOISE_STREAM, block * BLOCK * WORDS // 4, BLOCK * WORDS) >> np.uint64(11)
    radius = np.sqrt(-2 * _log((words[0::2].astype(np.float64) + 1) * TO_UNIT))
    found: Floats = radius * _cos_of_turns(words[1::2].astype(np.float64) * TO_UNIT)
    return found


def _log(x: Floats) -> Floats:
    """Return ln x of x > 0: 2 artanh((m - 1) / (m + 1)) + e ln 2 with m within a factor of sqrt 2 of 1."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(low, 2 * mantissa, mantissa), exponent - low
    t = (mantissa - 1) / (mantissa + 1)
    total = np.zeros_like(t)
    for term in reversed(range(LOG_TERMS)):
        total = total * (t * t) + 1 / (2 * term + 1)
    found: Floats = 2 * t * total + exponent * LN2
    return found


def _exp(x: Floats) -> Floats:
    """Return e^x: a Taylor series within ln 2 / 2 of 0, then a power of two."""
    exponent = np.rint(x / LN2)
    rest = x - exponent * LN2
    total = np.ones_like(x)
    for term in reversed(range(1, EXP_TERMS)):
        total = 1 + total * rest / term
    return np.ldexp(total, exponent.astype(np.int32))


def _cos_of_turns(turns: Floats) -> Floats:
    """Return cos(2 pi turns) of 0 <= turns < 1, as minus the sine of an angle within a quarter turn of 0."""
    angle = 2 * math.pi * (0.25 - np.abs(turns - 0.5))
    total = np.ones_like(angle)
    for term in reversed(range(1, SIN_TERMS)):
        total = 1 - total * (angle * angle) / ((2 * term) * (2 * term + 1))
    return -angle * total
