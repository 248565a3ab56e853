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

EVERY_S = 2.0  # plain lines no denser than this, the last of a stage always


class LineProgress:
    """One line for a step now and then, for logs."""

    def __init__(self) -> None:
        self._name, self._total, self._done = "", 0, 0
        self._began_s = self._told_s = 0.0

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        self._name, self._total, self._done = name, total, 0
        self._began_s, self._told_s = time.monotonic(), 0.0

    def advance(self, label: str) -> None:
        """Tell a step."""
        self._done += 1
        now_s = time.monotonic()
        if now_s - self._told_s < EVERY_S and self._done < self._total:
            return
        self._told_s = now_s
        left_s = (now_s - self._began_s) / self._done * (self._total - self._done)
        estimate = f" (about {duration(left_s)} left)" if self._done < self._total else ""
        self.note(f"{self._name} {self._done}/{self._total}: {label}{estimate}")

    def note(self, text: str) -> None:
        """Tell a line."""
        print(text, file=sys.stderr, flush=True)


class BarProgress:
    """One bar a stage."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def stage(self, name: str, total: int) -> None:
        """Begin a bar."""
        self._task = self._bars.add_task(name, total=total, label="")

    def advance(self, label: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, advance=1, label=label)

    def note(self, text: str) -> None:
        """Tell a line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)


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


def duration(seconds: float) -> str:
    """Return a duration as people say it: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
