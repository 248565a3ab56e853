"""Progress of long work on stderr: a bar with an estimate on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from cotenant.profiler.campaign.progress import Progress
    from cotenant.runners.build_watch import BuildStep

EVERY_S = 2.0  # plain lines no denser than this, the last of a stage always
STEP_EVERY_S = 10.0  # lines within one step of a stage


class LineProgress:
    """One line for a step now and then, for logs."""

    def __init__(self) -> None:
        self._name, self._total, self._done = "", 0, 0
        self._began_s = self._told_s = 0.0

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        self._name, self._total, self._done = name, total, 0
        self._began_s, self._told_s = time.monotonic(), 0.0

    def begin(self, label: str) -> None:
        """Tell what has begun, where nothing was told for a while."""
        if time.monotonic() - self._told_s >= EVERY_S:
            self._tell(f"{self._name} {self._done}/{self._total}: {label} ...")

    def step(self, label: str, step: "BuildStep") -> None:
        """Tell the outermost phase now and then."""
        if step.depth == 0 and time.monotonic() - self._told_s >= STEP_EVERY_S:
            self._tell(f"{self._name} {self._done}/{self._total}: {label} {told_step(step)}")

    def advance(self, label: str, outcome: str = "") -> None:
        """Tell a step."""
        self._done += 1
        now_s = time.monotonic()
        if now_s - self._told_s < EVERY_S and self._done < self._total and not outcome:
            return
        left_s = (now_s - self._began_s) / self._done * (self._total - self._done)
        estimate = f" (about {duration(left_s)} left)" if self._done < self._total else ""
        self._tell(f"{self._name} {self._done}/{self._total}: {_with(label, outcome)}{estimate}")

    def _tell(self, text: str) -> None:
        self._told_s = time.monotonic()
        self.note(text)

    def note(self, text: str) -> None:
        """Tell a line."""
        print(text, file=sys.stderr, flush=True)


class BarProgress:
    """One bar a stage, and below it one for each step that has begun and tells how far it is."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._running: dict[str, RunningBar] = {}

    def stage(self, name: str, total: int) -> None:
        """Begin a bar."""
        self._running.clear()
        self._task = self._bars.add_task(name, total=total, label="")

    def begin(self, label: str) -> None:
        """Add a bar below that of the stage."""
        self._running[label] = RunningBar(self._bars, label)

    def step(self, label: str, step: "BuildStep") -> None:
        """Move the bar of what has begun."""
        if label in self._running:
            self._running[label].step(step)

    def advance(self, label: str, outcome: str = "") -> None:
        """Move the bar of the stage; what it counts has no bar of its own any more."""
        if label in self._running:
            self._running.pop(label).remove()
        if self._task is not None:
            self._bars.update(self._task, advance=1, label=_with(label, outcome))

    def note(self, text: str) -> None:
        """Tell a line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)


class RunningBar:
    """The bar of one step: how far its outermost phase is, and every phase that it is in."""

    def __init__(self, bars: "Bars", label: str) -> None:
        self._bars = bars
        self._label = label
        self._phases: dict[int, BuildStep] = {}  # by depth
        self._task = bars.add_task("", total=None, label=label)

    def step(self, step: "BuildStep") -> None:
        """Show a step; it ends what was told of deeper phases."""
        self._phases = {depth: phase for depth, phase in self._phases.items() if depth < step.depth}
        self._phases[step.depth] = step
        told = " > ".join(told_step(phase) for _, phase in sorted(self._phases.items()))
        outermost = self._phases[min(self._phases)]
        label = f"{self._label}: {told}"
        self._bars.update(self._task, completed=outermost.done, total=outermost.total, label=label)

    def remove(self) -> None:
        """Take the bar away."""
        self._bars.remove_task(self._task)


@contextmanager
def watched() -> "Iterator[Progress]":
    """Yield the progress that suits whoever reads stderr."""
    if not sys.stderr.isatty():
        yield LineProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[label]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bars:
        yield BarProgress(bars)


def _with(label: str, outcome: str) -> str:
    return f"{label} {outcome}" if outcome else label


def told_step(step: "BuildStep") -> str:
    """Return a step as people read it: `Building engine 2/6`."""
    return f"{step.phase} {step.done}/{step.total}"


def duration(seconds: float) -> str:
    """Return a duration as people say it: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
