"""Whoever builds engines can watch: builders that take long report their steps and can be told to stop.

    with watched(watch, stop):        the command line; `stop` is an Event that it sets on Ctrl-C
        runner.build(...)             ... -> report(BuildStep("Building engine", 2, 6)) inside the builder

A builder that is told to stop raises BuildCancelled. It learns of it in one of two ways. In Python, `report` raises
it. Where no exception may pass (a callback that foreign code calls, a wait for a child process), it asks `cancelled()`
several times a second, the first time before that begins, and ends its work first. Foreign code may call back on
threads of its own, which do not see what this thread watches: take `watching()` along there.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class BuildCancelled(KeyboardInterrupt):
    """Whoever watches wants no engine any more; no failure, so nothing that catches errors catches it."""


@dataclass(frozen=True)
class BuildStep:
    """How far a build has come: `done` of `total` steps of a phase; phases nest, the outermost has depth 0."""

    phase: str
    done: int
    total: int
    depth: int = 0


Watch = Callable[[BuildStep], None]


class Watching:
    """Who watches a build, and whether it shall stop; may be used from any thread.

    Attributes:
        asked: Whether the builder has ever reported or asked; one that never does has to be stopped by other means.
    """

    def __init__(self, watch: Watch | None = None, stop: threading.Event | None = None) -> None:
        self._watch = watch
        self._stop = stop
        self.asked = False

    def cancelled(self) -> bool:
        """Return whether the build shall stop."""
        self.asked = True
        return self._stop is not None and self._stop.is_set()

    def report(self, step: BuildStep) -> None:
        """Tell a step; raises BuildCancelled if the build shall stop."""
        if self.cancelled():
            raise BuildCancelled
        if self._watch is not None:
            self._watch(step)


_watching: ContextVar[Watching | None] = ContextVar("build_watch", default=None)


@contextmanager
def watched(watch: Watch, stop: threading.Event | None = None) -> Iterator[Watching]:
    """Let `watch` see every step of the builds inside, in this thread, and let `stop` end them."""
    token = _watching.set(found := Watching(watch, stop))
    try:
        yield found
    finally:
        _watching.reset(token)


def watching() -> Watching:
    """Return who watches this thread's build, to be taken to other threads; nobody if nobody does."""
    return _watching.get() or Watching()


def report(step: BuildStep) -> None:
    """Tell a step to whoever watches; called by builders. Raises BuildCancelled if the build shall stop."""
    watching().report(step)


def cancelled() -> bool:
    """Return whether the build in this thread shall stop; False if nobody watches."""
    return watching().cancelled()
