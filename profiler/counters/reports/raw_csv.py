"""The reader without the vendor's package: what ncu itself prints of a report as CSV.

Values carry as many digits as ncu prints, two after the point in samples of several versions, so they agree with the
package's to half of the last digit.
"""

import csv
import io
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cotenant.models.errors import WorkError
from cotenant.profiler.counters.metrics import CAPABILITY, PASSES
from cotenant.profiler.counters.ncu.program import known_options
from cotenant.profiler.counters.reports.found import Found, Value
from cotenant.profiler.counters.reports.report import ReportDamaged

OPTIONS = ("--page", "raw", "--csv", "--print-fp", "--print-units", "base")
# Where this ncu has them; one that lacks them has nothing to be switched off. Renaming, on by default, shortens names,
# so that they differ from the package's, and those of different kernels may be the same.
SWITCHED_OFF = ("--config-file", "--rename-kernels")
TIMEOUT_S = 120.0
NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?([eE][+-]?\d+)?")
KERNEL, GRID, BLOCK, COMPUTE_CAPABILITY = "Kernel Name", "Grid Size", "Block Size", "CC"


def printed(path: Path, program: Path, timeout_s: float = TIMEOUT_S) -> str:
    """Return what ncu prints of a report.

    Raises:
        ReportDamaged: ncu fails on it.
        WorkError: ncu cannot be run, or does not end.
    """
    known = known_options(program)
    switched_off = [word for option in SWITCHED_OFF if option in known for word in (option, "off")]
    command = [str(program), "--import", str(path), *switched_off, *OPTIONS]
    environment = {**os.environ, "LC_ALL": "C"}  # else numbers follow the user's locale
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkError(
            f"{program} --import {path} did not end in {timeout_s:g} s; profile the engine again"
        ) from error
    except OSError as error:
        raise WorkError(f"{program} cannot be run ({error.strerror}); install Nsight Compute again") from error
    if done.returncode or "==ERROR==" in done.stdout + done.stderr:
        said = " ".join((done.stderr + " " + done.stdout).split())[:300] or f"exit code {done.returncode}"
        raise ReportDamaged(path, f"{program} cannot read it ({said})")
    return done.stdout


def found(path: Path, text: str, metrics: Sequence[str]) -> list[Found]:
    """Return what the CSV tells of these metrics, in its order.

    Raises:
        ReportDamaged: It is no such CSV, or ends in the middle.
    """
    rows = _rows(path, text)
    if not rows:
        return []
    header, units, results = rows[0], rows[1] if len(rows) > 1 else [], rows[2:]
    if any(len(row) != len(header) for row in rows[1:]):
        raise ReportDamaged(path, "the CSV that ncu prints of it has lines of different lengths")
    if not units or units[header.index("ID")]:
        raise ReportDamaged(path, "the CSV that ncu prints of it lacks the row of units")
    unit_of = dict(zip(header, units, strict=True))
    return [_found(dict(zip(header, row, strict=True)), unit_of, metrics) for row in results]


def _rows(path: Path, text: str) -> list[list[str]]:
    """Return header, units and results, without what ncu says before them."""
    lines = text.splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if line.startswith(('"ID"', "ID,"))), None)
    if start is None:
        return []
    if not text.endswith("\n"):
        raise ReportDamaged(path, "the CSV that ncu prints of it ends in the middle of a line")
    try:
        rows = [row for row in csv.reader(io.StringIO("".join(lines[start:])), strict=True) if row]
    except csv.Error as error:
        raise ReportDamaged(path, f"what ncu prints of it is no CSV ({error})") from error
    header = rows[0]
    if KERNEL not in header or len(set(header)) != len(header):
        raise ReportDamaged(path, "the CSV that ncu prints of it has another header than the page `raw`")
    return rows


def _found(row: Mapping[str, str], unit_of: Mapping[str, str], metrics: Sequence[str]) -> Found:
    values = {
        name: Value(number(row[name]), unit_of[name], repr(row[name]))
        for name in (*metrics, PASSES, *CAPABILITY)
        if row.get(name)
    }
    # the column CC is on the page even where the attributes are not
    parts = row.get(COMPUTE_CAPABILITY, "").split(".")
    if len(parts) == 2 and not any(name in values for name in CAPABILITY):
        values |= {name: Value(number(part), None, part) for name, part in zip(CAPABILITY, parts, strict=True)}
    grid = _triple(row.get(GRID, ""))
    if grid is None:
        return Found(row[KERNEL], None, None, values, is_range=True)
    return Found(row[KERNEL], grid, _triple(row.get(BLOCK, "")), values, is_range=False)


def number(told: str) -> float | None:
    """Return the number that ncu printed in the C locale, thousands separated or not; None for anything else."""
    return float(told.replace(",", "")) if NUMBER.fullmatch(told) else None


def _triple(told: str) -> tuple[int, int, int] | None:
    """Return a launch's dimensions; None for a range, which has none."""
    counts = [int(count) for count in re.findall(r"\d+", told)]
    if len(counts) != 3 or not any(counts):
        return None
    return counts[0], counts[1], counts[2]
