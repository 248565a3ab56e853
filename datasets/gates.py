"""What telemetry says against executions: pure rules, from samples and the thresholds stored with their experiment.

    samples        0          1          2          3
    each speaks for [----1----)[----2----)[----3----)     the time since the sample before; 0 for none
    executions        ====  =====  ====                   one that meets a marked stretch has its mark

Nothing is dropped and no estimate changes. What a sample does not tell marks nothing: its column is null, and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cotenant.datasets.words import GATE_MARKS, UNCOUNTED_ROLES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Where a stored `quality` has no other; the sources stand with the profiler's thresholds, which a test compares.
THROTTLE_MASK = 0xEC
SYNC_BOOST = 0x10
CLOCK_DROP_MAX_RATIO = {"cpu": 0.10}  # by kind of device, of others:
CLOCK_DROP_MAX_RATIO_ELSE = 0.05
TEMPERATURE_MARGIN_MIN_C = 5.0
FOREIGN_CPU_MAX_PCT = 10.0
STEAL_MAX_PCT = 1.0
NUMBERS = ("clock_drop_max_ratio", "temperature_margin_min_c", "foreign_cpu_max_pct", "steal_max_pct")


@dataclass(frozen=True)
class Limits:
    """What decides a mark.

    Attributes:
        throttle_mask: Event reasons that count as throttling.
        clock_drop_max_ratio: How much lower than the highest clock under load a clock may be.
    """

    throttle_mask: int = THROTTLE_MASK
    clock_drop_max_ratio: float = CLOCK_DROP_MAX_RATIO_ELSE
    temperature_margin_min_c: float = TEMPERATURE_MARGIN_MIN_C
    foreign_cpu_max_pct: float = FOREIGN_CPU_MAX_PCT
    steal_max_pct: float = STEAL_MAX_PCT


def limits_of(quality: Mapping[str, Any], device_kind: str) -> Limits:
    """Return the thresholds in force, the defaults where a stored `quality` has none."""
    mask = quality.get("throttle_mask")
    mask = THROTTLE_MASK if mask is None else int(mask)
    told = {"clock_drop_max_ratio": CLOCK_DROP_MAX_RATIO.get(device_kind, CLOCK_DROP_MAX_RATIO_ELSE)}
    told |= {name: float(quality[name]) for name in NUMBERS if quality.get(name) is not None}
    return Limits(throttle_mask=mask | (SYNC_BOOST if quality.get("sync_boost_throttles") else 0), **told)


def sample_marks(samples: pa.Table, under_load: Flags, limits: Limits) -> dict[str, Flags]:
    """Return mark -> which samples have it.

    Args:
        samples: With the columns of telemetry; null marks nothing.
        under_load: Which samples were taken while something executed.
    """
    held_back = known(samples, "quota_throttled_ns") > 0
    strangers = known(samples, "foreign_process_count") > 0
    beside = known(samples, "foreign_cpu_pct") > limits.foreign_cpu_max_pct
    found = {
        "clock_drop": _clock_drops(known(samples, "sm_clock_mhz"), under_load, limits),
        "foreign_load": strangers | beside,
        "hot": known(samples, "temperature_margin_c") < limits.temperature_margin_min_c,
        "quota_throttled": held_back,
        "stolen": known(samples, "steal_pct") > limits.steal_max_pct,
        "throttled": _throttled(samples["throttle_mask"], limits.throttle_mask),
    }
    return {word: found[word] for word in GATE_MARKS}


def _throttled(reasons: pa.ChunkedArray, mask: int) -> Flags:
    bits = np.asarray(reasons.fill_null(0).to_numpy(), dtype=np.int64)  # as floats, large masks would lose low bits
    return np.asarray((bits & mask) != 0, dtype=bool)


def _clock_drops(clock_mhz: Floats, under_load: Flags, limits: Limits) -> Flags:
    """Compare with the highest clock that this experiment was seen to run at.

    No default or maximum of the device: one whose clock is locked, or that its power limit keeps low all the time, runs
    as steadily as any (NVIDIA/nvbench issue 231). Idle clocks are no drops, so only samples under load are compared.
    """
    loaded = under_load & ~np.isnan(clock_mhz)
    if not loaded.any():
        return np.zeros(len(clock_mhz), dtype=bool)
    least_mhz = float(clock_mhz[loaded].max()) * (1 - limits.clock_drop_max_ratio)
    return loaded & (clock_mhz < least_mhz)


def loaded_at(times_ns: Ints, start_ns: Ints, end_ns: Ints) -> Flags:
    """Tell at which times, rising, something executed: start <= time < end."""
    begun = np.searchsorted(times_ns, start_ns, "left")
    over = np.searchsorted(times_ns, end_ns, "left")
    changes = np.bincount(begun, minlength=len(times_ns) + 1) - np.bincount(over, minlength=len(times_ns) + 1)
    return np.asarray(np.cumsum(changes)[: len(times_ns)] > 0, dtype=bool)


def covered(times_ns: Ints, start_ns: Ints, end_ns: Ints) -> Flags:
    """Tell which executions lie between the first and the last sample: of the others nothing is known."""
    if len(times_ns) < 2:
        return np.zeros(len(start_ns), dtype=bool)
    return np.asarray((start_ns >= times_ns[0]) & (end_ns <= times_ns[-1]), dtype=bool)


def execution_marks(times_ns: Ints, marks: Mapping[str, Flags], start_ns: Ints, end_ns: Ints) -> dict[str, Flags]:
    """Return mark -> which executions meet a stretch that has it; only marks that any execution has.

    Args:
        times_ns: When the samples were taken, rising.
        marks: Which samples have each mark.
    """
    marked = {word: flags for word, flags in marks.items() if flags.any()}
    if len(times_ns) < 2 or not marked:
        return {}
    last = len(times_ns) - 2  # stretch k lies between samples k and k + 1
    first_met = np.searchsorted(times_ns, start_ns, "right") - 1
    last_met = np.searchsorted(times_ns, end_ns, "left") - 1
    outside = (last_met < 0) | (first_met > last)
    first_met, last_met = np.clip(first_met, 0, last), np.clip(last_met, 0, last)
    found = {}
    for word, flags in marked.items():
        before = np.concatenate(([0], np.cumsum(flags[1:])))
        met = (before[last_met + 1] > before[first_met]) & ~outside
        if met.any():
            found[word] = met
    return found


def count_for_gates(roles: NDArray[np.object_]) -> Flags:
    """Tell which executions say something of their experiment: not those that led in or kept a lane busy."""
    return np.asarray(~np.isin(roles.astype(str), list(UNCOUNTED_ROLES)), dtype=bool)


def known(samples: pa.Table, name: str) -> Floats:
    """Return a column of numbers; NaN where it is null, which no comparison holds for."""
    return np.asarray(samples[name].cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
