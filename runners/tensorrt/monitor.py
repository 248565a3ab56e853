"""Progress of a build, as TensorRT's monitor is told of it, and how the build is told to stop."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cotenant.runners.build_watch import BuildStep
from cotenant.runners.tensorrt.build_log import vendor_object

EVERY_S = 0.1  # steps below the top are told no denser than this


@dataclass
class Phase:
    """A phase that has begun."""

    total: int
    depth: int
    done: int = 0


class BuildMonitor:
    """Phases of one build; called from any thread of the library."""

    def __init__(self, tell: Callable[[BuildStep], None], stop: threading.Event) -> None:
        self._tell = tell
        self._stop = stop
        self._phases: dict[str, Phase] = {}
        self._told_s = 0.0
        self._lock = threading.Lock()

    def phase_start(self, name: str, parent: str | None, step_count: int) -> None:
        """A phase begins, inside another one or by itself."""
        with self._lock:
            above = self._phases.get(parent) if parent is not None else None
            self._phases[name] = Phase(step_count, 0 if above is None else above.depth + 1)
            self._report(name)

    def step_complete(self, name: str, step: int) -> bool:
        """A step, counted from 0, is done; returns whether the build shall go on."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
                self._report(name)
        return not self._stop.is_set()

    def phase_finish(self, name: str) -> None:
        """A phase ends, maybe early."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.depth == 0:
                self._told_s = time.monotonic()
                self._tell(BuildStep(name, phase.total, phase.total))

    def _report(self, name: str) -> None:
        phase, now_s = self._phases[name], time.monotonic()
        if phase.depth > 0 and now_s - self._told_s < EVERY_S:
            return
        self._told_s = now_s
        self._tell(BuildStep(name, phase.done, phase.total, phase.depth))


def vendor_monitor(trt: Any, monitor: BuildMonitor) -> Any:
    """Return a monitor object of the library that passes everything on."""

    def phase_start(_self: Any, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        monitor.phase_start(phase_name, parent_phase, num_steps)

    def phase_finish(_self: Any, phase_name: str) -> None:
        monitor.phase_finish(phase_name)

    def step_complete(_self: Any, phase_name: str, step: int) -> bool:
        return monitor.step_complete(phase_name, step)

    methods: dict[str, Callable[..., Any]] = {
        "phase_start": phase_start,
        "phase_finish": phase_finish,
        "step_complete": step_complete,
    }
    return vendor_object(trt.IProgressMonitor, methods)
