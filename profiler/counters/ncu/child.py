"""The program that runs under ncu: loads one engine, warms it, and executes one batch inside an NVTX range.

    python -m cotenant.profiler.counters.ncu.child REQUEST.json

    load and warm (alone) -> execute a few times, timed -> push range -> execute once -> pop range -> OUTCOME.json

Under app-range replay ncu runs it once for each pass, so it does the same every time. Everything is launched from one
thread, because NVTX ranges hold for the thread that opened them unless ncu is told otherwise.
"""

import json
import os
import statistics
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cotenant.models.errors import CotenantError, UserError
from cotenant.profiler.counters.ncu.command import DOMAIN, RANGE
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Engine
from cotenant.runners.registry import load

MODULE = "cotenant.profiler.counters.ncu.child"
WATCH_S = 1.0
BEFORE_EXECUTIONS = 3  # timed, not profiled


@dataclass(frozen=True)
class Request:
    """What the child is asked for.

    Attributes:
        runner: The runner's name.
        device: The device's id, or a name that the runner knows it by.
        engine_folder: The engine's verified cache entry.
        outcome: File that it tells in what it did.
        asked_by_pid: The process that wants to know; without it, or once it removed the request, the child ends.
    """

    runner: str
    device: str
    engine_folder: str
    outcome: str
    asked_by_pid: int
    before_executions: int = BEFORE_EXECUTIONS

    def write(self, path: Path) -> Path:
        """Write it for a child and return the path."""
        path.write_text(json.dumps(asdict(self)))
        return path


def execute(request: Request) -> dict[str, Any]:
    """Do what is asked and return what was done.

    Raises:
        CotenantError: The runner cannot execute an engine alone, or cannot load or execute this one.
    """
    import nvtx

    runner, folder = load(request.runner), Path(request.engine_folder)
    alone = getattr(runner, "alone", None)
    if alone is None:
        raise UserError(f"runner {request.runner} cannot execute an engine alone, so it has no GPU counters to measure")
    engine = Engine(**read_meta(folder)["engine"], folder=folder)
    with alone(runner.device(request.device), engine) as run:
        spans_ns = [_timed_ns(run) for _ in range(request.before_executions)]
        nvtx.push_range(RANGE, domain=DOMAIN)
        try:
            run()
        finally:
            nvtx.pop_range(domain=DOMAIN)
    wall_ns = round(statistics.median(spans_ns)) if spans_ns else None
    return {"executions": 1, "before_executions": len(spans_ns), "wall_ns": wall_ns, "pid": os.getpid()}


def _timed_ns(run: Any) -> int:
    began_ns = time.monotonic_ns()
    run()
    return time.monotonic_ns() - began_ns


def _end_with(pid: int, request: Path) -> None:
    """End this process, and ncu with it, once nobody wants to know: nothing must stay on the device.

    The parent's end would not do: the parent is ncu, which starts programs from threads of its own. Whoever asked
    removes the request when it gives up, which also reaches a child that is in another process group than ncu.
    """
    while request.exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            os._exit(1)
        except PermissionError:  # it lives, as another user
            pass
        time.sleep(WATCH_S)
    os._exit(1)


def main() -> None:
    """Execute a request; what fails is told in the outcome, and on stderr for people."""
    path = Path(sys.argv[1])
    request = Request(**json.loads(path.read_text()))
    threading.Thread(target=_end_with, args=(request.asked_by_pid, path), daemon=True).start()
    outcome = Path(request.outcome)
    outcome.unlink(missing_ok=True)
    try:
        outcome.write_text(json.dumps(execute(request)))
    except CotenantError as error:
        outcome.write_text(json.dumps({"error": str(error)}))
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:  # told in one line by whoever started it; the traceback stays in the tail of its output
        outcome.write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        raise


if __name__ == "__main__":
    main()
