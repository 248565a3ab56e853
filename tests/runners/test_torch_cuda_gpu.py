"""torch-cuda on a real GPU: the lanes' own capture is taken, and what it replays is what ONNX Runtime computes."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cotenant.runners.cuda.loading import load_engine
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.torch_cuda import RUNNER
from cotenant.runners.torch_cuda.backend import TorchCuda

pytestmark = pytest.mark.gpu
MODELS = [
    "resnet18:image=64",
    "convnext_tiny:image=64",
    "vit_ti_16:image=64",
    "roberta_mini:seq=16",
    "yolov8n:image=64",
]


@pytest.fixture
def gpu() -> Any:
    from cotenant.runners.cuda.driver_gpu import DriverGpu

    opened = DriverGpu(0)
    yield opened
    opened.close()


@pytest.mark.parametrize("model", MODELS)
def test_captured_executions_agree_with_onnx_runtime(model: str, gpu: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    engine = RUNNER.build(model, 2, "fp16", "portable", tmp_path)
    meta = read_meta(engine.folder)
    (stream,) = gpu.lane_streams([0], None)
    loaded = load_engine(gpu, stream.handle, engine.folder, meta, TorchCuda.loader, 1, copies=False)
    assert (loaded.captured, loaded.refusal) == (True, None)
    resident = loaded._executable._resident
    for output in resident.outputs:
        output.zero_()
    torch.cuda.synchronize()
    loaded.run(stream.handle)
    gpu.synchronize(stream.handle)
    feeds = {given["name"]: each.cpu().numpy() for given, each in zip(meta["inputs"], resident.inputs, strict=True)}
    theirs = onnxruntime.InferenceSession(str(engine.folder / "graph.onnx")).run(None, feeds)
    for ours, other in zip(resident.outputs, theirs, strict=True):
        assert np.abs(ours.float().cpu().numpy() - other.astype(np.float32)).max() <= 2e-2 * np.abs(other).max()
    loaded.close()


def test_own_graphs_replay_where_the_lanes_cannot_capture(gpu: Any, tmp_path: Path) -> None:
    engine = RUNNER.build("roberta_mini:seq=16", 2, "fp16", "portable", tmp_path)
    (stream,) = gpu.lane_streams([0], None)
    loaded = load_engine(gpu, stream.handle, engine.folder, read_meta(engine.folder), TorchCuda.loader, 1, copies=False)
    executable: Any = loaded._executable
    executable._refused = True
    executable.enqueue(stream.handle)
    gpu.synchronize(stream.handle)
    assert executable._own_graph is not None
    loaded.close()
