"""One part in a process group of its own: started, limited, ended as a whole, and asked how it went."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cotenant.profiler.gpu_check.inside import facts_path, verdict_path
from cotenant.profiler.gpu_check.leftovers import MARK, end_marked
from cotenant.profiler.gpu_check.machine import without_paths
from cotenant.profiler.gpu_check.part import Outcome, Part
from cotenant.runners.cuda.driver_context import DRIVER_VARIABLES

INSIDE = "cotenant.profiler.gpu_check.inside"
LOG_BYTES_MAX = 64 << 10
STUCK_S = 5.0  # a process inside a driver call may be unkillable; it is left behind then, and told of


def run_part(part: Part, folder: Path, timeout_s: float) -> Outcome:
    """Run a part for `timeout_s` at most and return how it ended; nothing of it is left running."""
    for path in (facts_path(folder, part.name), verdict_path(folder, part.name)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    log = folder / "logs" / f"{part.name}.txt"
    log.parent.mkdir(exist_ok=True)
    began_s, mark = time.monotonic(), uuid.uuid4().hex
    with log.open("wb") as said:
        process = _start(replace(part, timeout_s=timeout_s), folder, mark, said)
        try:
            in_time = _wait(process, timeout_s)
        finally:
            stuck = _end(process, mark)
    seconds = time.monotonic() - began_s
    _tidy(log, folder)
    facts = _read(facts_path(folder, part.name))
    if stuck:
        facts["left_running_pids"] = stuck
    if not in_time:
        return Outcome(part.name, "timed_out", seconds, f"no end within {timeout_s:g} s", facts)
    verdict = _read(verdict_path(folder, part.name))
    if verdict:
        return Outcome(part.name, verdict["state"], seconds, verdict["reason"], facts)
    return Outcome(part.name, "failed", seconds, f"its process {_death(process.returncode)}{_last_line(log)}", facts)


def _start(part: Part, folder: Path, mark: str, said: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", INSIDE, json.dumps(asdict(part)), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        # the driver reads them as it starts, which a part may make it do before a session would set them
        env={
            **DRIVER_VARIABLES,
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            **os.environ,
            "CUDA_LAUNCH_BLOCKING": "0",  # a launch that waits for its end would wait for ever behind a gate
            "PYTHONPATH": _import_path(),
            "PYTHONFAULTHANDLER": "1",
            MARK: mark,
        },
        start_new_session=True,
    )


def _import_path() -> str:
    """Return $PYTHONPATH with whole paths: parts may change their folder."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(str(Path(entry).absolute()) for entry in entries if entry)


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]", mark: str) -> list[int]:
    """End the group if its leader still runs, and then whatever carries the mark; return what would not end."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STUCK_S)
    return end_marked(mark)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code} and no verdict"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # real-time signals have no name
        return f"was killed by signal {-code}"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f" ({' '.join(lines[-1].split())[:300]})" if lines else ""


def _tidy(log: Path, folder: Path) -> None:
    """Keep the end of a long log, without this machine's folders."""
    text = log.read_bytes()
    head = "...\n" if len(text) > LOG_BYTES_MAX else ""
    log.write_text(head + without_paths(text[-LOG_BYTES_MAX:].decode(errors="replace"), folder))
