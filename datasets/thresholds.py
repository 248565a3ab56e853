"""The one reader of `quality`: the thresholds that were in force, as a dataset stores them."""

import json
import math
from typing import Any

ABOVE_ZERO = ("gain_min_ratio", "canary_drift_max_ratio")  # what decides verdicts
NUMBERS = ("enqueue_bound_max_ratio", "self_test_max_ratio")  # where they are stored
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
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
