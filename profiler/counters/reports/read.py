"""One function that reads a report, through the vendor's package or through ncu's own CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cotenant.profiler.counters.reports import package, raw_csv
from cotenant.profiler.counters.reports.blocks import Contents, contents
from cotenant.profiler.counters.reports.found import Found
from cotenant.profiler.counters.reports.report import NoReader, Report, ReportDamaged
from cotenant.profiler.counters.reports.whole import whole


def read_report(
    path: Path,
    metrics: Sequence[str],
    program: Path | None,
    reader: Literal["auto", "package", "csv"] = "auto",
    expected_count: int | None = None,
) -> Report:
    """Read a report, and refuse anything but a whole one with every metric finite.

    Args:
        metrics: What every result must have; what its chip lacks by metrics.py may be absent.
        program: The ncu that wrote it; its own module or its CSV reads it where the package is not there.
        reader: `auto` takes the package unless it is older than the report's ncu, then the program's CSV.
        expected_count: How many results there must be, where that is known.

    Raises:
        ReportDamaged: It is empty, cut, foreign, or lacks a result or a number.
        NoReader: Nothing on this machine can read it.
        FileNotFoundError: It is not there.
    """
    held = contents(path)
    why = "there is no ncu to print its CSV"
    if reader != "csv":
        module = package.module(program)
        context = None if module is None else package.opened(path, module)
        why = package.refusal(context, held)
        if not why:
            found = package.found(context, module, metrics, held)
            return _report(path, found, metrics, held, expected_count)
    if reader == "package" or program is None:
        raise NoReader(path, why)
    found = raw_csv.found(path, raw_csv.printed(path, program), metrics)
    return _report(path, found, metrics, held, expected_count)


def _report(
    path: Path, found: Sequence[Found], metrics: Sequence[str], held: Contents, expected_count: int | None
) -> Report:
    if len(found) != held.result_count:
        raise ReportDamaged(path, f"{len(found)} results can be read where the report holds {held.result_count}")
    return whole(path, found, metrics, held.profiler_version, expected_count)
