"""What every session of CUDA lanes does alike: tickets, gate, waiting, and who may do what when."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from cotenant.runners.cuda.host_clock import HostClock
from cotenant.runners.protocol import Completion, Engine, LaneLost, Loaded

MAX_QUEUED = 1000  # executions of a lane that wait() has not returned; their replies must fit into a pipe

Resident = TypeVar("Resident")


@dataclass(frozen=True)
class LaunchMode:
    """How a loaded engine is executed: as a captured graph, or enqueued plainly because of `refusal`."""

    lane: int
    engine_id: str
    captured: bool
    refusal: str | None


@dataclass(frozen=True)
class Submission(Generic[Resident]):
    """One execution that was asked for."""

    lane: int
    ticket: int
    resident: Resident
    delay_ns: int


class LaneSession(ABC, Generic[Resident]):
    """Lanes open for work; see `cotenant.runners.protocol.Session`. A Resident is what is kept of a loaded engine."""

    oversubscribed = False  # lanes share the device by design; what they were promised alone, the driver confines

    def __init__(self, lane_count: int, clock: HostClock) -> None:
        self.lane_count = lane_count
        self._clock = clock
        self._tickets, self._handles = itertools.count(), itertools.count(1)
        self._loaded: dict[Loaded, Resident] = {}
        self._held: list[Submission[Resident]] | None = None
        self._completed: list[Completion] = []
        self._loss_told = False

    @abstractmethod
    def _turn(self) -> None:
        """Do what is due without blocking: collect into `_completed`, feed lanes, take anchors, note losses."""

    @abstractmethod
    def _pause(self, length_ns: int) -> None:
        """Let time pass until something may have happened, `length_ns` at most."""

    @abstractmethod
    def _outstanding(self, lane: int) -> int:
        """Return how many executions of a lane are queued or under way; 0 once it is lost."""

    @abstractmethod
    def _raise_if_lost(self, lane: int | None) -> None:
        """Raise LaneLost if that lane is lost; None = any lane."""

    @abstractmethod
    def _dispatch(self, submission: Submission[Resident]) -> None:
        """Queue one execution."""

    @abstractmethod
    def _dispatch_together(self, held: Sequence[Submission[Resident]]) -> None:
        """Queue executions so that the lanes' first ones start together."""

    @abstractmethod
    def _load(self, lane: int, engine: Engine, copies: bool, handle: int) -> Resident:
        """Load an engine on an idle lane; WorkError naming lane and model if it cannot be."""

    @abstractmethod
    def _unload(self, loaded: Loaded, resident: Resident) -> None:
        """Free an engine of an idle lane."""

    @abstractmethod
    def _mode(self, resident: Resident) -> tuple[bool, str | None]:
        """Return whether an engine was captured, and why not."""

    def launch_modes(self) -> list[LaunchMode]:
        """Return how each loaded engine is executed; for provenance."""
        return [LaunchMode(key.lane, key.engine_id, *self._mode(resident)) for key, resident in self._loaded.items()]

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        """Load an engine on a lane, warm it and capture it; ValueError while any lane is busy."""
        self._check_idle("load")
        self._raise_if_lost(lane)
        loaded = Loaded(lane, engine.engine_id, next(self._handles))
        self._loaded[loaded] = self._load(lane, engine, copies, loaded.handle)
        return loaded

    def unload(self, loaded: Loaded) -> None:
        """Free an engine of a lane; ValueError while any lane is busy."""
        self._find(loaded.lane, loaded)
        self._check_idle("unload")
        self._unload(loaded, self._loaded.pop(loaded))

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Hold what is submitted inside and start it together; an exception inside drops it."""
        if self._held is not None:
            raise ValueError("a gate is open already")
        self._held = []
        try:
            yield
            held = self._held
        finally:
            self._held = None
        if held:
            self._dispatch_together(held)

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        """Queue one execution; ValueError beyond 1000 of a lane that `wait` has not returned yet."""
        resident = self._find(lane, loaded)
        if delay_ns < 0:
            raise ValueError(f"delay_ns is {delay_ns}")
        held = 0 if self._held is None else sum(each.lane == lane for each in self._held)
        if self._outstanding(lane) + held >= MAX_QUEUED:
            raise ValueError(f"lane {lane} has {MAX_QUEUED} executions that were not collected; call wait() first")
        self._raise_if_lost(lane)
        submission = Submission(lane, next(self._tickets), resident, delay_ns)
        if self._held is None:
            self._dispatch(submission)
        else:
            self._held.append(submission)
        return submission.ticket

    def wait(self, until_ns: int) -> list[Completion]:
        """Return what has completed, by end_ns, as soon as anything has; [] once `until_ns` is reached.

        What completed before a lane was lost is returned first; from then on LaneLost is raised.
        """
        while True:
            self._turn()
            now_ns = self._clock.now_ns()
            told = [] if self._loss_told else self._told(now_ns)
            if told:
                return told
            if self._loss_told or not self._completed:
                self._tell_loss()
            if now_ns >= until_ns:
                return []
            self._pause(until_ns - now_ns)

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""
        return self._clock.now_ns()

    def _tell_loss(self) -> None:
        try:
            self._raise_if_lost(None)
        except LaneLost:
            self._loss_told = True
            raise

    def _told(self, now_ns: int) -> list[Completion]:
        """Take what has ended on the host's clock too: the map may be ahead of it by its error."""
        told = [each for each in self._completed if each.end_ns <= now_ns]
        if told:
            self._completed = [each for each in self._completed if each.end_ns > now_ns]
        return sorted(told, key=lambda completion: (completion.end_ns, completion.ticket))

    def _check_idle(self, what: str) -> None:
        self._turn()
        busy = [lane for lane in range(self.lane_count) if self._outstanding(lane)]
        if busy or self._held:
            raise ValueError(f"cannot {what} while lanes are busy: {busy or 'a gate is open'}")

    def _find(self, lane: int, loaded: Loaded) -> Resident:
        if loaded.lane != lane or loaded not in self._loaded:
            raise ValueError(f"{loaded} is not loaded on lane {lane}")
        return self._loaded[loaded]
