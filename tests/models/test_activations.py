"""Every intermediate tensor of every family's shallowest and deepest variant lives: finite, spread out, within fp16."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from cotenant.models.model import Input, Precision
from cotenant.models.zoo import resolve

FP16_SAFE = 6e4  # float16 ends at 65504
DEAD = 1e-4  # of the tensor's own root mean square: less than that apart, and all of it says the same
SILENT_MAX = 0.99  # share of a ReLU's outputs that may be 0
MODELS = [
    "resnet18:image=96",
    "resnet152:image=96",
    "vgg11:image=64",
    "vgg19:image=64",
    "vit_ti_16:image=96",
    "vit_l_32:image=96",
    "convnext_tiny:image=96",
    "convnext_large:image=96",
    "roberta_tiny:seq=32",
    "roberta_large:seq=32",
    "yolov8n:image=96",
    "yolov8x:image=96",
]
HALF = [name for name in MODELS if name.split(":")[0] not in ("vit_l_32", "convnext_large", "roberta_large")]


@pytest.mark.parametrize("name", MODELS)
def test_activations_live(name: str, tmp_path: Path) -> None:
    assert_alive(name, "fp32", tmp_path)


@pytest.mark.parametrize("name", HALF)
def test_activations_live_in_half_precision(name: str, tmp_path: Path) -> None:
    assert_alive(name, "fp16", tmp_path)


def assert_alive(name: str, precision: Precision, cache: Path) -> None:
    seen = 0
    for operator, values in activations(name, precision, cache):
        seen += 1
        x = values.astype(np.float64)
        assert np.isfinite(x).all(), operator
        assert np.abs(x).max() < FP16_SAFE, operator
        scale = np.sqrt(np.mean(x**2))
        assert scale > DEAD, operator
        assert x.std() > DEAD * scale, operator
        assert np.abs(x[0] - x[1]).max() > DEAD * scale, f"{operator}: the same for whatever is put in"
        if operator.startswith("Relu"):
            assert np.mean(x == 0) < SILENT_MAX, operator
    assert seen > 10


def activations(name: str, precision: Precision, cache: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield every floating-point tensor between the operators that hangs on the input, for two random inputs."""
    model = resolve(name)
    export = model.export(2, precision, cache)
    graph = onnx.load(export.graph_path, load_external_data=False)
    nodes = [node for node in graph.graph.node if node.op_type != "Constant"]
    known = {output.name for output in graph.graph.output}
    hidden = [output for node in nodes for output in node.output if output not in known]
    graph.graph.output.extend(onnx.ValueInfoProto(name=output) for output in hidden)
    watched = export.graph_path.with_name("watched.onnx")
    onnx.save(graph, watched)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(watched), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(5)
    outputs = [output.name for output in session.get_outputs()]
    inputs = {wanted.name: given(wanted, rng) for wanted in model.inputs(2, precision)}
    found = dict(zip(outputs, session.run(outputs, inputs), strict=True))
    for node in hanging_on_inputs(graph.graph):
        for output in node.output:
            if output in found and np.issubdtype(found[output].dtype, np.floating):
                yield f"{node.op_type} {output}", found[output]


def hanging_on_inputs(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    moving = {each.name for each in graph.input}
    for node in graph.node:
        if moving & set(node.input):
            moving |= set(node.output)
            yield node


def given(wanted: Input, rng: np.random.Generator) -> NDArray[Any]:
    if wanted.high:
        return rng.integers(0, wanted.high, wanted.shape)
    return rng.standard_normal(wanted.shape).astype(wanted.dtype)
