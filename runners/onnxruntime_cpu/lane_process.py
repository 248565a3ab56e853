"""The process of one lane: `python -m cotenant.runners.onnxruntime_cpu.lane_process COMMANDS REPLIES THREADS CORES`.

It reads commands in order and executes them one at a time; stamps are taken right around the call:

    read command | hold (gate, delay) | start_ns [ run ] end_ns | write reply | read the next, which is already there

It ends when the host closes the command pipe or dies, at the latest after the execution it is in.
"""

import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable

from cotenant.runners.hold import SPIN_NS, hold_until, sharpen_timers
from cotenant.runners.onnxruntime_cpu.cores import parse_cpu_list
from cotenant.runners.onnxruntime_cpu.wire import (
    COMMAND,
    DONE,
    FAILED,
    LOAD,
    LOADED,
    MAX_BODY_BYTES,
    READY,
    REPLY,
    RUN,
    UNLOAD,
    UNLOADED,
)

WARM_EXECUTIONS = 3  # fewer where one takes long
WARM_NS = 100_000_000


class HostGone(Exception):
    """The host has closed the command pipe or died."""


class LaneProcess:
    """The engines of one lane and the loop that executes them."""

    def __init__(self, commands: int, replies: int, threads: int) -> None:
        self._commands = commands
        self._replies = replies
        self._threads = threads
        self._calls: dict[int, Callable[[], None]] = {}
        self._hangup = select.poll()  # reports that the host's end is closed even while commands are queued
        self._hangup.register(commands, 0)

    def serve(self) -> None:
        """Execute commands until the host goes."""
        self._reply(READY)
        while True:
            kind, ticket, handle, gate_ns, delay_ns, body_bytes = COMMAND.unpack(self._read(COMMAND.size))
            if kind == RUN:
                self._run(ticket, handle, gate_ns, delay_ns)
            elif kind == LOAD:
                self._load(handle, self._read(body_bytes))
            elif kind == UNLOAD:
                del self._calls[handle]
                gc.collect()
                self._reply(UNLOADED)

    def _run(self, ticket: int, handle: int, gate_ns: int, delay_ns: int) -> None:
        call, now, cpu_now = self._calls[handle], time.monotonic_ns, time.process_time_ns
        if gate_ns or delay_ns:
            self._hold(max(gate_ns, now()) + delay_ns)
        if self._hangup.poll(0):
            raise HostGone
        cpu_start_ns = cpu_now()
        start_ns = now()
        call()
        end_ns = now()
        cpu_end_ns = cpu_now()
        os.write(self._replies, REPLY.pack(DONE, ticket, start_ns, end_ns, cpu_end_ns - cpu_start_ns, 0))

    def _hold(self, moment_ns: int) -> None:
        """Hold until a moment, but not for a host that is gone."""
        wait_ms = (moment_ns - time.monotonic_ns() - SPIN_NS) // 1_000_000
        if wait_ms > 0 and self._hangup.poll(wait_ms):
            raise HostGone
        hold_until(moment_ns)

    def _load(self, handle: int, body: bytes) -> None:
        from cotenant.runners.onnxruntime_cpu.executable import load_executable

        try:
            call = load_executable(json.loads(body), self._threads)
            _warm(call)
        except Exception as error:  # told to the host, which raises it with the engine's name
            self._reply(FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}".encode())
            return
        self._calls[handle] = call
        gc.collect()
        gc.freeze()  # nothing here is garbage, and the collector stays off while lanes execute
        self._reply(LOADED)

    def _read(self, byte_count: int) -> bytes:
        data = os.read(self._commands, byte_count)
        while len(data) < byte_count:
            more = os.read(self._commands, byte_count - len(data))
            if not more:
                raise HostGone
            data += more
        return data

    def _reply(self, kind: int, body: bytes = b"") -> None:
        body = body[:MAX_BODY_BYTES]
        os.write(self._replies, REPLY.pack(kind, 0, 0, 0, 0, len(body)) + body)


def _warm(call: Callable[[], None]) -> None:
    begin_ns = time.monotonic_ns()
    for _ in range(WARM_EXECUTIONS):
        call()
        if time.monotonic_ns() - begin_ns > WARM_NS:
            break


def main() -> None:
    """Run one lane."""
    commands, replies, threads = map(int, sys.argv[1:4])
    os.sched_setaffinity(0, parse_cpu_list(sys.argv[4]))  # before the libraries below size their thread pools
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to decide
    sharpen_timers()
    import cotenant.runners.onnxruntime_cpu.executable  # noqa: F401  loaded now, so that a first load need not wait

    gc.disable()
    try:
        LaneProcess(commands, replies, threads).serve()
    except (HostGone, BrokenPipeError):
        os._exit(0)  # nothing to save; tearing libraries down would take longer than the host waits


if __name__ == "__main__":
    main()
