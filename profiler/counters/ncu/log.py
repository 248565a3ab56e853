"""From what ncu said, and how it ended, to one error of ours, or none.

ncu's exit code alone proves nothing: it is 0 where nothing was profiled.
"""

import re
import signal
from dataclasses import dataclass
from typing import Any

from cotenant.profiler.counters.ncu.errors import (
    ChildFailed,
    LogError,
    NcuCrashed,
    NcuFailed,
    NcuHung,
    NoKernelsProfiled,
)
from cotenant.profiler.counters.ncu.known import KNOWN, OTHER_SOURCE
from cotenant.profiler.counters.ncu.process import Finished

ERROR = re.compile(r"^==ERROR== *(.*\S) *$", re.MULTILINE)
OWN_LINE = re.compile(r"^==(?:ERROR|WARNING|PROF)==.*$", re.MULTILINE)
PROFILED = re.compile(r'^==PROF== Profiling ".*" - (\d+)\b', re.MULTILINE)
NOTHING = re.compile(r"No (?:kernels|ranges) were profiled")
SHELL_SIGNAL = 128  # added to the signal that ended a program by the shell script that started it, as ncu often is
CHILD_CODE = re.compile(r"The application returned an error code \((-?\d+)\)")
SHUT_DOWN = "Trying to shutdown target application"  # ncu then ends the program itself: its exit code tells nothing
WAITS = "Launching the workload is taking more time than expected"
LONGEST = 300


@dataclass(frozen=True)
class Told:
    """All that a run left behind, apart from its report.

    Attributes:
        log: What ncu wrote into its log file; "" if there is none.
        outcome: What the child wrote; {} if it wrote nothing.
        report_exists: Whether there is a report file.
        timeout_s: The time limit that held.
    """

    finished: Finished
    log: str
    outcome: dict[str, Any]
    report_exists: bool
    timeout_s: float


def failure(told: Told) -> NcuFailed | None:
    """Return what went wrong, or None if a report may be read."""
    said = "\n".join([told.log, *OWN_LINE.findall(told.finished.tail)])
    code = told.finished.exit_code
    for pattern, kind, line in KNOWN:
        found = pattern.search(said)
        if found is not None:
            return kind(line(found[0]))
    if code is None:
        waits = "; a kernel launched by itself did not end: it may wait for another" if WAITS in said else ""
        return NcuHung(
            f"ncu did not end within {told.timeout_s:g} s{_last(told)}{waits}; give it more time (counters: timeout_s"
            " in the spec), or profile the counter set `single` alone"
        )
    if code < 0:
        return _crashed(told, -code)
    return _failed_child(told, said) or _other_error(told, said)


def profiled_count(log: str) -> int | None:
    """Return how many kernels ncu says it profiled; None if it does not say."""
    return len(set(PROFILED.findall(log))) or None


def _failed_child(told: Told, said: str) -> NcuFailed | None:
    error = told.outcome.get("error")
    if error is not None:
        own = _errors(said)  # a kernel that ncu fails to profile fails in the program too
        beside = f" (ncu said: {_short(own[0])})" if own else ""
        return ChildFailed(f"the engine could not be executed under ncu: {_short(str(error))}{beside}")
    code = CHILD_CODE.search(said)
    if code is not None and SHUT_DOWN not in said and not _errors(said):
        how = f"was ended by {_signal_name(-int(code[1]))}" if int(code[1]) < 0 else f"ended with code {code[1]}"
        return ChildFailed(f"the program that executes the engine under ncu {how}{_last(told)}")
    return None


def _other_error(told: Told, said: str) -> NcuFailed | None:
    errors, code = ERROR.findall(said), told.finished.exit_code or 0
    if not errors and code - SHELL_SIGNAL in {each.value for each in signal.Signals}:
        return _crashed(told, code - SHELL_SIGNAL)
    if errors or code:
        what = " ".join((_errors(said) or errors)[:3]) or f"exit code {code}{_last(told)}"
        return LogError(f"ncu failed: {_short(what)}; profile the engine again, {OTHER_SOURCE}")
    if NOTHING.search(said):
        return NoKernelsProfiled(
            "ncu profiled no kernel of the execution, though it ended well: the engine launches none on this GPU, or"
            f" this version does not see the NVTX range; update Nsight Compute, {OTHER_SOURCE}"
        )
    if not told.report_exists:
        return LogError(f"ncu ended well but wrote no report{_last(told)}; profile the engine again, {OTHER_SOURCE}")
    return None


def _crashed(told: Told, number: int) -> NcuCrashed:
    return NcuCrashed(f"ncu was ended by {_signal_name(number)}{_last(told)}; try another version of Nsight Compute")


def _errors(said: str) -> list[str]:
    """Return ncu's own errors, without those that only say that there were some."""
    empty = (CHILD_CODE.pattern, "An error occurred while trying to profile", "An error was reported by")
    return [line for line in ERROR.findall(said) if not any(re.search(each, line) for each in empty)]


def _last(told: Told) -> str:
    lines = [line for line in told.finished.tail.splitlines() if line.strip() and not line.startswith("==")]
    return f" ({_short(lines[-1])})" if lines else ""


def _short(text: str) -> str:
    return " ".join(text.split())[:LONGEST]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no name
        return f"signal {number}"
