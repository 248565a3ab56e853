"""The one reader of `quality`: the thresholds that were in force, as a dataset stores them."""

import json
import math
from typing import Any

ABOVE_ZERO = ("gain_min_ratio", "canary_drift_max_ratio")  # what decides verdicts
NUMBERS = ("enqueue_bound_max_ratio", "self_test_max_ratio")  # where they are stored
OF_GATES = ("clock_drop_max_ratio", "foreign_cpu_max_pct", "steal_max_pct", "temperature_margin_min_c")  # the same
MASK_END = 1 << 63
RECURSION = "it is nested too deeply"


def read_thresholds(text: str) -> dict[str, Any]:
    """Return the thresholds in force; ValueError says which one cannot be."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError(RECURSION) from error
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    for name in ("alpha", "look_quads", *ABOVE_ZERO):
        if name not in found:
            raise ValueError(f"it lacks {name}")
    for name, value in found.items():
        if _is_number(value) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}")
    if not _is_number(found["alpha"]) or not 0 < found["alpha"] < 1:
        raise ValueError(f"alpha is {found['alpha']!r}, which lies not between 0 and 1")
    looks = found["look_quads"]
    if not isinstance(looks, list) or not looks or not all(type(look) is int and look > 0 for look in looks):
        raise ValueError(f"look_quads is {looks!r}, which is no list of numbers of quads")
    for name in ABOVE_ZERO:
        if not _is_number(found[name]) or found[name] <= 0:
            raise ValueError(f"{name} is {found[name]!r}, which is no number above 0")
    for name in NUMBERS:
        if not _is_number(found.get(name, 0)):
            raise ValueError(f"{name} is {found[name]!r}, which is no number")
    _check_gates(found)
    return found


def _check_gates(found: dict[str, Any]) -> None:
    for name in OF_GATES:
        if found.get(name) is not None and not _is_number(found[name]):
            raise ValueError(f"{name} is {found[name]!r}, which is no number")
    mask, boost = found.get("throttle_mask"), found.get("sync_boost_throttles")
    if mask is not None and not (type(mask) is int and 0 <= mask < MASK_END):
        raise ValueError(f"throttle_mask is {mask!r}, which is no mask of bits")
    if boost is not None and not isinstance(boost, bool):
        raise ValueError(f"sync_boost_throttles is {boost!r}, which is neither true nor false")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
