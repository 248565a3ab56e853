"""Asking a probe in a process of its own: a vendor library that crashes or hangs costs one answer, not the command.

ask("...nvml_probe")  ->  python -P -m ...nvml_probe  ->  answer({...}) prints the facts behind a mark  ->  {...}
"""

import json
import signal
import subprocess
import sys
from typing import Any

MARK = "cotenant-doctor:"  # libraries print on stdout too; only a line that begins so is the answer
TIMEOUT_S = 10.0
LAST_WAIT_S = 1.0  # a process inside a driver call may be unkillable; it is then left behind


class NoAnswer(Exception):
    """A probe ended without an answer; the message says how."""


def ask(module: str, *arguments: str, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Return the facts that a probe module answers when run by itself; NoAnswer if it crashes, fails or hangs."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        raise NoAnswer(f"no answer in {timeout_s:g} s") from None
    answers = [line.removeprefix(MARK) for line in out.splitlines() if line.startswith(MARK)]
    if process.returncode < 0:
        raise NoAnswer(f"the probe died of {_signal_name(-process.returncode)}")
    if process.returncode or not answers:
        raise NoAnswer(_last_line(err) or f"the probe ended with code {process.returncode}")
    facts: dict[str, Any] = json.loads(answers[-1])
    return facts


def answer(facts: dict[str, Any]) -> None:
    """Print a probe's facts for `ask`; on a line of their own, whatever a library left unfinished before."""
    print(f"\n{MARK}{json.dumps(facts)}", flush=True)


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    try:
        process.communicate(timeout=LAST_WAIT_S)
    except subprocess.TimeoutExpired:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.poll()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no name
        return f"signal {number}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return " ".join(lines[-1].split()) if lines else ""
