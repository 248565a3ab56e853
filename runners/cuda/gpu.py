"""What lanes ask of a GPU, in one CUDA context: the driver does it (`driver_gpu`), and so does a model for tests.

Handles are the driver's own, as integers. Words are 64 bits of pinned host memory that the device reads and writes.
"""

from dataclasses import dataclass
from typing import Protocol

from cotenant.models.errors import WorkError


class GpuError(WorkError):
    """The driver refused a call; the message names call and error."""


class OutOfGpuMemory(GpuError):
    """The device has not enough memory left."""


class GpuLost(GpuError):
    """The context is broken for good: a kernel failed, or the device fell off the bus. Nothing runs in it any more."""


@dataclass(frozen=True)
class Memory:
    """Memory of the device as the driver tells it; other processes' use counts as not free."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class LaneStream:
    """A stream as the driver granted it.

    Attributes:
        handle: Raw CUstream.
        priority: Granted priority; the driver clamps what it cannot give.
        sm_count: Streaming multiprocessors of its green context; None = not confined.
    """

    handle: int
    priority: int
    sm_count: int | None


class Words(Protocol):
    """Pinned words shared by host and device, all 0 at first."""

    def address(self, index: int) -> int:
        """Return a word's address on the device."""

    def read(self, index: int) -> int:
        """Return what a word holds now, unsigned."""

    def write(self, index: int, value: int) -> None:
        """Write a word; the device sees it at once."""


class Gpu(Protocol):
    """One device in one context, used from one thread at a time. Errors are GpuError and its subclasses."""

    @property
    def device_index(self) -> int:
        """CUDA ordinal of the device in this process."""

    @property
    def isolation_observed(self) -> str:
        """What the driver says of the lanes opened so far: streams, green-contexts, processes or mps."""

    def activate(self) -> None:
        """Make the context current on the calling thread, for libraries that look for it there."""

    def memory(self) -> Memory:
        """Return free and total memory."""

    def lane_streams(self, priorities: list[int], shares_pct: list[float | None] | None) -> list[LaneStream]:
        """Create the streams of all lanes; each in a green context of its own if `shares_pct` is given."""

    def create_stream(self, urgent: bool = False) -> int:
        """Create a non-blocking stream, of the highest priority if `urgent`."""

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream that has nothing queued."""

    def synchronize(self, stream: int) -> None:
        """Block until a stream has done all its work."""

    def create_event(self) -> int:
        """Create an event that keeps the time."""

    def destroy_event(self, event: int) -> None:
        """Destroy an event."""

    def record(self, event: int, stream: int) -> None:
        """Let an event take the time at which the stream reaches this point."""

    def is_done(self, event: int) -> bool:
        """Tell whether an event's latest record has been reached; an unrecorded one counts as reached."""

    def elapsed_ms(self, first: int, second: int) -> float:
        """Return the time between two events that are done, as float32 ms (resolution about 0.5 us)."""

    def begin_capture(self, stream: int) -> None:
        """Let a stream collect what is queued on it instead of executing it; thread-local mode."""

    def end_capture(self, stream: int) -> int:
        """End a capture and return a graph, instantiated and uploaded, with warm-up left to do; always to be called.

        Raises:
            GpuError: Something queued since `begin_capture` cannot be captured.
        """

    def launch_graph(self, graph: int, stream: int) -> None:
        """Queue an execution of a graph; two of one graph must never be able to run at the same time."""

    def destroy_graph(self, graph: int) -> None:
        """Free a graph that is not queued any more."""

    def words(self, count: int) -> Words:
        """Allocate pinned words; they live until `close`."""

    def wait_word(self, stream: int, words: Words, index: int, value: int) -> None:
        """Hold a stream until the low 32 bits of a word have reached `value` (cyclic >=)."""

    def allocate_host(self, byte_count: int) -> int:
        """Allocate pinned host memory for copies and return its address."""

    def free_host(self, address: int) -> None:
        """Free pinned host memory."""

    def copy_to_device(self, address: int, host_address: int, byte_count: int, stream: int) -> None:
        """Queue a copy from pinned host memory to the device."""

    def copy_to_host(self, host_address: int, address: int, byte_count: int, stream: int) -> None:
        """Queue a copy from the device to pinned host memory."""

    def launch_delay(self, stream: int, delay_ns: int) -> None:
        """Queue a kernel of one thread that ends `delay_ns` after it began, or when `end_delays` is called."""

    def launch_until(self, stream: int, timer_ns: int) -> None:
        """Queue a kernel of one thread that ends once the global timer shows `timer_ns`, or on `end_delays`."""

    def launch_stamp(self, stream: int, words: Words, index: int) -> None:
        """Queue a kernel of one thread that writes the device's global timer (%globaltimer, ns) into a word."""

    def launch_ticks(self, stream: int, words: Words, count: int) -> None:
        """Queue a kernel that writes the next `count` different values of the global timer into the first words."""

    def end_delays(self) -> None:
        """Let every delay that runs or is queued end at once, from now on: the session is closing."""

    def close(self) -> None:
        """Free everything; what the lanes queued has ended."""
