"""From a report to its row of `throughputs` and its rows of `kernels`.

    kernel_wmean   sum(value x duration) / sum(duration) over the kernels, as the paper does it. A throughput metric is
                   the largest of several counters, so this mean lies at or above what the whole execution would give.
    range          the execution's own values; how long its kernels ran within it is not known

What only a solo profile tells (rates per second of its span, utilisation, isolation) is left to the caller.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from cotenant.profiler.counters.metrics import (
    AMOUNTS,
    CLOCKED,
    DURATION,
    FILLED,
    PERCENTAGES,
    Filled,
    MetricSet,
)
from cotenant.profiler.counters.plausible import HIGHEST_PCT, ReportImplausible, doubt
from cotenant.profiler.counters.reports.report import Report, Workload

COUNTER_SOURCE = "ncu"
REPLAY_WORDS = {"kernel": "kernel", "app-range": "app_range"}  # words of the column replay_mode


def throughputs_of(
    report: Report,
    counter_set: MetricSet,
    durations_ns: Sequence[float] | None = None,
    measured: Sequence[int] | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of `throughputs` and the rows of `kernels` of one execution, without ids.

    Args:
        durations_ns: Of each workload, measured without the profiler; they weigh in place of the report's.
        measured: Of each workload, the index of the one whose measurement it carries; its own where this is None.

    Raises:
        ReportImplausible: The report is of another kind than the set, or its values cannot be in the units claimed.
    """
    _check_kind(report, counter_set)
    stated_ns = [each.metrics[DURATION] for each in report.workloads] if durations_ns is None else durations_ns
    lasted_ns = [round(each) for each in stated_ns]  # as tables keep them, so that means follow from them exactly
    sources = list(range(len(report.workloads))) if measured is None else list(measured)
    if not len(lasted_ns) == len(sources) == len(report.workloads):
        raise ValueError("there must be one duration and one measured index for each workload")
    why = doubt(report.workloads, lasted_ns)
    if why is not None:
        raise ReportImplausible(why)
    values = {each.column: _over(each, report.workloads, lasted_ns) for each in FILLED[counter_set.name]}
    row: dict[str, Any] = {
        "counter_source": COUNTER_SOURCE,
        "counter_set": counter_set.name,
        "aggregation": counter_set.aggregation,
        **{column: values.get(column) for column in (*PERCENTAGES, *AMOUNTS, *CLOCKED)},
        **_times(counter_set, lasted_ns, sources),
        "replay_passes": report.passes,
        "replay_mode": REPLAY_WORDS[counter_set.replay_mode],
        "clock_control": counter_set.clock_control,
        "cache_control": counter_set.cache_control,
        "profiler_version": report.profiler_version,
        "marks": [],
    }
    row["null_reasons"] = _nulled(row, counter_set)
    kernels = [] if counter_set.aggregation == "range" else list(_kernels(report, counter_set, lasted_ns, sources))
    return row, kernels


def _check_kind(report: Report, counter_set: MetricSet) -> None:
    ranges = sum(each.is_range for each in report.workloads)
    if counter_set.aggregation == "range" and (ranges, len(report.workloads)) != (1, 1):
        held = f"{ranges} ranges and {len(report.workloads) - ranges} kernels"
        raise ReportImplausible(f"one range was profiled, but the report holds {held}")
    if counter_set.aggregation == "kernel_wmean" and ranges:
        raise ReportImplausible(f"kernels were profiled, but the report holds {ranges} ranges")


def _times(counter_set: MetricSet, lasted_ns: Sequence[float], sources: Sequence[int]) -> dict[str, int | None]:
    """Return the columns that keep busy and wall time apart, and count kernels."""
    total_ns = round(math.fsum(lasted_ns))
    if counter_set.aggregation == "range":
        return {"wall_ns": total_ns, "busy_ns": None, "kernel_count": None, "replayed_kernel_count": None}
    own = sum(index == source for index, source in enumerate(sources))
    return {"wall_ns": None, "busy_ns": total_ns, "kernel_count": len(sources), "replayed_kernel_count": own}


def _kernels(
    report: Report, counter_set: MetricSet, lasted_ns: Sequence[float], sources: Sequence[int]
) -> Iterator[dict[str, Any]]:
    filled = {each.column: each for each in FILLED[counter_set.name]}
    for index, each in enumerate(report.workloads):
        row: dict[str, Any] = {
            "counter_source": COUNTER_SOURCE,
            "counter_set": counter_set.name,
            "kernel_index": index,
            "measured_kernel_index": sources[index],
            "name": each.name,
            "duration_ns": round(lasted_ns[index]),
            "grid": _joined(each.grid),
            "block": _joined(each.block),
            **{column: _value(filled[column], each) if column in filled else None for column in PERCENTAGES},
        }
        row["null_reasons"] = _nulled(row, counter_set)
        yield row


def _over(filled: Filled, workloads: Sequence[Workload], lasted_ns: Sequence[float]) -> float | int | None:
    """Return a column's value over all workloads: the sum of an amount, else the mean weighted by duration."""
    values = [_value(filled, each) for each in workloads]
    known = [value for value in values if value is not None]
    if len(known) != len(values):
        return None
    if filled.column in AMOUNTS:
        return round(math.fsum(known))
    weighted = math.fsum(value * lasted for value, lasted in zip(known, lasted_ns, strict=True))
    return weighted / math.fsum(lasted_ns)


def _value(filled: Filled, workload: Workload) -> float | None:
    values = [workload.metrics[metric] for metric in filled.metrics if metric in workload.metrics]
    return max(values) * filled.factor if len(values) == len(filled.metrics) else None


def _nulled(row: dict[str, Any], counter_set: MetricSet) -> dict[str, str]:
    """Null what cannot be kept, and return column -> why it is null."""
    reasons = {name: _reason(name, counter_set) for name, value in row.items() if value is None}
    for name in PERCENTAGES:
        if row[name] is not None and row[name] > HIGHEST_PCT:
            row[name], reasons[name] = None, "above_peak"
    return reasons


def _reason(column: str, counter_set: MetricSet) -> str:
    if column in ("busy_ns", "kernel_count", "replayed_kernel_count"):
        return "one_range"
    if column == "wall_ns":
        return "kernels_apart"
    if column in (*PERCENTAGES, *AMOUNTS, *CLOCKED):
        return "no_counter" if any(each.column == column for each in FILLED[counter_set.name]) else "not_in_set"
    return "not_reported"


def _joined(counts: tuple[int, int, int] | None) -> str | None:
    return None if counts is None else ",".join(str(count) for count in counts)
