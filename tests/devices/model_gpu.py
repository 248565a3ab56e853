"""A GPU for lanes to be tested on: the `Gpu` protocol over in-order streams, in virtual time or in the machine's own.

It is strict where a real one is quietly wrong: a graph that would run beside itself, a launch that would block for ever
behind a closed gate, a freed thing that is used, raise ModelFault. Its clock drifts, its events are float32.
"""

import itertools
from collections.abc import Callable

import numpy as np
from model_parts import Graph, ModelWords, Traits, VirtualClock
from model_streams import ModelFault, Operation, Streams

from cotenant.runners.cuda.gpu import GpuError, GpuLost, LaneStream, Memory, Words
from cotenant.runners.cuda.host_clock import HostClock, MonotonicClock

FIRST_INDEX = 1000  # CUDA ordinals from here on are models
COPY_BYTES_PER_NS = 10.0
LONGEST_BLOCK_NS = 20_000_000_000  # in the machine's own time; in virtual time the model sees what blocks for ever

PLAIN = Traits()

opened: dict[int, "ModelGpu"] = {}


class ModelGpu:
    """See `cotenant.runners.cuda.gpu.Gpu`."""

    def __init__(
        self,
        device_index: int = FIRST_INDEX,
        alone: bool = False,
        clock: HostClock | None = None,
        traits: Traits = PLAIN,
    ) -> None:
        self.device_index, self.traits = device_index, traits
        self.clock = clock or MonotonicClock()
        # All models of a machine have one clock, as all processes on a GPU do: it counts from the host's zero.
        self.streams = Streams(traits.contention)
        self.streams.now_ns = self.device_ns(self.clock.now_ns())
        self._handles = itertools.count(1)
        self._events: dict[int, float | None] = {}  # device time once reached
        self._graphs: dict[int, Graph] = {}
        self._captures: dict[int, list[Operation]] = {}
        self._broken_captures: set[int] = set()
        self._host_memory: set[int] = set()
        self._lane_streams: list[int] = []
        self._broken: str | None = None
        self._ends_delays = False
        self.isolation_observed = "processes" if alone else "streams"
        self.most_queued = 0
        opened[device_index] = self

    def device_ns(self, host_ns: int) -> float:
        return host_ns + host_ns % (1 << 60) * self.traits.drift + 777_000_000

    def break_down(self, cause: str) -> None:
        """From now on every call fails with this error of the driver, as after a kernel that went wrong."""
        self._broken = cause

    def catch_up(self) -> None:
        self.streams.advance(self.device_ns(self.clock.now_ns()))

    def activate(self) -> None:
        self._call()

    def memory(self) -> Memory:
        self._call()
        return Memory(self.traits.total_bytes // 4, self.traits.total_bytes)

    def lane_streams(self, priorities: list[int], shares_pct: list[float | None] | None) -> list[LaneStream]:
        streams = [LaneStream(self.create_stream(), max(-5, min(0, each)), None) for each in priorities]
        self._lane_streams = [each.handle for each in streams]
        if shares_pct is None:
            return streams
        self.isolation_observed = "green-contexts"
        counts = [round((share or 100 / len(shares_pct)) * self.traits.sm_count / 100) for share in shares_pct]
        return [LaneStream(each.handle, each.priority, count) for each, count in zip(streams, counts, strict=True)]

    def create_stream(self, urgent: bool = False) -> int:
        self._call()
        stream = next(self._handles)
        self.streams.add(stream)
        return stream

    def destroy_stream(self, stream: int) -> None:
        self._call()
        self.streams.remove(stream)

    def synchronize(self, stream: int) -> None:
        self._call(breaks_capture=True)
        while self.streams.length(stream):
            self._let_pass(f"synchronize({stream})")

    def create_event(self) -> int:
        self._call()
        event = next(self._handles)
        self._events[event] = -1.0
        return event

    def destroy_event(self, event: int) -> None:
        self._call()
        del self._events[event]

    def record(self, event: int, stream: int) -> None:
        self._call()
        self._events[event] = None

        def reach(now_ns: float) -> None:
            self._events[event] = now_ns

        self._push(stream, Operation(ends=reach))

    def is_done(self, event: int) -> bool:
        self._call()
        return self._events[event] is not None

    def elapsed_ms(self, first: int, second: int) -> float:
        self._call()
        begin_ns, end_ns = self._events[first], self._events[second]
        if begin_ns is None or end_ns is None or min(begin_ns, end_ns) < 0:
            raise GpuError("cuEventElapsedTime returned CUDA_ERROR_NOT_READY")
        return float(np.float32((end_ns - begin_ns) / 1e6))

    def begin_capture(self, stream: int) -> None:
        self._call()
        self._captures[stream] = []

    def end_capture(self, stream: int) -> int:
        self._call()
        operations = self._captures.pop(stream)
        if stream in self._broken_captures:
            self._broken_captures.discard(stream)
            raise GpuError("cuStreamEndCapture returned CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
        graph = next(self._handles)
        self._graphs[graph] = Graph(operations)
        return graph

    def launch_graph(self, graph: int, stream: int) -> None:
        self._call()
        exec_ = self._graphs[graph]

        def begin(_now_ns: float) -> None:
            if exec_.runs:
                raise ModelFault("two launches of one graph exec run at the same time")
            exec_.runs = True

        def end(_now_ns: float) -> None:
            exec_.runs = False

        self._push(stream, Operation(begins=begin))
        for each in exec_.launches:
            self._push(stream, Operation(each.work_ns, each.contends, begins=each.begins, ends=each.ends))
        self._push(stream, Operation(ends=end))

    def destroy_graph(self, graph: int) -> None:
        self._call()
        if self._graphs.pop(graph).runs:
            raise ModelFault("a graph exec was destroyed while it ran")

    def words(self, count: int) -> Words:
        self._call(breaks_capture=True)
        return ModelWords(self.catch_up, [0] * count)

    def wait_word(self, stream: int, words: Words, index: int, value: int) -> None:
        self._call()
        assert isinstance(words, ModelWords)
        here = words.values

        def is_open() -> bool:
            return (here[index] - value) % (1 << 32) < 1 << 31  # cyclic >=, as the driver's

        self._push(stream, Operation(is_open=is_open))

    def allocate_host(self, byte_count: int) -> int:
        self._call(breaks_capture=True)
        address = next(self._handles)
        self._host_memory.add(address)
        return address

    def free_host(self, address: int) -> None:
        self._call(breaks_capture=True)
        self._host_memory.remove(address)

    def copy_to_device(self, address: int, host_address: int, byte_count: int, stream: int) -> None:
        self._call()
        assert host_address in self._host_memory
        self._push(stream, Operation(byte_count / COPY_BYTES_PER_NS))

    def copy_to_host(self, host_address: int, address: int, byte_count: int, stream: int) -> None:
        self.copy_to_device(address, host_address, byte_count, stream)

    def is_capturing(self, stream: int) -> bool:
        """Tell whether a stream is being captured; not part of the protocol."""
        return stream in self._captures

    def launch_kernel(self, stream: int, work_ns: float, ends: Callable[[float], None] | None = None) -> None:
        """Queue a kernel that contends with others; not part of the protocol."""
        self._call()
        self._push(stream, Operation(work_ns, contends=True, ends=ends))

    def launch_delay(self, stream: int, delay_ns: int) -> None:
        self._call()
        begun: list[float] = []
        self._push(stream, Operation(begins=begun.append))
        self._push(stream, Operation(open_at_ns=lambda: 0.0 if self._ends_delays else begun[0] + delay_ns))

    def launch_until(self, stream: int, timer_ns: int) -> None:
        self._call()
        self._push(stream, Operation(open_at_ns=lambda: 0.0 if self._ends_delays else float(timer_ns)))

    def launch_stamp(self, stream: int, words: Words, index: int) -> None:
        self._call()
        assert isinstance(words, ModelWords)
        here = words.values

        def stamp(now_ns: float) -> None:
            here[index] = self._timer(now_ns)

        self._push(stream, Operation(ends=stamp))

    def launch_ticks(self, stream: int, words: Words, count: int) -> None:
        self._call()
        assert isinstance(words, ModelWords)
        first = self._timer(self.streams.now_ns)
        words.values[:count] = [first + index * self.traits.timer_tick_ns for index in range(count)]

    def end_delays(self) -> None:
        self._call()
        self._ends_delays = True
        self.catch_up()

    def close(self) -> None:
        self._call()
        for stream in self._lane_streams:
            self.streams.remove(stream)
        if self._graphs or self._host_memory:
            raise ModelFault("graphs or host memory were left behind")

    def _timer(self, now_ns: float) -> int:
        return int(now_ns) // self.traits.timer_tick_ns * self.traits.timer_tick_ns

    def _call(self, breaks_capture: bool = False) -> None:
        if self._broken is not None:
            raise GpuLost(f"call returned {self._broken}")
        if isinstance(self.clock, VirtualClock):
            self.clock.spend(self.traits.call_ns)
        self.catch_up()
        if breaks_capture and self._captures:
            self._broken_captures.update(self._captures)
            raise GpuError("call returned CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")

    def _push(self, stream: int, operation: Operation) -> None:
        if stream in self._captures:
            self._captures[stream].append(operation)
            return
        limit_ns = self.clock.now_ns() + LONGEST_BLOCK_NS
        while self.streams.length(stream) >= self.traits.queue_limit:
            if self.clock.now_ns() > limit_ns and not isinstance(self.clock, VirtualClock):
                raise ModelFault(f"a launch on stream {stream}, whose queue is full, has blocked for 20 s")
            self._let_pass(f"a launch on stream {stream}, whose queue is full,")
        self.streams.push(stream, operation)
        self.most_queued = max(self.most_queued, self.streams.length(stream))
        self.catch_up()

    def _let_pass(self, who: str) -> None:
        next_ns = self.streams.next_ns()
        if not isinstance(self.clock, VirtualClock):
            self.clock.pause(50_000)
        elif next_ns == float("inf"):
            raise ModelFault(f"{who} would block for ever")
        else:
            self.clock.spend(max(1, round(next_ns - self.streams.now_ns)))
        self.catch_up()
