"""A translated network on a lane: what `cotenant.runners.cuda.executable.Executable` asks for.

    enqueue, lanes capture     the calls are captured; their memory comes from this executable's own pool
    enqueue, plainly           the calls run; after a capture that was refused, torch captures them itself once, and
                               from then on its graph is replayed

Memory that a graph's kernels touch must not be given to anyone else while the graph lives. torch's allocator does that
for captures of its own; for those of the lanes, every execution takes its memory from a pool that is this executable's
alone (`torch.cuda.use_mem_pool`), where the executions before the capture have left blocks of all the sizes needed.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.executable import Binding, LoadRequest
from cotenant.runners.cuda.gpu import GpuError, GpuLost, OutOfGpuMemory
from cotenant.runners.random_inputs import random_inputs
from cotenant.runners.torch_cuda.build import GRAPH
from cotenant.runners.torch_cuda.graph import read_graph
from cotenant.runners.torch_cuda.library import torch_build, torch_module
from cotenant.runners.torch_cuda.program import IMAGE_RANK, Program, translated

LOG = logging.getLogger("cotenant.runners")
# Graphs that torch captured on a lane's stream: resetting one would free the stream's cuBLAS workspaces, to which other
# engines' graphs on that stream refer. They are few, and go with the process.
_KEPT: list[Any] = []
LOST = ("illegal memory access", "device-side assert", "unspecified launch failure", "misaligned address", "ECC error")
TOO_OLD = "no kernel image is available"
ERROR_CHARACTERS = 300


class Resident:
    """A program with its inputs and outputs in memory that stays.

    Attributes:
        inputs, outputs: Tensors on the program's device; each execution overwrites the outputs.
    """

    def __init__(self, program: Program, given: Sequence[dict[str, Any]], device: str, seed: int, images_last: bool):
        """Draw random inputs from the seed; `images_last` lays images out with the channels last."""
        torch = torch_module()
        self._program = program
        drawn = [torch.from_numpy(each) for each in random_inputs(given, seed).values()]
        if images_last:
            last = torch.channels_last
            drawn = [each.contiguous(memory_format=last) if each.dim() == IMAGE_RANK else each for each in drawn]
        self.inputs = [each.to(device) for each in drawn]
        self.outputs = [torch.empty_like(each) for each in program.run(self.inputs)]

    def run(self) -> None:
        """Execute once."""
        for kept, made in zip(self.outputs, self._program.run(self.inputs), strict=True):
            kept.copy_(made)


class TorchExecutable:
    """A program on one CUDA device, for one lane."""

    def __init__(self, resident: Resident, given: Sequence[dict[str, Any]], names: Sequence[str], device_index: int):
        """Take over a program that is loaded on the device; `names` are those of its outputs."""
        self._torch = torch_module()
        self._resident: Resident | None = resident
        self._device_index = device_index
        self._pool = self._torch.cuda.MemPool()
        self._streams: dict[int, Any] = {}
        self._own_graph: Any = None
        self._refused = False
        self.inputs: Sequence[Binding] = _bindings([each["name"] for each in given], resident.inputs)
        self.outputs: Sequence[Binding] = _bindings(names, resident.outputs)

    def enqueue(self, stream: int) -> None:
        """Queue one execution; see the module's docstring."""
        with _told(self._torch), self._torch.inference_mode(), self._torch.cuda.stream(self._stream(stream)):
            if self._torch.cuda.is_current_stream_capturing():
                self._captured()
                return
            if self._refused:
                self._refused = False
                self._capture_alone(self._stream(stream))
            if self._own_graph is None:
                self._run()
            else:
                self._own_graph.replay()

    def close(self) -> None:
        """Free everything and give the memory back to the driver, where other libraries can have it."""
        if self._own_graph is not None:
            _KEPT.append(self._own_graph)
        self._own_graph = self._resident = self._pool = None
        self.inputs = self.outputs = ()
        with _told(self._torch):
            self._torch.cuda.empty_cache()

    def _captured(self) -> None:
        try:
            self._run()
        except BaseException:
            self._refused = True
            raise

    def _run(self) -> None:
        assert self._resident is not None
        with self._torch.cuda.use_mem_pool(self._pool, device=self._device_index):
            self._resident.run()

    def _capture_alone(self, stream: Any) -> None:
        """Let torch capture, which knows its own allocator best; without a graph, calls are queued one by one."""
        assert self._resident is not None
        graph = self._torch.cuda.CUDAGraph()
        try:
            with self._torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._resident.run()
        except RuntimeError as refusal:
            del graph  # it may hold the allocator in capture mode
            self._torch.cuda.synchronize()
            LOG.warning("torch could not capture it either, its calls are queued one by one: %s", refusal)
            return
        self._own_graph = graph

    def _stream(self, handle: int) -> Any:
        if handle not in self._streams:
            device = self._torch.device("cuda", self._device_index)
            self._streams[handle] = self._torch.cuda.ExternalStream(handle, device=device)
        return self._streams[handle]


def load(request: LoadRequest) -> TorchExecutable:
    """Load a torch-cuda engine on a lane's stream: what `Loader` says of it.

    Raises:
        OutOfGpuMemory: The device has not enough memory left.
        WorkError: torch is missing or refuses the device.
    """
    torch = torch_module()
    if torch_build().cuda is None:
        raise WorkError(f"torch {torch_build().version} was built without CUDA; install a build of torch that has it")
    given, engine = request.meta["inputs"], request.meta["engine"]
    device, images_last = f"cuda:{request.device_index}", engine["precision"] == "fp16"
    with _told(torch), torch.inference_mode():
        torch.cuda.set_device(request.device_index)
        stream = torch.cuda.ExternalStream(request.stream, device=torch.device(device))
        with torch.cuda.stream(stream):
            graph = read_graph(request.folder / GRAPH)
            program = translated(graph, given, device, engine["model"], images_last)
            # The first execution, in the common pool: the workspaces that libraries then ask for outlive this engine.
            resident = Resident(program, given, device, request.seed, images_last)
        stream.synchronize()
        torch.cuda.empty_cache()  # within a pool of its own, the allocator does not take back what others have cached
        return TorchExecutable(resident, given, graph.outputs, request.device_index)


def _bindings(names: Sequence[str], tensors: Sequence[Any]) -> list[Binding]:
    return [
        Binding(name, tensor.data_ptr(), tensor.numel() * tensor.element_size())
        for name, tensor in zip(names, tensors, strict=True)
    ]


@contextmanager
def _told(torch: Any) -> Iterator[None]:
    """Turn torch's errors into ours."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfGpuMemory(f"torch: {_first_line(error)}") from error
    except RuntimeError as error:
        line = _first_line(error)
        if any(words in line for words in LOST):
            raise GpuLost(f"torch: {line}") from error
        hint = "; install a build of torch for this GPU" if TOO_OLD in line else ""
        raise GpuError(f"torch: {line}{hint}") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:ERROR_CHARACTERS] if lines else type(error).__name__
