"""A session of lanes in this process: streams of the device's primary context, one host thread for all of them.

wait()   collect what has ended | feed the lanes' device queues | anchor if due | pause | ...
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.anchors import Anchors, anchored_map
from cotenant.runners.cuda.clock_map import LaneTimeline
from cotenant.runners.cuda.gate import Gate
from cotenant.runners.cuda.gpu import Gpu, GpuError, GpuLost, LaneStream, OutOfGpuMemory
from cotenant.runners.cuda.host_clock import HostClock, MonotonicClock
from cotenant.runners.cuda.lane import CudaLane, Execution
from cotenant.runners.cuda.lane_session import LaneSession, Submission
from cotenant.runners.cuda.loading import LoadedEngine, load_engine
from cotenant.runners.cuda.stamp_pairs import stamp_pair_ns
from cotenant.runners.cuda.stamps import EventStamps
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Completion, Engine, Lane, LaneLost, Loaded

POLL_NS = 10_000
CLOSE_LIMIT_NS = 30_000_000_000


class InProcessSession(LaneSession[LoadedEngine]):
    """Lanes on streams of one context; they are lost together."""

    host_has_own_core = True  # lanes in this process take no core

    def __init__(
        self,
        gpu: Gpu,
        clock: HostClock,
        streams: Sequence[LaneStream],
        loader: str,
        seed: int = 0,
        weights_shared: bool | None = None,
    ) -> None:
        """Take over a device with streams for all lanes, and relate its clock to the host's; the device is idle."""
        super().__init__(len(streams), clock)
        self.streams = tuple(streams)
        self.weights_shared = weights_shared
        self.isolation_observed = gpu.isolation_observed
        self._gpu, self._loader, self._seed = gpu, loader, seed
        self._stamps = EventStamps(gpu)
        self._lanes = [CudaLane(gpu, self._stamps, stream.handle) for stream in streams]
        self._gate = Gate(gpu)
        self._anchors = Anchors(gpu, clock, self._stamps)
        try:
            self._map = anchored_map(self._anchors.first())
            self.stamp_pair_ns = stamp_pair_ns(gpu, self._stamps, streams[0].handle)  # what an empty span shows
        except BaseException:
            with suppress(GpuError):  # the first error tells more
                self._anchors.close()
                self._stamps.close()
            raise
        self._timelines = [LaneTimeline(self._map) for _ in streams]
        self._lost: LaneLost | None = None

    @property
    def clock_error_ns(self) -> int:
        """Error bar of a stamp on the session's clock: the events' resolution and the mapping's error."""
        return self._map.error_ns + self._stamps.resolution_ns

    def close(self) -> None:
        """End delays, let the device finish what it has, and free everything.

        What has not ended after 30 s hangs; freeing would block for ever then, so it is left to the process's end.
        """
        for lane in self._lanes:
            lane.drop_queued()
        self._guarded(0, self._gpu.end_delays)
        limit_ns = self._clock.now_ns() + CLOSE_LIMIT_NS
        while self._lost is None and self._flies:
            if self._clock.now_ns() > limit_ns:
                return
            self._turn()
            self._clock.pause(POLL_NS)
        self._guarded(0, self._free)

    def _free(self) -> None:
        for engine in self._loaded.values():
            engine.close()
        self._anchors.close()
        self._stamps.close()
        self._gpu.close()

    def _load(self, lane: int, engine: Engine, copies: bool, handle: int) -> LoadedEngine:
        stream, meta = self._lanes[lane].stream, read_meta(engine.folder)
        name = f"engine {engine.engine_id} ({engine.model})"
        try:
            return load_engine(self._gpu, stream, engine.folder, meta, self._loader, self._seed, copies)
        except GpuLost as error:
            self._lost = LaneLost(lane, f"loading {name} broke its context: {error}")
            raise self._lost from error
        except WorkError as error:
            kind = OutOfGpuMemory if isinstance(error, OutOfGpuMemory) else WorkError
            raise kind(f"lane {lane} cannot load {name}: {error}") from error

    def _unload(self, loaded: Loaded, resident: LoadedEngine) -> None:
        resident.close()

    def _mode(self, resident: LoadedEngine) -> tuple[bool, str | None]:
        return resident.captured, resident.refusal

    @property
    def _flies(self) -> bool:
        return any(lane.flying for lane in self._lanes)

    def _dispatch(self, submission: Submission[LoadedEngine]) -> None:
        if not self._flies:
            self._anchor()  # the map has run free since there was work
        self._lanes[submission.lane].submit(self._execution(submission))
        self._feed()

    def _dispatch_together(self, held: Sequence[Submission[LoadedEngine]]) -> None:
        self._turn()  # what has ended counts as on the device until it is collected
        self._anchor()  # the map may have run free, and while lanes run it would disturb them
        waiting: set[int] = set()
        for submission in held:
            execution = self._execution(submission)
            if submission.lane not in waiting:
                execution.hold = self._gate.next_hold()
                waiting.add(submission.lane)
            self._lanes[submission.lane].submit(execution)
        self._gate.pass_through_watched(partial(self._feed, behind_gate=True))
        self._feed()

    def _execution(self, submission: Submission[LoadedEngine]) -> Execution:
        delay_ns = self._map.device_length_ns(submission.delay_ns)
        return Execution(submission.ticket, submission.resident, delay_ns, None)

    def _turn(self) -> None:
        for index in range(self.lane_count):
            self._guarded(index, partial(self._collect, index))
        self._feed()
        if self._flies:
            self._anchor()

    def _pause(self, length_ns: int) -> None:
        self._clock.pause(min(POLL_NS, length_ns))

    def _outstanding(self, lane: int) -> int:
        return 0 if self._lost is not None else self._lanes[lane].outstanding

    def _raise_if_lost(self, lane: int | None) -> None:
        if self._lost is not None:
            raise LaneLost(self._lost.lane, self._lost.cause)

    def _collect(self, lane: int) -> None:
        for timed in self._lanes[lane].collect():
            start_ns, end_ns = self._timelines[lane].place(timed.start_ns, timed.end_ns)
            done = Completion(timed.ticket, lane, start_ns, end_ns, None, timed.h2d_ns, timed.d2h_ns)
            self._completed.append(done)

    def _feed(self, behind_gate: bool = False) -> None:
        for index, lane in enumerate(self._lanes):
            self._guarded(index, partial(lane.feed, behind_gate))

    def _anchor(self) -> None:
        self._guarded(0, self._take_anchor)

    def _take_anchor(self) -> None:
        anchor = self._anchors.poll()
        if anchor is not None:
            self._map.add(anchor, idle=not self._flies)

    def _guarded(self, lane: int, call: Callable[[], None]) -> None:
        """Call the driver unless it is lost; an error loses all lanes of the context, and the first cause is told."""
        if self._lost is None:
            try:
                call()
            except GpuError as error:
                self._lost = LaneLost(lane, str(error))


@contextmanager
def opened(
    device_index: int, lanes: Sequence[Lane], isolation: str, loader: str, seed: int, weights_shared: bool | None
) -> Iterator[InProcessSession]:
    """Open a session on a real device; see `cotenant.runners.cuda.session.open_in_process`."""
    from cotenant.runners.cuda.driver_gpu import DriverGpu

    gpu = DriverGpu(device_index)
    shares = [lane.share_pct for lane in lanes] if isolation == "green-contexts" else None
    try:
        streams = gpu.lane_streams([lane.priority for lane in lanes], shares)
        session = InProcessSession(gpu, MonotonicClock(), streams, loader, seed, weights_shared)
    except BaseException:
        gpu.close()
        raise
    try:
        yield session
    finally:
        session.close()
