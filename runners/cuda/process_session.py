"""A session of lanes in processes of their own: each has its CUDA context, and they share the device's global timer.

gate   the host names an instant, ahead by what commands need to arrive; each lane's stream holds until then
clock  lanes send anchors of the global timer; one map, in the host, for all of them
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.anchors import anchored_map
from cotenant.runners.cuda.clock_map import Anchor, LaneTimeline
from cotenant.runners.cuda.gpu import LaneStream, OutOfGpuMemory
from cotenant.runners.cuda.host_clock import MonotonicClock
from cotenant.runners.cuda.lane_handle import LaneHandle, await_readable
from cotenant.runners.cuda.lane_process import DRIVER, Settings
from cotenant.runners.cuda.lane_session import LaneSession, Submission
from cotenant.runners.cuda.wire import (
    ANCHOR,
    DONE,
    FAILED,
    LOAD,
    LOADED,
    NONE,
    OUT_OF_MEMORY,
    READY,
    RUN,
    UNLOAD,
    UNLOADED,
    Command,
    Reply,
)
from cotenant.runners.protocol import Completion, Engine, Lane, Loaded

START_TIMEOUT_S = 120.0
LOAD_TIMEOUT_S = 600.0
GATE_AHEAD_NS = 3_000_000  # a command reaches its lane within some 100 us, and its launches take about as long
FIRST_WORK_NS = 3_000_000  # an idle lane's anchor belongs to the beginning of work if it comes within this
LONGEST_PAUSE_S = 0.05


@dataclass(frozen=True)
class RemoteEngine:
    """An engine in a lane's process."""

    handle: int
    captured: bool
    refusal: str | None


class ProcessSession(LaneSession[RemoteEngine]):
    """Lanes in processes; each can be lost alone."""

    weights_shared: bool | None = False  # every process loads its own

    def __init__(self, lanes: Sequence[LaneHandle], ready: Sequence[Sequence[Reply]]) -> None:
        """Take over started lanes with what each said until it was ready: its first anchors, then its facts."""
        super().__init__(len(lanes), MonotonicClock())
        self._lanes = lanes
        facts = [json.loads(replies[-1].body) for replies in ready]
        self.streams = tuple(LaneStream(each["handle"], each["priority"], each["sm_count"]) for each in facts)
        modes = {each["isolation"] for each in facts}
        self.isolation_observed: str = modes.pop() if len(modes) == 1 else "processes"
        self.tick_ns = max(int(each["tick_ns"]) for each in facts)
        anchors = [_anchor(reply) for replies in ready for reply in replies if reply.kind == ANCHOR]
        self._map = anchored_map(sorted(anchors, key=lambda anchor: anchor.device_ns))
        self._timelines = [LaneTimeline(self._map) for _ in lanes]
        self._under_way = [0] * len(lanes)
        self._busy_since_ns = self.now_ns()  # when there was work again after none

    @property
    def clock_error_ns(self) -> int:
        """Error bar of a stamp on the session's clock: the timer's tick and the mapping's error."""
        return self._map.error_ns + self.tick_ns

    @property
    def host_has_own_core(self) -> bool:
        """Whether there is a core for the dispatching process besides one for each lane's process."""
        return len(os.sched_getaffinity(0)) > self.lane_count

    def close(self, at_once: bool) -> None:
        """End every lane's process; by SIGKILL if `at_once` or if it has work left."""
        for lane in self._lanes:
            lane.close(at_once or self._under_way[lane.index] > 0)

    def _load(self, lane: int, engine: Engine, copies: bool, handle: int) -> RemoteEngine:
        order = json.dumps({"folder": str(engine.folder.absolute()), "copies": copies}).encode()
        self._lanes[lane].send(Command(LOAD, 0, handle, 0, 0, order))
        reply = self._answer(lane, (LOADED, FAILED, OUT_OF_MEMORY))
        if reply.kind != LOADED:
            kind = OutOfGpuMemory if reply.kind == OUT_OF_MEMORY else WorkError
            said = reply.body.decode(errors="replace")
            raise kind(f"lane {lane} cannot load engine {engine.engine_id} ({engine.model}): {said}")
        return RemoteEngine(handle, **json.loads(reply.body))

    def _unload(self, loaded: Loaded, resident: RemoteEngine) -> None:
        self._lanes[loaded.lane].send(Command(UNLOAD, 0, resident.handle, 0, 0))
        self._answer(loaded.lane, (UNLOADED,))

    def _answer(self, lane: int, kinds: Sequence[int]) -> Reply:
        replies = self._lanes[lane].receive_until(kinds, LOAD_TIMEOUT_S)
        for reply in replies[:-1]:
            self._take(lane, reply)
        return replies[-1]

    def _mode(self, resident: RemoteEngine) -> tuple[bool, str | None]:
        return resident.captured, resident.refusal

    def _dispatch(self, submission: Submission[RemoteEngine], start_timer_ns: int = 0) -> None:
        lane, handle = submission.lane, submission.resident.handle
        delay_ns = self._map.device_length_ns(submission.delay_ns)
        self._lanes[lane].send(Command(RUN, submission.ticket, handle, start_timer_ns, delay_ns))
        if not any(self._under_way):
            self._busy_since_ns = self.now_ns()
        self._under_way[lane] += 1

    def _dispatch_together(self, held: Sequence[Submission[RemoteEngine]]) -> None:
        start_timer_ns = self._map.to_device(self.now_ns() + GATE_AHEAD_NS)
        waiting: set[int] = set()
        for submission in held:
            self._dispatch(submission, 0 if submission.lane in waiting else start_timer_ns)
            waiting.add(submission.lane)

    def _turn(self) -> None:
        for lane in self._lanes:
            for reply in lane.receive():
                self._take(lane.index, reply)
            if lane.lost_cause is not None:
                self._under_way[lane.index] = 0  # what it had queued is lost

    def _take(self, lane: int, reply: Reply) -> None:
        if reply.kind == ANCHOR:
            anchor = _anchor(reply)
            self._map.add(anchor, idle=bool(reply.ticket) and anchor.host_ns < self._busy_since_ns + FIRST_WORK_NS)
        elif reply.kind == DONE:
            start_ns, end_ns = self._timelines[lane].place(reply.first_ns, reply.second_ns)
            copies = (None if each == NONE else each for each in (reply.h2d_ns, reply.d2h_ns))
            self._completed.append(Completion(reply.ticket, lane, start_ns, end_ns, None, *copies))
            self._under_way[lane] -= 1
        else:
            raise ValueError(f"lane {lane} sent {reply} while executing")

    def _pause(self, length_ns: int) -> None:
        if self._completed:  # ended on the device, not yet on the host's clock
            self._clock.pause(min(length_ns, max(0, min(each.end_ns for each in self._completed) - self.now_ns())))
            return
        await_readable([lane for lane in self._lanes if lane.lost_cause is None], min(length_ns / 1e9, LONGEST_PAUSE_S))

    def _outstanding(self, lane: int) -> int:
        return self._under_way[lane]

    def _raise_if_lost(self, lane: int | None) -> None:
        for each in self._lanes if lane is None else (self._lanes[lane],):
            each.raise_if_lost()


def _anchor(reply: Reply) -> Anchor:
    return Anchor(reply.first_ns, reply.second_ns, reply.h2d_ns)


@contextmanager
def opened(
    device_index: int,
    lanes: Sequence[Lane],
    loader: str,
    environment: Sequence[Mapping[str, str]],
    seed: int,
    gpu: str = DRIVER,
) -> Iterator[ProcessSession]:
    """Open a session; see `cotenant.runners.cuda.session.open_processes`. `gpu` names what opens the device."""
    handles: list[LaneHandle] = []
    try:
        for index, (lane, variables) in enumerate(zip(lanes, environment, strict=True)):
            settings = Settings(device_index, lane.priority, loader, seed, gpu)
            handles.append(LaneHandle(index, asdict(settings), variables))
        session = ProcessSession(handles, [each.receive_until((READY,), START_TIMEOUT_S) for each in handles])
    except BaseException:
        for handle in handles:
            handle.close(at_once=True)
        raise
    try:
        yield session
    except BaseException:
        session.close(at_once=True)
        raise
    session.close(at_once=False)
