"""Builds side by side, each in a thread: foreign builders spend their minutes outside the interpreter.

The calling thread only listens. So Ctrl-C reaches it at once whatever the builders do, all progress is told from one
thread, and what a build brings is handed over in the order in which builds end.
"""

import ctypes
import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cotenant.models.errors import CotenantError
from cotenant.profiler.campaign.progress import Progress
from cotenant.profiler.experiments.kinds import EngineKey
from cotenant.runners.build_watch import BuildCancelled, BuildStep, Watching, watched

Result = TypeVar("Result")

FAILURES = (CotenantError, MemoryError)  # of one build; whatever else is raised is a bug, and ends them all
ASK_S = 0.1  # for what is about to end by itself
STOP_S = 0.8  # for builders in Python, which are interrupted
ASKING_STOP_S = 2.0  # for builders that ask whether they shall stop: they may have a process to end
LOOK_S = 0.01


@dataclass(frozen=True)
class Begun:
    """A build has begun."""

    key: EngineKey


@dataclass(frozen=True)
class Stepped:
    """A build has come so far."""

    key: EngineKey
    step: BuildStep


@dataclass(frozen=True)
class Ended(Generic[Result]):
    """A build has ended: with a result or with what it raised."""

    key: EngineKey
    result: Result | BaseException


@dataclass
class Worker:
    """A thread that builds one engine after another, and who watches it now."""

    thread: threading.Thread
    watching: Watching = field(default_factory=Watching)


class BuildPool(Generic[Result]):
    """Threads that build what waits."""

    def __init__(self, keys: Sequence[EngineKey], build: Callable[[EngineKey], Result], jobs: int) -> None:
        self._build = build
        self._waiting: queue.SimpleQueue[EngineKey] = queue.SimpleQueue()
        for key in keys:
            self._waiting.put(key)
        self._count = len(keys)
        self._events: queue.SimpleQueue[Begun | Stepped | Ended[Result]] = queue.SimpleQueue()
        self._stop = threading.Event()
        # daemons: a builder that cannot be interrupted must not hold up the exit
        places = range(min(jobs, len(keys)))
        self._workers = [Worker(threading.Thread(target=self._work, args=(place,), daemon=True)) for place in places]

    def results(self, progress: Progress) -> Generator[tuple[EngineKey, Result | Exception]]:
        """Build everything and yield each result, or the CotenantError or MemoryError that its build raised.

        Once the iterator is closed, builds that still run have been told to stop and those that wait never begin.

        Raises:
            BaseException: Whatever else a build raised; KeyboardInterrupt where this thread was interrupted.
        """
        try:
            for worker in self._workers:
                worker.thread.start()
            for _ in range(self._count):
                ended = self._next_ended(progress)
                if isinstance(ended.result, FAILURES):
                    yield ended.key, ended.result
                elif isinstance(ended.result, BaseException):
                    raise ended.result
                else:
                    yield ended.key, ended.result
        finally:
            self._end()

    def _next_ended(self, progress: Progress) -> Ended[Result]:
        while True:
            event = self._events.get()
            if isinstance(event, Ended):
                return event
            if isinstance(event, Begun):
                progress.begin(event.key.label)
            else:
                progress.step(event.key.label, event.step)

    def _work(self, place: int) -> None:
        try:
            while not self._stop.is_set():
                self._build_next(place)
        except (queue.Empty, BuildCancelled):
            return

    def _build_next(self, place: int) -> None:
        key = self._waiting.get_nowait()
        self._events.put(Begun(key))
        with watched(lambda step: self._events.put(Stepped(key, step)), self._stop) as watching:
            self._workers[place].watching = watching
            try:
                result: Result | BaseException = self._build(key)
            except FAILURES as error:
                result = error
            except BaseException as error:  # the listening thread raises it
                result = error
                self._stop.set()
        self._events.put(Ended(key, result))

    def _end(self) -> None:
        """Stop what still runs; a builder that neither ends nor can be interrupted is left to the process's exit."""
        self._stop.set()
        began_s = time.monotonic()
        _wait(self._running, began_s + ASK_S)
        for worker in self._running():
            if not worker.watching.asked:  # nothing of it runs below foreign code that would not pass an exception on
                _interrupt(worker.thread)
        _wait(self._running, began_s + STOP_S)
        _wait(self._asking, began_s + ASKING_STOP_S)

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.thread.is_alive()]

    def _asking(self) -> list[Worker]:
        return [worker for worker in self._running() if worker.watching.asked]


def _wait(those: Callable[[], list[Worker]], until_s: float) -> None:
    while those() and time.monotonic() < until_s:
        time.sleep(LOOK_S)


def _interrupt(thread: threading.Thread) -> None:
    """Raise BuildCancelled in another thread, as Ctrl-C does in the main one: between two steps of the interpreter."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(BuildCancelled))
