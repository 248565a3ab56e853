"""A session of the simulated runner: lanes in virtual time, which only `wait` moves on.

host   | submit submit | wait ............................ returns the completions of one instant |
clock  | stands still  | passes on to the first instant at which something completes, or until_ns | stands still
"""

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cotenant.models.errors import WorkError
from cotenant.runners.protocol import Completion, Engine, LaneLost, Loaded
from cotenant.runners.simulated import noise
from cotenant.runners.simulated.device_state import opening_state
from cotenant.runners.simulated.event_loop import advance, set_faults
from cotenant.runners.simulated.phases import phases_of
from cotenant.runners.simulated.residents import Resident, Residents
from cotenant.runners.simulated.state import (
    DONE_COLUMNS,
    DRAINS,
    GAP_COUNT,
    GREEN_CONTEXTS,
    ISOLATIONS,
    KEEPS_LOG,
    KERNEL_COUNT,
    LAST_NS,
    LOG_COLUMNS,
    LOG_FULL,
    LOG_ROWS,
    LOST_LANE,
    NOW,
    QUEUE_COLUMNS,
    QUEUE_ROWS,
    STREAMS,
    SUBMITTED,
    TAIL,
    Ints,
)
from cotenant.runners.simulated.truth import LOG_ROWS_AT_ONCE, Truth, truth_of

if TYPE_CHECKING:
    from cotenant.runners.simulated.device_file import DeviceFile
    from cotenant.runners.simulated.kernel_list import KernelList

ENTRY = struct.Struct("=6q")  # a row of `queue`: first phase, end of phases, factor, ticket, delay_ns, lazy_ns
DONE = struct.Struct("=4q")  # a row of `done`: ticket, lane, start_ns, end_ns
WORD_BYTES = 8

Factors = Callable[[int, int], Ints]  # (number of the first submission, count) -> factors in units of ONE
Held = tuple[int, Resident, int, int]  # lane, what runs, ticket, delay_ns


class SimulatedSession:
    """Lanes open for work in virtual time; see `cotenant.runners.protocol.Session`."""

    isolation_observed: str
    clock_error_ns = 1  # stamps are whole nanoseconds
    oversubscribed = False  # lanes share the device as the law says, whatever this machine has
    host_has_own_core = True  # the clock stands still while the host works

    def __init__(
        self,
        file: "DeviceFile",
        isolation: str,
        lane_quotas: Sequence[int],
        seed: int = 0,
        factors: Factors | None = None,
        queue_rows: int = QUEUE_ROWS,
    ) -> None:
        """Open lanes at time 0.

        Args:
            file: The device.
            isolation: One of `state.ISOLATIONS`.
            lane_quotas: Each lane's share q in units of ONE, as `device_state.quotas` gives it.
            seed: What the draws depend on, with the number of the submission (its ticket).
            factors: Noise factors to use instead of drawn ones, up to 2 ONE.
            queue_rows: How many executions a lane takes that have not been collected.
        """
        self._file, self.isolation_observed, self._queue_rows = file, isolation, queue_rows
        self.lane_count = len(lane_quotas)
        self.weights_shared: bool | None = isolation in (ISOLATIONS[STREAMS], ISOLATIONS[GREEN_CONTEXTS])
        self.slice_phase_ns = noise.slice_phase_ns(seed, file.slice_ns)  # drawn, but without effect, in other modes
        self.factors: Factors = factors or functools.partial(noise.factors, seed, noise_pct=file.noise_pct)
        self._largest_factor = noise.largest_factor(file.noise_pct if factors is None else 100.0)
        self._block: list[int] = []  # factors drawn ahead, from number _block_first on
        self._block_first = 0
        self._next_ticket = 0
        self._outstanding = [0] * self.lane_count
        self._held: list[Held] | None = None
        self._residents = Residents()
        self._log_chunks: list[Ints] = []
        self._make_state(lane_quotas)
        set_faults(self._scalars, self._lanes, self._log)

    def _make_state(self, lane_quotas: Sequence[int]) -> None:
        state = opening_state(self._file, self.isolation_observed, lane_quotas, self.slice_phase_ns)
        self._scalars, self._lanes = state
        self._queue = np.zeros((self.lane_count, self._queue_rows, QUEUE_COLUMNS), np.int64)
        self._done = np.zeros((self.lane_count, DONE_COLUMNS), np.int64)
        self._log = np.zeros((0, LOG_COLUMNS), np.int64)
        self._words = self._scalars.data  # single numbers are read and written faster than through numpy
        self._tails = self._lanes[:, TAIL].data
        self._queue_bytes = self._queue.reshape(-1).view(np.uint8).data
        self._done_bytes = self._done.reshape(-1).view(np.uint8).data
        self._bind()

    def _bind(self) -> None:
        """Take note of arrays that have been replaced."""
        self._arrays = (self._scalars, self._lanes, self._queue, self._residents.phases, self._done, self._log)

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        """Load an engine on a lane; ValueError while any lane is busy, WorkError if it was built for another device.

        It takes no virtual time and leaves the engine warm, but for the fault `lazy_load`. `copies` changes nothing:
        copies are not simulated.
        """
        self._check_idle("load")
        if engine.build_target != self._file.digest():
            raise WorkError(f"{engine.folder} was built for another device than {self._file.name}; build it anew")
        self._raise_if_lost(lane)
        return self.load_kernels(lane, engine.engine_id, _kernels(engine.folder, engine.engine_sha256))

    def load_kernels(self, lane: int, engine_id: str, kernels: "KernelList") -> Loaded:
        """Load a list of kernels that stands in no cache; one id means one list."""
        self._check_idle("load")
        lazy = self._file.faults.lazy_load
        phases = phases_of(kernels, self._largest_factor, 0 if lazy is None else lazy.gap_ns)
        lane = range(self.lane_count)[lane]
        loaded = self._residents.add(lane, engine_id, phases, 0 if lazy is None else lazy.gap_ns)
        self._bind()
        return loaded

    def unload(self, loaded: Loaded) -> None:
        """Free an engine of a lane; ValueError while any lane is busy."""
        self._residents.find(loaded.lane, loaded)
        self._check_idle("unload")
        self._residents.remove(loaded)
        self._bind()

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Hold what is submitted inside until the block ends; an exception inside drops it.

        Dropped submissions keep their numbers, so that no later draw depends on them.
        """
        if self._held is not None:
            raise ValueError("a gate is open already")
        self._held = []
        try:
            yield
            held = self._held
        finally:
            for lane, *_ in self._held:
                self._outstanding[lane] -= 1
            self._held = None
        for entry in held:
            self._queue_up(*entry)

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        """Queue one execution; ValueError beyond 1024 of a lane that `wait` has not returned yet."""
        resident = self._residents.find(lane, loaded)
        if not 0 <= delay_ns <= LAST_NS:
            raise ValueError(f"delay_ns is {delay_ns}")
        if self._outstanding[lane] >= self._queue_rows:
            rows = self._queue_rows
            raise ValueError(f"lane {lane} has {rows} executions that were not collected; call wait() first")
        self._raise_if_lost(lane)
        ticket = self._next_ticket
        self._next_ticket = ticket + 1
        if self._held is None:
            self._queue_up(lane, resident, ticket, delay_ns)
        else:
            self._outstanding[lane] += 1
            self._held.append((lane, resident, ticket, delay_ns))
        return ticket

    def wait(self, until_ns: int) -> list[Completion]:
        """Return all completions of the first instant that has any, by lane; [] once the clock shows `until_ns`.

        The clock stands at that instant then. Nothing moves while `until_ns` is not after it: what is submitted
        between two calls that move the clock is submitted together.

        Raises:
            LaneLost: a lane was lost; what completed before has been returned, and nothing goes on after it.
        """
        words = self._words
        self._raise_if_lost(words[LOST_LANE])
        if until_ns <= words[NOW]:
            return []
        count = self._advance(min(until_ns, LAST_NS), self._arrays)
        if count == 0:
            self._raise_if_lost(words[LOST_LANE])
            return []
        done = []
        for row in range(count):
            ticket, lane, start_ns, end_ns = DONE.unpack_from(self._done_bytes, row * DONE.size)
            self._outstanding[lane] -= 1
            done.append(Completion(ticket, lane, start_ns, end_ns, None, None, None))
        return done

    def drain(self) -> Ints:
        """Run what is submitted to its end in one call of the loop; return rows (ticket, lane, start_ns, end_ns).

        Rows stand by end, then lane. The clock stands at the last end, or at the end of all time if a fault keeps
        work from ending.
        """
        total = sum(self._outstanding)
        done = np.zeros((total + self.lane_count - 1, DONE_COLUMNS), np.int64)
        scalars, lanes, queue, phases, _, log = self._arrays
        scalars[DRAINS] = 1
        count = self._advance(LAST_NS, (scalars, lanes, queue, phases, done, log)) if total else 0
        scalars[DRAINS] = 0
        for lane in done[:count, 1].tolist():
            self._outstanding[lane] -= 1
        return done[:count]

    def now_ns(self) -> int:
        """Return virtual time: 0 when the session opens."""
        return int(self._words[NOW])

    def phase_counts(self) -> tuple[int, int]:
        """Return how many kernels and how many gaps (lazy phases too) have ended so far."""
        return int(self._words[KERNEL_COUNT]), int(self._words[GAP_COUNT])

    def keep_truth(self) -> None:
        """Log rates from now on; ValueError once anything has been submitted. Memory grows with the run then."""
        if self._next_ticket:
            raise ValueError("keep_truth() comes before the first submission")
        self._log = np.zeros((LOG_ROWS_AT_ONCE, LOG_COLUMNS), np.int64)
        self._scalars[KEEPS_LOG] = 1
        self._bind()

    def truth(self) -> Truth:
        """Return who had which rate from when to when, until now; ValueError without `keep_truth`."""
        if not self._scalars[KEEPS_LOG]:
            raise ValueError("the truth is kept from keep_truth() on only")
        self._take_log()
        return truth_of(self._log_chunks, self._scalars, self._lanes)

    def _advance(self, until_ns: int, arrays: tuple[Ints, ...]) -> int:
        while (count := advance(until_ns, *arrays)) == LOG_FULL:
            self._take_log()
        return count

    def _take_log(self) -> None:
        self._log_chunks.append(self._log[: self._scalars[LOG_ROWS]].copy())
        self._scalars[LOG_ROWS] = 0

    def _queue_up(self, lane: int, resident: Resident, ticket: int, delay_ns: int) -> None:
        place = ticket - self._block_first
        if not 0 <= place < len(self._block):
            self._block_first = ticket - ticket % noise.BLOCK
            self._block = self.factors(self._block_first, noise.BLOCK).tolist()
            place = ticket - self._block_first
        tail = self._tails[lane]
        at = (lane * self._queue_rows + tail % self._queue_rows) * QUEUE_COLUMNS * WORD_BYTES
        lazy_ns, end = resident.lazy_ns, resident.end
        ENTRY.pack_into(self._queue_bytes, at, resident.first, end, self._block[place], ticket, delay_ns, lazy_ns)
        if lazy_ns:
            self._residents.warm(resident)
        self._tails[lane] = tail + 1
        self._words[SUBMITTED] = 1
        self._outstanding[lane] += 1

    def _check_idle(self, what: str) -> None:
        lost = self._words[LOST_LANE]
        busy = [lane for lane, count in enumerate(self._outstanding) if count and lane != lost]
        if busy or self._held:
            raise ValueError(f"cannot {what} while lanes are busy: {busy or 'a gate is open'}")

    def _raise_if_lost(self, lane: int) -> None:
        if lane == self._words[LOST_LANE] and lane >= 0:
            raise LaneLost(lane, f"the device file lets it die at {self._file.faults.lane_death}")


@functools.lru_cache(maxsize=64)
def _kernels(folder: Path, engine_sha256: str) -> "KernelList":
    """Return an engine's kernels; sessions of one campaign load the same engines again and again."""
    from cotenant.runners.simulated.kernel_list import read_kernels

    return read_kernels(folder)
