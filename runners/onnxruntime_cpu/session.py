"""A session of the onnxruntime-cpu runner: lanes that are processes, one clock (CLOCK_MONOTONIC), work two deep."""

import itertools
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cotenant.models.errors import WorkError
from cotenant.runners.onnxruntime_cpu.build import load_order
from cotenant.runners.onnxruntime_cpu.cores import physical_cores
from cotenant.runners.onnxruntime_cpu.lane import LaneHandle, Reply, await_readable
from cotenant.runners.onnxruntime_cpu.wire import COMMAND, DONE, FAILED, LOAD, MAX_QUEUED, RUN, UNLOAD
from cotenant.runners.protocol import Completion, Engine, LaneLost, Loaded

START_TIMEOUT_S = 60.0
LOAD_TIMEOUT_S = 600.0
GATE_AHEAD_NS = 1_000_000  # commands reach sleeping lanes within some 100 us; what is late starts late and alone
OWN_CORES = "own-cores"
SHARED_CORES = "shared-cores"

Held = tuple[int, int, int, int]  # lane, ticket, handle, delay_ns


class CpuSession:
    """Lanes open for work; see `cotenant.runners.protocol.Session`."""

    def __init__(
        self,
        lanes: Sequence[LaneHandle],
        fits: bool,
        host_has_own_core: bool,
    ) -> None:
        """Take over started lanes; `fits` = there is a core for every thread of every lane."""
        self._lanes = lanes
        self._fits = fits
        self._host_has_own_core = host_has_own_core
        self._tickets = itertools.count()
        self._handles = itertools.count(1)
        self._loaded: set[Loaded] = set()
        self._outstanding = [0] * len(lanes)
        self._completed: list[Completion] = []
        self._held: list[Held] | None = None
        self._lost: LaneLost | None = None
        self._clock_error_ns = _stamp_error_ns()

    @property
    def lane_count(self) -> int:
        """How many lanes are open."""
        return len(self._lanes)

    @property
    def isolation_observed(self) -> str:
        """`own-cores` if the kernel lets no two lanes run on one physical core, else `shared-cores`."""
        cores = [physical_cores(lane.affinity()) for lane in self._lanes]
        apart = all(first.isdisjoint(second) for first, second in itertools.combinations(cores, 2))
        return OWN_CORES if apart else SHARED_CORES

    @property
    def clock_error_ns(self) -> int:
        """Error bar of a span: what its two readings of the clock cost."""
        return self._clock_error_ns

    @property
    def oversubscribed(self) -> bool:
        """Whether lanes share cores or their time: by affinity, SMT or a quota."""
        return not self._fits or self.isolation_observed == SHARED_CORES

    @property
    def host_has_own_core(self) -> bool:
        """Whether the dispatching process has been moved to a core without a lane."""
        return self._host_has_own_core

    @property
    def weights_shared(self) -> bool | None:
        """False: ONNX Runtime packs what it multiplies by into each process's own memory as it loads.

        Only look-up tables (embeddings) stay mapped from the shared file (seen in smaps with 1.32).
        """
        return False

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        """Load an engine in the lane's process and warm it; ValueError while any lane is busy.

        `copies` changes nothing: host and device memory of a CPU are one.
        """
        self._check_idle("load")
        handle = next(self._handles)
        body = json.dumps(load_order(engine)).encode()
        self._lanes[lane].send_frame(COMMAND.pack(LOAD, 0, handle, 0, 0, len(body)) + body)
        reply = self._lanes[lane].receive_one(LOAD_TIMEOUT_S)
        if reply.kind == FAILED:
            raise WorkError(
                f"lane {lane} cannot load engine {engine.engine_id} ({engine.model}): {reply.body.decode()}"
            )
        loaded = Loaded(lane, engine.engine_id, handle)
        self._loaded.add(loaded)
        return loaded

    def unload(self, loaded: Loaded) -> None:
        """Free an engine of a lane; ValueError while any lane is busy."""
        self._check_loaded(loaded.lane, loaded)
        self._check_idle("unload")
        self._loaded.remove(loaded)
        self._lanes[loaded.lane].send(UNLOAD, handle=loaded.handle)
        self._lanes[loaded.lane].receive_one(LOAD_TIMEOUT_S)

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
        gate_ns = self.now_ns() + GATE_AHEAD_NS
        for lane, ticket, handle, delay_ns in held:
            self._send(lane, ticket, handle, gate_ns, delay_ns)

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        """Queue one execution; ValueError beyond 1024 of a lane that `wait` has not returned yet."""
        self._check_loaded(lane, loaded)
        if delay_ns < 0:
            raise ValueError(f"delay_ns is {delay_ns}")
        held = 0 if self._held is None else sum(entry[0] == lane for entry in self._held)
        if self._outstanding[lane] + held >= MAX_QUEUED:
            raise ValueError(f"lane {lane} has {MAX_QUEUED} executions that were not collected; call wait() first")
        ticket = next(self._tickets)
        if self._held is None:
            self._send(lane, ticket, loaded.handle, 0, delay_ns)
        else:
            self._lanes[lane].raise_if_lost()
            self._held.append((lane, ticket, loaded.handle, delay_ns))
        return ticket

    def wait(self, until_ns: int) -> list[Completion]:
        """Return what has completed, by end_ns, as soon as anything has; [] once `until_ns` is reached.

        What a lane completed before it died is returned first; from then on LaneLost is raised.
        """
        while True:
            if self._lost is not None:
                raise self._lost
            self._collect()
            if self._completed:
                done, self._completed = self._completed, []
                return sorted(done, key=lambda completion: (completion.end_ns, completion.ticket))
            self._raise_if_lost()
            left_ns = until_ns - self.now_ns()
            if left_ns <= 0:
                return []
            await_readable(self._lanes, left_ns / 1e9)

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""
        return time.monotonic_ns()

    def close(self, at_once: bool) -> None:
        """End every lane's process; by SIGKILL if `at_once` or if it has work left."""
        busy = at_once or any(self._outstanding)
        for lane in self._lanes:
            lane.close(busy)

    def _raise_if_lost(self) -> None:
        for lane in self._lanes:
            try:
                lane.raise_if_lost()
            except LaneLost as lost:
                self._lost = lost  # what other lanes complete from now on is told to nobody
                raise

    def _send(self, lane: int, ticket: int, handle: int, gate_ns: int, delay_ns: int) -> None:
        self._lanes[lane].send(RUN, ticket, handle, gate_ns, delay_ns)
        self._outstanding[lane] += 1

    def _collect(self) -> None:
        for lane in self._lanes:
            for reply in lane.receive():
                self._completed.append(_completion(lane.index, reply))
                self._outstanding[lane.index] -= 1
            if lane.lost_cause is not None:
                self._outstanding[lane.index] = 0  # what it had queued is lost

    def _check_idle(self, what: str) -> None:
        self._collect()
        busy = [lane for lane, count in enumerate(self._outstanding) if count]
        if busy or self._held:
            raise ValueError(f"cannot {what} while lanes are busy: {busy or 'a gate is open'}")

    def _check_loaded(self, lane: int, loaded: Loaded) -> None:
        if loaded.lane != lane or loaded not in self._loaded:
            raise ValueError(f"{loaded} is not loaded on lane {lane}")


def _completion(lane: int, reply: Reply) -> Completion:
    if reply.kind != DONE:
        raise ValueError(f"lane {lane} sent {reply} while executing")
    return Completion(reply.ticket, lane, reply.start_ns, reply.end_ns, reply.cpu_ns, None, None)


def _stamp_error_ns() -> int:
    """Return what two readings of the clock cost."""
    stamps = [time.monotonic_ns() for _ in range(1001)]
    step_ns = statistics.median(after - before for before, after in itertools.pairwise(stamps))
    resolution_ns = time.get_clock_info("monotonic").resolution * 1e9
    return max(1, round(2 * max(step_ns, resolution_ns)))
