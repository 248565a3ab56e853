"""The units of counters: what ncu calls them, and the one base unit that we keep.

Times and frequencies are converted, whatever the version calls them ("nsecond" became "ns", "cycle/second" "hz", and
the library beneath says "gpc_cycle"). Scaled bytes are refused: nothing in a report tells if a "Kbyte" is 1000 or 1024.
"""

import re

PERCENT = {"%": 1.0, "percent": 1.0}
TIME = {
    **{"ns": 1.0, "nsecond": 1.0, "nanosecond": 1.0},
    **{"us": 1e3, "usecond": 1e3, "microsecond": 1e3},
    **{"ms": 1e6, "msecond": 1e6, "millisecond": 1e6},
    **{"s": 1e9, "second": 1e9},
}
FREQUENCY = {
    **{"hz": 1.0, "cycle/s": 1.0, "cycle/second": 1.0},
    **{"khz": 1e3, "cycle/ms": 1e3, "cycle/msecond": 1e3},
    **{"mhz": 1e6, "cycle/us": 1e6, "cycle/usecond": 1e6},
    **{"ghz": 1e9, "cycle/ns": 1e9, "cycle/nsecond": 1e9},
}
BYTE, SECTOR, CYCLE = {"byte": 1.0}, {"sector": 1.0}, {"cycle": 1.0}
DOMAIN = re.compile(r"^[a-z0-9]+_(?=cycle|sector)")  # whose cycle it is, the metric's name tells already
PLURAL = re.compile(r"(?<=byte|ycle|ctor|cond)s$|(?<=cycle)s(?=/)")


def accepted(metric: str) -> dict[str, float] | None:
    """Return unit -> base units in one of it, for the quantity that a metric is; None if we do not know the metric."""
    if ".pct" in metric:
        return PERCENT
    if metric.endswith("__time_duration.sum"):
        return TIME
    if "__cycles_" in metric:
        return FREQUENCY if metric.endswith(".per_second") else CYCLE
    if metric.endswith("__bytes.sum"):
        return BYTE
    return SECTOR if metric.endswith("_sectors.sum") else None


def factor(metric: str, unit: str) -> float | None:
    """Return how many base units one `unit` of a metric is; None if a value in this unit cannot be used."""
    known = accepted(metric)
    return 1.0 if known is None else known.get(PLURAL.sub("", DOMAIN.sub("", unit.strip().lower())))
