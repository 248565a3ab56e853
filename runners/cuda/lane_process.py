"""The process of one lane: `python -m cotenant.runners.cuda.lane_process COMMANDS REPLIES SETTINGS`.

It has a CUDA context of its own. Stamps are of the global timer, which all processes on the device share; the host maps
them to its clock. One loop, which never blocks while work is under way:

    read commands | reply what has ended | feed the device's queue | anchor if due | pause a little, or sleep if idle

It ends when the host closes the command pipe or dies, whatever is under way: the driver then ends that too.
"""

import ctypes
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from typing import Any, cast

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.anchors import Anchors
from cotenant.runners.cuda.clock_map import Anchor
from cotenant.runners.cuda.gpu import Gpu, OutOfGpuMemory
from cotenant.runners.cuda.host_clock import MonotonicClock
from cotenant.runners.cuda.lane import CudaLane, Execution, Timed
from cotenant.runners.cuda.loading import LoadedEngine, load_engine
from cotenant.runners.cuda.stamp_pairs import stamp_pair_ns
from cotenant.runners.cuda.stamps import TimerStamps
from cotenant.runners.cuda.wire import (
    ANCHOR,
    COMMAND,
    DONE,
    FAILED,
    LOAD,
    LOADED,
    NONE,
    OUT_OF_MEMORY,
    READY,
    RUN,
    SYNC,
    UNLOAD,
    UNLOADED,
    Frames,
    Reply,
)

POLL_NS = 20_000
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
DRIVER = "cotenant.runners.cuda.driver_gpu:DriverGpu"


class HostGone(Exception):
    """The host has closed the command pipe or died."""


@dataclass(frozen=True)
class Settings:
    """What a lane process is told as it starts.

    Attributes:
        gpu: Path `package.module:class` of what opens the device.
        loader: Path of the loader of networks.
    """

    device_index: int
    priority: int
    loader: str
    seed: int
    gpu: str = DRIVER


class LaneProcess:
    """One lane, its context and the loop that serves it."""

    def __init__(self, commands: int, replies: int, settings: Settings) -> None:
        """Open the device and tell the host that the lane is ready, with its first anchors."""
        self._commands, self._replies, self._settings = commands, replies, settings
        self._frames = Frames(commands, COMMAND)
        self._waiter = select.poll()
        self._waiter.register(commands, select.POLLIN)
        self._clock = MonotonicClock()
        self._gpu = _open(settings)
        (stream,) = self._gpu.lane_streams([settings.priority], None)
        self._stamps = TimerStamps(self._gpu)
        self._lane = CudaLane(self._gpu, self._stamps, stream.handle)
        self._anchors = Anchors(self._gpu, self._clock, self._stamps)
        self._engines: dict[int, LoadedEngine] = {}
        for anchor in self._anchors.first():
            self._tell(anchor, idle=True)
        facts = {
            "isolation": self._gpu.isolation_observed,
            "tick_ns": self._stamps.resolution_ns,
            "stamp_pair_ns": stamp_pair_ns(self._gpu, self._stamps, stream.handle),
            **asdict(stream),
        }
        self._reply(Reply(READY, body=json.dumps(facts).encode()))

    def serve(self) -> None:
        """Execute commands until the host goes."""
        while True:
            idle = self._lane.outstanding == 0
            for numbers, body in self._frames.read():
                self._obey(numbers, body)
            if self._frames.ended:
                raise HostGone
            if idle and self._lane.outstanding:
                self._anchor(idle=True)
            for timed in self._lane.collect():
                self._reply(_done(timed))
            self._lane.feed()
            if self._lane.outstanding:
                self._anchor()
                self._clock.pause(POLL_NS)
            else:
                self._waiter.poll()

    def _obey(self, numbers: Sequence[int], body: bytes) -> None:
        kind, ticket, handle, start_timer_ns, delay_ns = numbers
        if kind == RUN:
            hold = partial(self._gpu.launch_until, timer_ns=start_timer_ns) if start_timer_ns else None
            self._lane.submit(Execution(ticket, self._engines[handle], delay_ns, hold))
        elif kind == LOAD:
            self._load(handle, json.loads(body))
        elif kind == UNLOAD:
            self._engines.pop(handle).close()
            self._reply(Reply(UNLOADED))
        elif kind == SYNC:
            self._tell(self._anchors.renew(), idle=True)

    def _load(self, handle: int, order: dict[str, Any]) -> None:
        from pathlib import Path

        from cotenant.runners.engine_cache import read_meta

        folder, copies, settings = Path(order["folder"]), bool(order["copies"]), self._settings
        try:
            engine = load_engine(
                self._gpu, self._lane.stream, folder, read_meta(folder), settings.loader, settings.seed, copies
            )
        except WorkError as error:
            kind = OUT_OF_MEMORY if isinstance(error, OutOfGpuMemory) else FAILED
            self._reply(Reply(kind, body=" ".join(str(error).split()).encode()))
            return
        self._engines[handle] = engine
        mode = {"captured": engine.captured, "refusal": engine.refusal and engine.refusal[:1000]}
        self._reply(Reply(LOADED, body=json.dumps(mode).encode()))

    def _anchor(self, idle: bool = False) -> None:
        anchor = self._anchors.poll()
        if anchor is not None:
            self._tell(anchor, idle)

    def _tell(self, anchor: Anchor, idle: bool) -> None:
        self._reply(Reply(ANCHOR, int(idle), anchor.device_ns, anchor.host_ns, anchor.rtt_ns))

    def _reply(self, reply: Reply) -> None:
        os.write(self._replies, reply.packed())


def _open(settings: Settings) -> Gpu:
    module, name = settings.gpu.split(":")
    return cast(Gpu, getattr(import_module(module), name)(settings.device_index, alone=True))


def _done(timed: Timed) -> Reply:
    h2d_ns = NONE if timed.h2d_ns is None else timed.h2d_ns
    d2h_ns = NONE if timed.d2h_ns is None else timed.d2h_ns
    return Reply(DONE, timed.ticket, timed.start_ns, timed.end_ns, h2d_ns, d2h_ns)


def _die_with_host() -> None:
    """Let the kernel end this process with the thread that started it: while an engine loads, no pipe is looked at."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def main() -> None:
    """Run one lane."""
    _die_with_host()
    commands, replies = map(int, sys.argv[1:3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to decide
    try:
        LaneProcess(commands, replies, Settings(**json.loads(sys.argv[3]))).serve()
    except (HostGone, BrokenPipeError):
        os._exit(0)  # nothing to save; the driver frees everything, and what hangs must not keep this process
    except WorkError as error:  # the host reads the last line
        print(error, file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    main()
