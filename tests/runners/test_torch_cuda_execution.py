"""A translated network as an executable: inputs and outputs on the CPU; captures with a stand-in for torch.cuda."""

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.gpu import GpuError, GpuLost, OutOfGpuMemory
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.torch_cuda import RUNNER, execution
from cotenant.runners.torch_cuda.execution import Resident, TorchExecutable
from cotenant.runners.torch_cuda.graph import read_graph
from cotenant.runners.torch_cuda.program import Program, Step, translated

pytestmark = pytest.mark.oracle
torch: Any = pytest.importorskip("torch", reason="needs requirements/oracles.txt")
STREAM = 77


def resident(folder: Path, meta: dict[str, Any], seed: int = 1) -> Resident:
    program = translated(read_graph(folder / "graph.onnx"), meta["inputs"], "cpu", "test")
    return Resident(program, meta["inputs"], "cpu", seed, images_last=meta["engine"]["precision"] == "fp16")


@pytest.mark.parametrize("model", ["roberta_tiny:seq=8", "vit_ti_16:image=32"])
def test_executions_overwrite_outputs_that_stay(model: str, tmp_path: Path) -> None:
    engine = RUNNER.build(model, 2, "fp16", "portable", tmp_path)
    meta = read_meta(engine.folder)
    with torch.inference_mode():
        loaded = resident(engine.folder, meta)
        addresses = [each.data_ptr() for each in loaded.outputs]
        for output in loaded.outputs:
            output.fill_(float("nan"))
        loaded.run()
        assert [each.data_ptr() for each in loaded.outputs] == addresses
        feeds = {given["name"]: each.numpy() for given, each in zip(meta["inputs"], loaded.inputs, strict=True)}
        theirs = onnxruntime.InferenceSession(str(engine.folder / "graph.onnx")).run(None, feeds)
    for ours, other in zip(loaded.outputs, theirs, strict=True):
        assert np.abs(ours.float().numpy() - other.astype(np.float32)).max() <= 1e-2 * np.abs(other).max()


def test_inputs_are_random_from_the_seed_and_within_their_bounds(tmp_path: Path) -> None:
    engine = RUNNER.build("roberta_tiny:seq=64", 4, "fp16", "portable", tmp_path)
    meta = read_meta(engine.folder)
    with torch.inference_mode():
        first, same, other = (resident(engine.folder, meta, seed).inputs[0] for seed in (1, 1, 2**63 - 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert 0 <= int(first.min()) < int(first.max()) < 50265


def test_images_lie_with_the_channels_last_in_half_precision(tmp_path: Path) -> None:
    for precision, last in (("fp16", True), ("fp32", False)):
        engine = RUNNER.build("resnet18:image=32", 2, precision, "portable", tmp_path)  # type: ignore[arg-type]
        with torch.inference_mode():
            (image,) = resident(engine.folder, read_meta(engine.folder)).inputs
        assert image.is_contiguous(memory_format=torch.channels_last) is last
        assert (float(image.std()) - 1) ** 2 < 0.01


def test_every_name_of_torch_cuda_that_lanes_use_is_there() -> None:
    cuda = torch.cuda
    for name in ("MemPool", "ExternalStream", "CUDAGraph", "graph", "use_mem_pool", "is_current_stream_capturing"):
        assert hasattr(cuda, name)
    assert {"stream", "capture_error_mode"} <= inspect.signature(cuda.graph.__init__).parameters.keys()
    assert {"pool", "device"} <= inspect.signature(cuda.use_mem_pool).parameters.keys()
    assert {"stream_ptr", "device"} <= inspect.signature(cuda.ExternalStream.__new__).parameters.keys()
    assert issubclass(torch.OutOfMemoryError, RuntimeError)


@dataclass
class Cuda:
    """torch.cuda as far as executables use it. What happens is written down; `capturing` = a lane captures."""

    capturing: bool = False
    own_capture_fails: bool = False
    happened: list[str] = field(default_factory=list)

    def torch(self) -> Any:
        names = ("inference_mode", "from_numpy", "empty_like", "channels_last", "device")
        return SimpleNamespace(
            **{name: getattr(torch, name) for name in names}, OutOfMemoryError=torch.OutOfMemoryError, cuda=self
        )

    def MemPool(self) -> str:  # noqa: N802 - torch's name
        return "pool"

    def ExternalStream(self, handle: int, device: Any) -> int:  # noqa: N802
        assert (handle, device.type) == (STREAM, "cuda")
        return handle

    def CUDAGraph(self) -> Any:  # noqa: N802
        return SimpleNamespace(replay=lambda: self.happened.append("replay"))

    def is_current_stream_capturing(self) -> bool:
        return self.capturing

    @contextlib.contextmanager
    def stream(self, stream: int) -> Iterator[None]:
        assert stream == STREAM
        yield

    @contextlib.contextmanager
    def use_mem_pool(self, pool: str, device: int) -> Iterator[None]:
        self.happened.append(f"in {pool}")
        yield

    @contextlib.contextmanager
    def graph(self, graph: Any, stream: int, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        self.happened.append("own capture")
        yield
        if self.own_capture_fails:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    def synchronize(self) -> None:
        self.happened.append("synchronize")

    def empty_cache(self) -> None:
        self.happened.append("empty")


GIVEN = [{"name": "x", "dtype": "float32", "shape": [3], "high": None}]


class Calls:
    """A program of one call, which may fail."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.error: Exception | None = None

    def __call__(self, x: Any) -> Any:
        self.cuda.happened.append("run")
        if self.error is not None:
            raise self.error
        return x * 2


@pytest.fixture
def cuda() -> Cuda:
    return Cuda()


@pytest.fixture
def calls(cuda: Cuda) -> Calls:
    return Calls(cuda)


@pytest.fixture
def executable(cuda: Cuda, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> TorchExecutable:
    monkeypatch.setattr(execution, "torch_module", cuda.torch)
    program = Program({}, (Step(calls, (0,), (1,), (0,)),), (0,), (1,), 2)
    with torch.inference_mode():
        loaded = Resident(program, GIVEN, "cpu", 1, images_last=False)
    made = TorchExecutable(loaded, GIVEN, ["y"], 0)
    cuda.happened.clear()
    return made


def test_bindings_name_addresses_and_sizes(executable: TorchExecutable) -> None:
    (given,), (made,) = executable.inputs, executable.outputs
    assert (given.name, given.byte_count, made.name, made.byte_count) == ("x", 12, "y", 12)
    assert given.address != made.address


def test_every_execution_takes_its_memory_from_the_executables_own_pool(
    cuda: Cuda, executable: TorchExecutable
) -> None:
    executable.enqueue(STREAM)
    cuda.capturing = True
    executable.enqueue(STREAM)
    assert cuda.happened == ["in pool", "run", "in pool", "run"]


def refuse_a_capture(cuda: Cuda, calls: Calls, executable: TorchExecutable) -> None:
    cuda.capturing, calls.error = (
        True,
        RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore"),
    )
    with pytest.raises(GpuError, match=r"torch: CUDA error: operation not permitted when stream is capturing$"):
        executable.enqueue(STREAM)
    cuda.capturing, calls.error = False, None
    cuda.happened.clear()


def test_after_a_refused_capture_torch_captures_once_itself_and_replays(
    cuda: Cuda, calls: Calls, executable: TorchExecutable
) -> None:
    refuse_a_capture(cuda, calls, executable)
    for _ in range(2):
        executable.enqueue(STREAM)
    assert cuda.happened == ["own capture", "run", "replay", "replay"]


def test_where_nobody_can_capture_the_calls_are_queued_plainly(
    cuda: Cuda, calls: Calls, executable: TorchExecutable
) -> None:
    cuda.own_capture_fails = True
    refuse_a_capture(cuda, calls, executable)
    for _ in range(2):
        executable.enqueue(STREAM)
    assert cuda.happened == ["own capture", "run", "synchronize", "in pool", "run", "in pool", "run"]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
            OutOfGpuMemory,
            "Tried to allocate",
        ),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), GpuLost, "illegal memory access"),
        (
            RuntimeError("CUDA error: no kernel image is available for execution"),
            GpuError,
            "install a build of torch for",
        ),
        (RuntimeError(""), GpuError, "RuntimeError"),
    ],
)
def test_errors_of_torch_become_ours_in_one_line(
    error: Exception, kind: type[WorkError], words: str, calls: Calls, executable: TorchExecutable
) -> None:
    calls.error = error
    with pytest.raises(kind, match=words) as told:
        executable.enqueue(STREAM)
    assert type(told.value) is kind
    assert "\n" not in str(told.value)


def test_closing_frees_everything_and_gives_memory_back(cuda: Cuda, executable: TorchExecutable) -> None:
    executable.close()
    assert cuda.happened == ["empty"]
    assert (list(executable.inputs), list(executable.outputs)) == ([], [])
