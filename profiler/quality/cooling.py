"""A pause between experiments while a GPU is hot, with a time limit; rows measured hot are marked by the telemetry."""

import time
from collections.abc import Callable
from typing import Any

from cotenant.profiler.quality.source import Source, SourceFailed
from cotenant.profiler.quality.thresholds import THERMAL_MASK, Quality

LOOK_EVERY_S = 1.0


def cool_down(
    source: Source | None,
    quality: Quality,
    slowdown_c: float | None,
    note: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    now_s: Callable[[], float] = time.monotonic,
) -> float:
    """Wait until a device is cool again, or `cool_down_s` have passed; return the seconds waited.

    Ctrl-C ends the wait as it ends any other work.

    Args:
        slowdown_c: Temperature at which the driver slows down, for devices that tell no margin; None = not known.
        note: Told once when the pause begins, and once when it ends in vain.
    """
    began_s = now_s()
    if source is None:
        return 0.0
    why = too_hot(_asked(source), quality, slowdown_c)
    if why is None or quality.cool_down_s <= 0:
        return 0.0
    note(f"paused to cool down: {why} (at most {quality.cool_down_s:g} s, quality.cool_down_s)")
    while why is not None and now_s() - began_s < quality.cool_down_s:
        sleep(min(LOOK_EVERY_S, max(0.0, quality.cool_down_s - (now_s() - began_s))))
        why = too_hot(_asked(source), quality, slowdown_c)
    waited_s = now_s() - began_s
    if why is not None:
        note(f"still hot after {waited_s:.0f} s: {why}; going on, and what is throttled is marked")
    return waited_s


def too_hot(told: dict[str, Any], quality: Quality, slowdown_c: float | None) -> str | None:
    """Return why a sample is too hot to measure, in words; None if it is not, or does not say."""
    margin, temperature = told.get("temperature_margin_c"), told.get("temperature_c")
    if margin is None and temperature is not None and slowdown_c is not None:
        margin = slowdown_c - temperature
    if margin is not None and margin < quality.temperature_margin_min_c:
        return f"{margin:g} C below slowing down, {quality.temperature_margin_min_c:g} C wanted"
    mask = told.get("throttle_mask")
    if mask is not None and mask & THERMAL_MASK & quality.bad_clock_reasons:
        return f"the driver slows it down for its temperature ({mask:#x})"
    return None


def _asked(source: Source) -> dict[str, Any]:
    try:
        return source.sample()
    except SourceFailed:
        return {}
