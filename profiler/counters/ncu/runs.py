"""Runs of ncu over one engine: each from a command to a report that can be believed, or to one clear error."""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cotenant.profiler.counters.metrics import MetricSet, available
from cotenant.profiler.counters.ncu.child import MODULE, Request
from cotenant.profiler.counters.ncu.command import Selection, command
from cotenant.profiler.counters.ncu.errors import NoKernelsProfiled
from cotenant.profiler.counters.ncu.log import Told, failure, profiled_count
from cotenant.profiler.counters.ncu.options import NcuOptions
from cotenant.profiler.counters.ncu.process import run
from cotenant.profiler.counters.ncu.program import Program
from cotenant.profiler.counters.reports.read import read_report
from cotenant.profiler.counters.reports.report import Report
from cotenant.runners.cuda.driver_context import DRIVER_VARIABLES
from cotenant.runners.protocol import Device, Engine

ARCHITECTURE = re.compile(r"\bsm_(\d+)(\d)\b")  # as the device's type names it


class Runs:
    """Runs of ncu over one engine."""

    def __init__(
        self,
        program: Program,
        engine: Engine,
        runner_name: str,
        device: Device,
        counter_set: MetricSet,
        options: NcuOptions,
        folder: Path,
    ) -> None:
        self._program, self._engine, self._options, self._folder = program, engine, options, folder
        self.counter_set = counter_set
        self.metrics = available(counter_set, options.capability or _capability(device))
        self.outcome: dict[str, Any] = {}
        self._outcome = folder / "outcome.json"
        request = Request(runner_name, device.device_id, str(engine.folder.absolute()), str(self._outcome), os.getpid())
        self._request = request.write(folder / "request.json")

    def full(self) -> Report:
        """Profile everything within the range."""
        return self.report(self.metrics)

    def report(self, metrics: Sequence[str], selection: Selection | None = None) -> Report:
        """Run ncu once and read its report."""
        log, path = self._folder / "log.txt", self._folder / "report.ncu-rep"
        for each in (log, path, self._outcome):
            each.unlink(missing_ok=True)
        profiled = [sys.executable, "-P", "-m", MODULE, str(self._request)]
        arguments = command(self._program, self.counter_set, metrics, path, log, profiled, selection)
        finished = run(arguments, self._folder, self._options.timeout_s, _environment())
        said = log.read_text(errors="replace") if log.exists() else ""
        self.outcome = _read(self._outcome)
        try:
            error = failure(Told(finished, said, self.outcome, path.exists(), self._options.timeout_s))
            if error is not None:
                raise error
            if not self.outcome:
                raise NoKernelsProfiled(
                    "ncu ended well, but the program that executes the engine was never run under it"
                )
            count = profiled_count(said) if self.counter_set.replay_mode == "kernel" else 1
            return read_report(path, metrics, self._program.path, self._options.reader, count)
        except Exception:
            self._keep()
            raise

    def _keep(self) -> None:
        if self._options.kept is None:
            return
        self._options.kept.mkdir(parents=True, exist_ok=True)
        for name in ("log.txt", "output.txt", "report.ncu-rep"):
            if (self._folder / name).exists():
                shutil.copy(self._folder / name, self._options.kept / f"{self._engine.engine_id}-{name}")


def _environment() -> Mapping[str, str]:
    entries = [str(Path(entry).absolute()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {
        **DRIVER_VARIABLES,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "LC_ALL": "C",  # ncu's messages and numbers
        "PYTHONPATH": os.pathsep.join(entries),
        "PYTHONFAULTHANDLER": "1",
    }


def _capability(device: Device) -> str | None:
    found = ARCHITECTURE.search(device.device_type)
    return f"{found[1]}.{found[2]}" if found is not None else None


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
