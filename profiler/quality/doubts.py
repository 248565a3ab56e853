"""What telemetry shows that a person at the screen can do something about; the dataset's marks are derived apart."""

from collections.abc import Callable, Iterator
from typing import Any

from cotenant.profiler.quality.telemetry import Telemetry
from cotenant.profiler.quality.thresholds import Quality

OFTEN_RATIO = 0.5  # of the samples that tell it: what happens now and then is left to the marks


def doubts(telemetry: Telemetry, quality: Quality) -> Iterator[tuple[str, str]]:
    """Return (stable word, sentence) of each doubt about one experiment."""
    foreign_max, steal_max = quality.foreign_cpu_max_pct or 0.0, quality.steal_max_pct
    bad = quality.bad_clock_reasons
    if telemetry.rows and telemetry.stopped is not None:
        yield (
            "stopped",
            f"telemetry ended within an experiment ({telemetry.stopped}); its rows carry no marks after that",
        )
    if _often(telemetry, "foreign_process_count", lambda count: count > 0):
        yield "strangers", "other processes compute on it; stop them, or what is measured is theirs too"
    if _often(telemetry, "foreign_cpu_pct", lambda pct: pct > foreign_max):
        yield "foreign_load", f"other processes take more than {foreign_max:g} % of the cores' time; see `top`"
    if _often(telemetry, "steal_pct", lambda pct: pct > steal_max):
        yield "stolen", f"other guests of its host take more than {steal_max:g} % of the cores' time"
    if _often(telemetry, "throttle_mask", lambda mask: bool(mask & bad)):
        yield "throttled", "the driver holds its clocks down; let it cool, or lock its clocks (see `cotenant doctor`)"
    if _often(telemetry, "quota_throttled_ns", lambda held_ns: held_ns > 0):
        yield "quota_throttled", "the control group's quota holds lanes back; raise it, or use fewer lanes"


def _often(telemetry: Telemetry, column: str, holds: Callable[[Any], bool]) -> bool:
    told = [row[column] for row in telemetry.rows if row[column] is not None]
    return bool(told) and sum(map(holds, told)) > OFTEN_RATIO * len(told)
