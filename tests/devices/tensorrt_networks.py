"""Networks for TensorRT: one that it refuses, one that only its own plugins could know, ones with open dimensions."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

Dims = Sequence[int | str]


def write_graph(
    path: Path, nodes: Sequence[onnx.NodeProto], into: Dims, out: Dims, domains: Sequence[str] = ()
) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, into)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def write_refused(path: Path) -> Path:
    """ONNX knows the determinant of a matrix, and so does ONNX Runtime; TensorRT does not."""
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"], name="first"),
        helper.make_node("Det", ["positive"], ["y"], name="the_determinant"),
    ]
    return write_graph(path, nodes, ["batch", 2, 2], ["batch"])


def write_custom(path: Path) -> Path:
    """An operator of somebody's own."""
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"], name="first"),
        helper.make_node("Frobnicate", ["positive"], ["y"], name="the_odd_one", domain="my.operators"),
    ]
    return write_graph(path, nodes, [2, 4], [2, 4], ["my.operators"])


def write_open(path: Path) -> Path:
    """Both dimensions open."""
    return write_graph(path, [helper.make_node("Relu", ["x"], ["y"])], ["batch", "width"], ["batch", "width"])
