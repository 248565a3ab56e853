"""The installed command, started as a shell starts it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).with_name("cotenant")
LIMIT_S = 240


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """The one error line; fails if there is none, more than one, something after it, or a traceback."""
        lines = self.err.strip().splitlines()
        errors = [line for line in lines if line.startswith("Error: ")]
        assert "Traceback" not in self.err, self.err
        assert len(errors) == 1, self.err
        assert lines[-1] == errors[0], self.err
        return errors[0]


class Cotenant:
    """Runs the real command with a cache of the test's own."""

    def __init__(self, cache: Path, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "COLUMNS": "120"}

    def __call__(self, *arguments: object, cwd: Path | None = None, **variables: str) -> Done:
        process = self.start(*arguments, cwd=cwd, **variables)
        return finish(process)

    def start(self, *arguments: object, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own, as a shell does."""
        return subprocess.Popen(
            [str(COMMAND), *map(str, arguments)],
            cwd=cwd or self.folder,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def finish(process: subprocess.Popen[str]) -> Done:
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Done(process.returncode, out, err)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], what: str) -> None:
    """Wait while the process works; fails if it ends or too much time passes before the condition holds."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert process.poll() is None, f"ended before {what}: {process.communicate()}"
        assert time.monotonic() < deadline, f"no {what} in {LIMIT_S} s"
        time.sleep(0.01)
