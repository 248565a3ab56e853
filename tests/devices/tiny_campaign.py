"""A network and a campaign so small that measuring them takes seconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

QUICK = {
    "lead_in_s": 0.002,
    "lead_in_executions": 1,
    "settle_s": 0.005,
    "settle_executions": 2,
}  # nobody believes the numbers


def write_net(path: Path, seed: int = 0, channels: int = 8, side: int | str = 16, batch: int | str = "batch") -> Path:
    generator = np.random.default_rng(seed)

    def weight(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(generator.normal(0, 0.1, shape).astype(np.float32), name)

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["features"], ["positive"]),
            helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "matrix"], ["scores"]),
        ],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 10])],
        [weight("kernel", channels, 3, 3, 3), weight("matrix", channels, 10)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def write_spec(path: Path, models: Sequence[object], **changes: Any) -> Path:
    """A campaign of seconds: one pair of each, the fewest quads that there may be."""
    spec: dict[str, Any] = {
        "name": "tiny",
        "lanes": 2,
        "engines": {"models": [str(model) for model in models], "batch_sizes": [1]},
        "experiments": [{"kind": "pair"}],
        "quality": {**QUICK, "look_quads": [2], "block_s": 0.01, "block_executions_min": 3},
    }
    path.write_text(yaml.safe_dump(spec | changes))
    return path
