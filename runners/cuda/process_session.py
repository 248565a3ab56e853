"""A session of lanes in processes of their own: each has its CUDA context, and they share the device's global timer.

gate   the host names an instant, ahead by what commands need to arrive; each lane's stream holds until then
clock  lanes at work send anchors of the global timer; one map, in the host, for all; before a gate it is renewed
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.anchors import anchored_map
from cotenant.runners.cuda.clock_map import Anchor, LaneTimeline
from cotenant.runners.cuda.gate_lags import GateLags
from cotenant.runners.cuda.gpu import LaneStream, OutOfGpuMemory
from cotenant.runners.cuda.host_clock import MonotonicClock
from cotenant.runners.cuda.lane_handle import LaneHandle, await_readable
from cotenant.runners.cuda.lane_session import LaneSession, Submission
from cotenant.runners.cuda.wire import (
    ANCHOR,
    DONE,
    FAILED,
    LOAD,
    LOADED,
    NONE,
    OUT_OF_MEMORY,
    RUN,
    SYNC,
    UNLOAD,
    UNLOADED,
    Command,
    Reply,
)
from cotenant.runners.protocol import Completion, Engine, Loaded

LOAD_TIMEOUT_S = 600.0
SYNC_TIMEOUT_S = 15.0  # longer than a lane looks for its stamp, so that the lane says what is wrong
GATE_AHEAD_NS = 3_000_000  # a command reaches its lane within some 100 us, and its launches take about as long
GATE_AHEAD_EACH_NS = 30_000  # commands are sent one after the other
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
        self.stamp_pair_ns = max(int(each["stamp_pair_ns"]) for each in facts)  # what an empty span shows
        anchors = [_anchor(reply) for replies in ready for reply in replies if reply.kind == ANCHOR]
        self._map = anchored_map(sorted(anchors, key=lambda anchor: anchor.device_ns))
        self._timelines = [LaneTimeline(self._map) for _ in lanes]
        self._gate_lags = GateLags()
        self._under_way = [0] * len(lanes)
        self._busy_since_ns = self.now_ns()  # when there was work again after none

    @property
    def clock_error_ns(self) -> int:
        """Error bar of a stamp on the session's clock: the timer's tick and the mapping's error."""
        return self._map.error_ns + self.tick_ns

    @property
    def worst_gate_lag_ns(self) -> int | None:
        """Longest time from a gate's instant to the first execution on a lane that was idle; None = no gate so far."""
        return self._gate_lags.worst_ns

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
        self._turn()
        if not any(self._under_way):
            self._renew_map(held[0].lane)
        start_timer_ns = self._map.to_device(self.now_ns() + GATE_AHEAD_NS + len(held) * GATE_AHEAD_EACH_NS)
        firsts = {each.lane: each for each in reversed(held)}
        for lane, submission in firsts.items():
            if not self._under_way[lane]:
                delay_ns = self._map.device_length_ns(submission.delay_ns)
                self._gate_lags.expect(submission.ticket, start_timer_ns + delay_ns)
            self._dispatch(submission, start_timer_ns)
        for submission in held:
            if submission is not firsts[submission.lane]:
                self._dispatch(submission)

    def _renew_map(self, lane: int) -> None:
        """Relate the clocks now: idle lanes send no anchors, and the map has run free since they had work."""
        self._lanes[lane].send(Command(SYNC, 0, 0, 0, 0))
        for reply in self._lanes[lane].receive_until((ANCHOR,), SYNC_TIMEOUT_S):
            self._take(lane, reply)

    def _turn(self) -> None:
        for lane in self._lanes:
            for reply in lane.receive():
                self._take(lane.index, reply)
            if lane.lost_cause is not None:
                self._under_way[lane.index] = 0  # what it had queued is lost

    def _take(self, lane: int, reply: Reply) -> None:
        if reply.kind == ANCHOR:
            anchor = _anchor(reply)
            begins = not any(self._under_way) or anchor.host_ns < self._busy_since_ns + FIRST_WORK_NS
            self._map.add(anchor, idle=bool(reply.ticket) and begins)
        elif reply.kind == DONE:
            start_ns, end_ns = self._timelines[lane].place(reply.first_ns, reply.second_ns)
            self._gate_lags.note(reply.ticket, reply.first_ns - max(0, reply.h2d_ns))
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
