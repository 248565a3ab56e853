"""Runs the parts one after the other, tells each as it ends, and leaves one result and one archive.

part -> line in gpu_check.jsonl (and on the terminal) -> ... -> gpu_check.json -> gpu_check.tar.gz
"""

import json
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cotenant.profiler.gpu_check import archive, machine
from cotenant.profiler.gpu_check.part import Outcome, Part
from cotenant.profiler.gpu_check.process import run_part

FORMAT = 1
LINES = "gpu_check.jsonl"
FRESH = ("logs", "parts", "tables", "recorded", "campaigns", LINES, archive.RESULT, archive.ARCHIVE)
RESERVE_S = 10.0  # of the budget: for the archive, and for ending the part that runs last
LEAST_S = 5.0
NO_TIME = "no time left"
ALIVE = Part("alive", "whether the GPU still answers", "alive", needs=("cuda.bindings",), timeout_s=30)
EXECUTED = {"lane": "gpu_execution", "tensorrt": "tensorrt_execution"}  # part -> what it proves if it ends well


def run_all(parts: Sequence[Part], folder: Path, budget_s: float) -> int:
    """Run the parts and return the exit code: 0 if one ran at least and each that ran is ok."""
    _clear(folder)
    began_s, started_at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    outcomes: list[Outcome] = []
    gone: str | None = None  # why nothing more is asked of the GPU
    for part in parts:
        left_s = budget_s - RESERVE_S - (time.monotonic() - began_s)
        outcome = _skipped(part, left_s, gone) or run_part(part, folder, min(part.timeout_s, left_s))
        outcomes.append(outcome)
        _tell(outcome, folder)
        if gone is None and _may_have_broken_the_gpu(outcome):
            gone = _gone(run_part(ALIVE, folder, min(ALIVE.timeout_s, max(LEAST_S, left_s))), part)
    code = exit_code(outcomes)
    _keep(folder, outcomes, {"started_at": started_at, "seconds": round(time.monotonic() - began_s, 1)}, code)
    return code


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if at least one part ran and each that ran is ok, else 1."""
    ran = [outcome.state for outcome in outcomes if outcome.state != "skipped"]
    return 0 if ran and all(state == "ok" for state in ran) else 1


def proven(outcomes: Sequence[Outcome]) -> list[str]:
    """Return which kinds of execution on a GPU these parts prove."""
    return [EXECUTED[each.part] for each in outcomes if each.state == "ok" and each.part in EXECUTED]


def _clear(folder: Path) -> None:
    """Take away what an earlier run left, but for the engines it built."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FRESH:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _skipped(part: Part, left_s: float, gone: str | None) -> Outcome | None:
    if left_s < LEAST_S:
        return Outcome(part.name, "skipped", 0.0, NO_TIME)
    return Outcome(part.name, "skipped", 0.0, gone) if gone and part.needs_gpu else None


def _may_have_broken_the_gpu(outcome: Outcome) -> bool:
    return outcome.state == "timed_out" or "left_running_pids" in outcome.facts or "killed by" in (outcome.reason or "")


def _gone(alive: Outcome, after: Part) -> str | None:
    answers = alive.state in ("ok", "skipped")  # skipped: there was no GPU before either
    return None if answers else f"the GPU does not answer since {after.name} ({alive.reason})"


def _tell(outcome: Outcome, folder: Path) -> None:
    line = machine.without_paths(json.dumps(outcome.stored()), folder)
    with (folder / LINES).open("a") as lines:
        lines.write(f"{line}\n")
    print(line, flush=True)


def _keep(folder: Path, outcomes: Sequence[Outcome], times: dict[str, Any], code: int) -> None:
    files, left_out = archive.choose(folder)
    result = {
        "format": FORMAT,
        "command": machine.command(),
        "commit": machine.commit(),
        "source_sha256": machine.source_sha256(),
        **times,
        "machine": machine.machine(),
        "versions": machine.versions(),
        "proves": proven(outcomes),
        "exit_code": code,
        "left_out_of_archive": [f"{each.relative_to(folder)} ({each.stat().st_size} bytes)" for each in left_out],
        "parts": [outcome.stored() for outcome in outcomes],
    }
    (folder / archive.RESULT).write_text(machine.without_paths(json.dumps(result, indent=1), folder))
    path = archive.write(folder, files)
    states = [outcome.state for outcome in outcomes]
    told = ", ".join(f"{states.count(state)} {state}" for state in ("ok", "failed", "timed_out", "skipped"))
    print(f"{told}; everything is in {path}", file=sys.stderr, flush=True)
