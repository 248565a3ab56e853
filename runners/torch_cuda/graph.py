"""An ONNX graph as plain nodes, with its weights where they lie: what the translator reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, external_data_helper, helper

from cotenant.models.onnx_tensors import inline_bytes

TORCH_TYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT64: "int64",
    TensorProto.INT32: "int32",
    TensorProto.INT16: "int16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
    TensorProto.BOOL: "bool",
}


@dataclass(frozen=True)
class GraphNode:
    """One operator; `name` is the node's own, or that of its first output."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A tensor's numbers: in memory if they stand in the graph, else a region of a file beside it.

    Attributes:
        dtype: torch's name of the element type; None = torch has none.
    """

    shape: tuple[int, ...]
    dtype: str | None
    data: bytes | None
    file: Path | None = None
    offset: int = 0
    byte_count: int = 0

    @property
    def in_graph(self) -> bool:
        """Whether the numbers stand in the graph itself: shapes and constants do, large weights do not."""
        return self.data is not None

    def read(self) -> bytearray:
        """Return the numbers."""
        if self.data is not None:
            return bytearray(self.data)
        assert self.file is not None
        buffer = bytearray(self.byte_count)
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            stream.readinto(buffer)
        return buffer


@dataclass(frozen=True)
class Graph:
    """Nodes in order of execution, stored tensors (initialisers) by name, inputs and outputs by name."""

    nodes: tuple[GraphNode, ...]
    stored: dict[str, Stored]
    outputs: tuple[str, ...]
    opset: int


def read_graph(path: Path) -> Graph:
    """Read a graph file; no weights are read."""
    model = onnx.load(str(path), load_external_data=False)
    stored = {tensor.name: stored_tensor(tensor, path.parent) for tensor in model.graph.initializer}
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)
    outputs = tuple(info.name for info in model.graph.output)
    return Graph(tuple(_nodes(model.graph, path.parent)), stored, outputs, opset)


def stored_tensor(tensor: TensorProto, folder: Path) -> Stored:
    """Return where a tensor's numbers lie."""
    shape, dtype = tuple(tensor.dims), TORCH_TYPES.get(tensor.data_type)
    if not external_data_helper.uses_external_data(tensor):
        return Stored(shape, dtype, inline_bytes(tensor))
    entries = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = int(entries.get("offset", "0")), int(entries["length"])
    return Stored(shape, dtype, None, folder / entries["location"], offset, length)


def _nodes(graph: onnx.GraphProto, folder: Path) -> Iterator[GraphNode]:
    for node in graph.node:
        attributes = {each.name: _attribute(each, folder) for each in node.attribute}
        op = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}"
        yield GraphNode(node.name or node.output[0], op, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: onnx.AttributeProto, folder: Path) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        return stored_tensor(value, folder)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value
