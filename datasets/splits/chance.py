"""Numbers in [0, 1) drawn by a digest of keys: the same on every machine, whatever the order of rows."""

import hashlib

import numpy as np
from numpy.typing import NDArray

STEP = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MANTISSA_BITS = 53


def of_run(seed: int, experiment_id: str) -> float:
    """Return a run's number."""
    return float(_unit(np.array([_digest(seed, "run", experiment_id)], dtype=np.uint64))[0])


def of_executions(seed: int, experiment_id: str, execution_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the number of each execution of a run."""
    start = np.uint64(_digest(seed, "execution", experiment_id))
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        mixed = start + (execution_ids.astype(np.uint64) + np.uint64(1)) * STEP
        mixed = (mixed ^ (mixed >> np.uint64(30))) * FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * SECOND
    return _unit(mixed ^ (mixed >> np.uint64(31)))


def _digest(seed: int, what: str, experiment_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{what}/{experiment_id}".encode()).digest()[:8], "big")


def _unit(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (numbers >> np.uint64(64 - MANTISSA_BITS)).astype(np.float64) * 2.0**-MANTISSA_BITS
