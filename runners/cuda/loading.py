"""Loads an engine for a lane: by its backend's loader, warmed, and captured as a CUDA graph where that is possible.

load -> enqueue twice uncaptured (lazy set-up) -> capture -> replay a few times
                                                     \\ refused: enqueue plainly from now on, and say why
"""

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.executable import Binding, Executable, LoadRequest, loader_of
from cotenant.runners.cuda.gpu import Gpu, GpuLost, OutOfGpuMemory

PROBE_LOADER = "cotenant.runners.cuda.probe_engines:load"
PROBE_KIND = "probe"
WARM_ENQUEUES = 2
WARM_REPLAYS = 3
MIB = 1 << 20


@dataclass(frozen=True)
class HostCopy:
    """A binding and the pinned host memory that it is copied from or to."""

    binding: Binding
    host_address: int


class LoadedEngine:
    """An engine on one lane: its graph if it could be captured, its executable otherwise."""

    def __init__(self, gpu: Gpu, executable: Executable, stream: int, copies: bool) -> None:
        """Warm and capture an executable on an idle stream."""
        self._gpu = gpu
        self._executable = executable
        self._host_memory: list[int] = []
        self._graph: int | None = None
        self.refusal: str | None = None  # why it could not be captured
        self.copies = copies
        try:
            self._inputs = self._host_copies(executable.inputs if copies else (), stream, filled=True)
            self._outputs = self._host_copies(executable.outputs if copies else (), stream, filled=False)
            self._warm(stream)
        except BaseException:
            self.close()
            raise

    @property
    def captured(self) -> bool:
        """Whether executions replay a graph."""
        return self._graph is not None

    def run(self, stream: int) -> None:
        """Queue one execution."""
        if self._graph is not None:
            self._gpu.launch_graph(self._graph, stream)
        else:
            self._executable.enqueue(stream)

    def copy_in(self, stream: int) -> None:
        """Queue the copies of all inputs to the device."""
        for copy in self._inputs:
            self._gpu.copy_to_device(copy.binding.address, copy.host_address, copy.binding.byte_count, stream)

    def copy_out(self, stream: int) -> None:
        """Queue the copies of all outputs to the host."""
        for copy in self._outputs:
            self._gpu.copy_to_host(copy.host_address, copy.binding.address, copy.binding.byte_count, stream)

    def close(self) -> None:
        """Free everything; nothing of it is queued any more."""
        if self._graph is not None:
            self._gpu.destroy_graph(self._graph)
            self._graph = None
        for address in self._host_memory:
            self._gpu.free_host(address)
        self._host_memory = []
        self._executable.close()

    def _host_copies(self, bindings: Sequence[Binding], stream: int, filled: bool) -> list[HostCopy]:
        copies = []
        for binding in bindings:
            address = self._gpu.allocate_host(binding.byte_count)
            self._host_memory.append(address)
            copies.append(HostCopy(binding, address))
            if filled:  # inputs keep the values that the loader drew
                self._gpu.copy_to_host(address, binding.address, binding.byte_count, stream)
        self._gpu.synchronize(stream)
        return copies

    def _warm(self, stream: int) -> None:
        for _ in range(WARM_ENQUEUES):
            self._executable.enqueue(stream)
            self._gpu.synchronize(stream)
        try:
            self._graph = self._capture(stream)
        except GpuLost:
            raise
        except WorkError as refusal:
            self.refusal = str(refusal)
        for _ in range(WARM_REPLAYS):
            self.run(stream)
        self._gpu.synchronize(stream)

    def _capture(self, stream: int) -> int:
        collects = gc.isenabled()
        gc.disable()  # a destructor that frees device memory would break the capture
        try:
            self._gpu.begin_capture(stream)
            try:
                self._executable.enqueue(stream)
            except BaseException:
                with suppress(WorkError):  # the stream must leave capture mode; the first error tells more
                    self._gpu.destroy_graph(self._gpu.end_capture(stream))
                raise
            return self._gpu.end_capture(stream)
        finally:
            if collects:
                gc.enable()


def load_engine(
    gpu: Gpu, stream: int, folder: Path, meta: dict[str, Any], loader: str, seed: int, copies: bool
) -> LoadedEngine:
    """Load an engine on a lane's idle stream.

    Args:
        gpu: The lane's device; its context is made current.
        stream: The lane's stream.
        folder: The engine's verified cache entry.
        meta: Its meta.json.
        loader: Loader of networks; probes have their own.
        seed: The session's.
        copies: Whether executions copy inputs and outputs from and to host memory.

    Raises:
        WorkError: It cannot be loaded; out of memory is told with how much was free.
    """
    with _telling_memory(gpu):
        return LoadedEngine(gpu, _executable(gpu, stream, folder, meta, loader, seed), stream, copies)


def load_executable(gpu: Gpu, stream: int, folder: Path, meta: dict[str, Any], loader: str, seed: int) -> Executable:
    """Load an engine on an idle stream, neither warmed nor captured; arguments and errors as for `load_engine`."""
    with _telling_memory(gpu):
        return _executable(gpu, stream, folder, meta, loader, seed)


def _executable(gpu: Gpu, stream: int, folder: Path, meta: dict[str, Any], loader: str, seed: int) -> Executable:
    path = PROBE_LOADER if meta["engine"]["engine_kind"] == PROBE_KIND else loader
    request = LoadRequest(folder, meta, gpu.device_index, stream, input_seed(meta["engine"]["engine_id"], seed))
    executable = loader_of(path)(request)
    gpu.synchronize(stream)
    return executable


@contextmanager
def _telling_memory(gpu: Gpu) -> Iterator[None]:
    """Make the context current, and tell how much memory was free before what runs out of it inside."""
    gpu.activate()
    before = gpu.memory()
    try:
        yield
    except WorkError as error:
        if not (isinstance(error, OutOfGpuMemory) or "out of memory" in str(error).lower()):
            raise
        free, total = before.free_bytes // MIB, before.total_bytes // MIB
        raise OutOfGpuMemory(f"out of GPU memory: {free} of {total} MiB were free before it ({error})") from error


def input_seed(engine_id: str, seed: int) -> int:
    """Return what an engine's inputs are drawn from: the same on every lane of a session."""
    return int.from_bytes(hashlib.sha256(f"{engine_id} {seed}".encode()).digest()[:8], "little") >> 1
