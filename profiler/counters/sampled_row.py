"""A row of `throughputs` from samples taken while an engine ran back to back: medians, each null with its reason."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from cotenant.datasets.tables.throughputs import THROUGHPUTS
from cotenant.profiler.counters.plausible import HIGHEST_PCT

NOT_APPLICABLE = ("isolation", "replay_passes", "replay_mode", "clock_control", "cache_control")
ONE_RANGE = ("busy_ns", "kernel_count", "replayed_kernel_count")


def over(values: Sequence[float | None]) -> float | None:
    """Return the median; None where a sample lacks it, for a median of the rest would be of other times."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return float(median(known)) if known and len(known) == len(values) else None


def sampled_row(
    source: str, counter_set: str, known: Mapping[str, Any], reasons: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the row without ids; `reasons` say why a column of `known` is null, if not because nobody told it."""
    row: dict[str, Any] = {
        "counter_source": source,
        "counter_set": counter_set,
        "aggregation": "range",
        **{column.name: known.get(column.name) for column in THROUGHPUTS.columns if column.nullable},
        "marks": [],
    }
    nulled = {name: (reasons or {}).get(name) or _reason(name, known) for name, value in row.items() if value is None}
    for name, value in known.items():
        if name.endswith("_pct") and value is not None and value > HIGHEST_PCT:
            row[name], nulled[name] = None, "above_peak"
    row["null_reasons"] = nulled
    return row


def _reason(column: str, known: Mapping[str, Any]) -> str:
    if column in known:
        return "not_reported"
    if column in ONE_RANGE:
        return "one_range"
    return "not_applicable" if column in NOT_APPLICABLE else "not_in_set"
