"""Sparse samples of a device around one experiment, taken in a thread of this process.

    sample | experiment ............................................. | sample
           | thread:  wait 0.5 s, sample, wait 0.5 s, sample ...      | joined

A first and a last sample are there even if the experiment is shorter than the distance between two. What fails here
never fails the experiment: sampling ends, and why is kept.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from cotenant.datasets.raw_siblings import RAW_TELEMETRY
from cotenant.profiler.quality.failure import failure
from cotenant.profiler.quality.source import SAMPLED, Source

OFF = "telemetry_s is 0"


class Telemetry:
    """Samples a source while a block runs; see the module's drawing.

    Attributes:
        rows: The samples so far, as dictionaries of the columns of RAW_TELEMETRY.
        stopped: Why there are no samples from some time on; None if there are until the end.
        cpu_ns: CPU time that all of it took, thread and both samples outside it.
    """

    def __init__(
        self,
        source: Source | None,
        interval_s: float,
        why_none: str | None = None,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        """Sample every `interval_s` (0 = not at all); `why_none` says why there is no source.

        `now_ns` is the session's clock, CLOCK_MONOTONIC if not told.
        """
        self._source = source
        self._interval_s = interval_s
        self._now_ns = now_ns or time.monotonic_ns
        self.rows: list[dict[str, Any]] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.stopped: str | None = (why_none or "no source") if source is None else None if interval_s else OFF
        self.cpu_ns = 0

    def __enter__(self) -> Self:
        if self.stopped is None and self._source is not None:
            self._timed(self._source.begin)
            self._timed(self._sample)
            self._timed(self._start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._timed(self._sample)

    def table(self) -> pa.Table | None:
        """Return the samples as RAW_TELEMETRY; None if there are none, or none that its columns can hold."""
        try:
            return pa.Table.from_pylist(self.rows, schema=RAW_TELEMETRY) if self.rows else None
        except (pa.ArrowException, OverflowError, TypeError) as error:  # a driver said what no driver should say
            self.stopped = failure(error)
            return None

    def facts(self) -> dict[str, Any]:
        """Return what raw metadata keeps of the sampling itself."""
        return {
            "source": None if self._source is None else self._source.name,
            "sample_count": len(self.rows),
            "cpu_ns": self.cpu_ns,
            "stopped": self.stopped,
        }

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        thread.start()  # raises where no more threads are allowed
        self._thread = thread

    def _run(self) -> None:
        due_s = time.monotonic() + self._interval_s
        while not self._ended.wait(max(0.0, due_s - time.monotonic())) and self.stopped is None:
            self._sample()
            due_s = max(due_s + self._interval_s, time.monotonic())  # what came late is not made up for
        self.cpu_ns += time.thread_time_ns()

    def _sample(self) -> None:
        if self._source is None or self.stopped is not None:
            return
        began_ns = self._now_ns()
        try:
            told = self._source.sample()
        except Exception as error:  # whatever a driver's binding raises: an experiment goes on without telemetry
            self.stopped = failure(error)
            return
        sample_ns = self._now_ns() - began_ns
        self.rows.append(
            {
                **{name: told.get(name) for name in SAMPLED},
                "sample_index": len(self.rows),
                "t_ns": began_ns,
                "sample_ns": sample_ns,
            }
        )

    def _timed(self, work: Callable[[], None]) -> None:
        """Do what is done outside the thread, and count its CPU time."""
        began_ns = time.thread_time_ns()
        try:
            work()
        except Exception as error:
            self.stopped = failure(error)
        self.cpu_ns += time.thread_time_ns() - began_ns
