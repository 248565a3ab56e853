"""Runs a build in a process of its own, passes its progress on, and ends it when nobody wants the engine any more."""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from cotenant.models.errors import CotenantError, UserError, WorkError
from cotenant.runners.build_watch import BuildCancelled, BuildStep, cancelled, report
from cotenant.runners.tensorrt.build_log import NAME, last_lines
from cotenant.runners.tensorrt.build_process import GRACE_S
from cotenant.runners.tensorrt.order import INSPECTOR, BuildOrder, BuildReport

MODULE = "cotenant.runners.tensorrt.build_process"
LOOK_S = 0.05  # how often a build asks whether it shall stop
CHUNK_BYTES = 1 << 16
STDERR_CHARACTERS = 20_000
ERRORS: dict[str, type[CotenantError]] = {"UserError": UserError, "WorkError": WorkError}


def run(order: BuildOrder) -> BuildReport:
    """Build an engine and return what came of it; the plan and its log lie in the order's folder.

    Raises:
        UserError, WorkError: What the process told; WorkError also where it died, with its last words.
        BuildCancelled: Whoever watches wants no engine any more.
        RuntimeError: A bug in the process, with its traceback.
    """
    built: BuildReport | None = None
    with tempfile.TemporaryFile() as errors, _process(errors) as process:
        _order(process, order)
        for word, content in _messages(process):
            if word == "step":
                report(BuildStep(**content))
            elif word == "built":
                built = BuildReport(**content)
            elif word == "inspected" and built is not None:
                return replace(built, layers_missing=content)
            elif word == "refused":
                raise ERRORS[content["error"]](content["message"])
            elif word == "cancelled":
                raise BuildCancelled
        code = process.wait()
        if built is not None and code < 0:  # the engine is whole; its layers are a convenience
            Path(order.folder, INSPECTOR).unlink(missing_ok=True)
            return replace(built, layers_missing=f"the inspector's process ended with {_signal_name(code)}")
        errors.seek(0)
        raise _died(order, code, errors.read().decode(errors="replace")[-STDERR_CHARACTERS:])


@contextmanager
def _process(errors: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process in a group of its own, which Ctrl-C does not reach, and leave none of it behind."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def _order(process: subprocess.Popen[bytes], order: BuildOrder) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has died already; what it left says why
        process.stdin.write(order.line().encode())
        process.stdin.flush()


def _messages(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield what the process tells until it closes its side; raises BuildCancelled as soon as the build shall stop."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if cancelled():
                raise BuildCancelled
            if not selector.select(LOOK_S):
                continue
            data = os.read(process.stdout.fileno(), CHUNK_BYTES)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                word, content = json.loads(line)
                yield word, content


def _died(order: BuildOrder, code: int, errors: str) -> Exception:
    words = last_lines(Path(order.folder, NAME))
    if code < 0:
        hint = " (memory may have run out)" if code == -signal.SIGKILL else ""
        return WorkError(
            f"{order.where}: the process that built its engine ended with {_signal_name(code)}{hint};"
            f" TensorRT's last words: {words}"
        )
    return RuntimeError(f"{order.where}: the build process failed with exit code {code}\n{errors}")


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
