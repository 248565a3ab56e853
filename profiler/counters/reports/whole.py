"""From what a reader found to a report that can be believed, or a refusal."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from cotenant.profiler.counters import metrics as known
from cotenant.profiler.counters.reports.found import Found, Value
from cotenant.profiler.counters.reports.report import Report, ReportDamaged, Workload
from cotenant.profiler.counters.reports.units import factor


def whole(
    path: Path,
    found: Sequence[Found],
    metrics: Sequence[str],
    profiler_version: str | None,
    expected_count: int | None = None,
) -> Report:
    """Return the report, if it has results and each has every metric as a finite number in a unit that we know.

    Raises:
        ReportDamaged: It has not.
    """
    if not found:
        raise ReportDamaged(path, "the report holds no results: nothing was profiled")
    if expected_count is not None and len(found) != expected_count:
        raise ReportDamaged(path, f"the report holds {len(found)} results where {expected_count} were expected")
    workloads = []
    for index, each in enumerate(found):
        place = f"result {index} ({each.name})"
        lacks = known.lacking(_capability(each))
        wanted = [name for name in metrics if name not in lacks or name in each.values]
        values = {name: _number(path, place, name, each.values.get(name)) for name in wanted}
        workloads.append(Workload(each.name, each.grid, each.block, values, each.is_range))
    return Report(tuple(workloads), profiler_version, _passes(found))


def _number(path: Path, place: str, name: str, value: Value | None) -> float:
    if value is None:
        raise ReportDamaged(path, f"{place} lacks {name}")
    if value.number is None or not math.isfinite(value.number):
        raise ReportDamaged(path, f"{place} has {value.told} for {name}, which is no finite number as ncu prints it")
    if value.number < 0:
        raise ReportDamaged(path, f"{place} has {value.told} for {name}, and no counter is negative")
    unit_factor = 1.0 if value.unit is None else factor(name, value.unit)
    if unit_factor is None:
        raise ReportDamaged(path, f"{place} has {name} in the unit {value.unit!r}, which cannot be converted")
    return value.number * unit_factor


def _capability(each: Found) -> str | None:
    parts = [each.values.get(name) for name in known.CAPABILITY]
    numbers = [part.number for part in parts if part is not None and part.number is not None]
    return ".".join(str(int(number)) for number in numbers) if len(numbers) == len(known.CAPABILITY) else None


def _passes(found: Iterable[Found]) -> int | None:
    counts = [each.values[known.PASSES].number for each in found if known.PASSES in each.values]
    return max((int(count) for count in counts if count is not None and math.isfinite(count)), default=None)
