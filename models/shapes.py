"""Shapes and types of every tensor of a graph, by ONNX shape inference; no weights are read."""

import math
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference

from cotenant.models.errors import UserError

TENSOR_BYTES_MAX = 1 << 33  # no tensor of a network that serves requests has 8 GiB; a slipped dimension soon has
DATA_DEPENDENT = {"If", "Loop", "Scan", "SequenceMap", "NonZero", "NonMaxSuppression", "Unique", "Compress"}


@dataclass(frozen=True)
class Tensor:
    """Shape and type of a tensor."""

    shape: tuple[int, ...]
    element_bytes: int

    @property
    def element_count(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def byte_count(self) -> int:
        """Bytes."""
        return self.element_count * self.element_bytes


def graph_tensors(model: onnx.ModelProto, where: str) -> dict[str, Tensor]:
    """Return every tensor of a graph; `where` names the model in messages.

    Raises:
        UserError: A shape depends on the data, cannot be worked out, contradicts another, or is absurdly large.
    """
    graph = model.graph
    for node in graph.node:
        if node.op_type in DATA_DEPENDENT:
            raise UserError(
                f"{where}: operator {node.name or node.output[0]} ({node.op_type}) makes the work depend on the data;"
                " export the model without it"
            )
    inferred = inferred_model(model, where).graph
    infos = [*inferred.input, *inferred.output, *inferred.value_info]
    tensors = {info.name: _declared(info, where) for info in infos if info.type.HasField("tensor_type")}
    for initialiser in graph.initializer:
        tensors[initialiser.name] = _bounded(
            Tensor(tuple(initialiser.dims), _element_bytes(initialiser.data_type)), initialiser.name, where
        )
    unknown = [name for node in graph.node for name in node.output if name and name not in tensors]
    if unknown:
        raise UserError(
            f"{where}: the shape of {unknown[0]} cannot be worked out; export the model with static shapes and"
            " standard ONNX operators"
        )
    return tensors


def inferred_model(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """Return the graph with the shapes that ONNX infers; UserError where they contradict each other."""
    try:
        return shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except shape_inference.InferenceError as error:
        raise UserError(f"{where}: the shapes do not fit together ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """Return what matters of a library's long message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def checked_size(shape: tuple[int, ...], element_type: int, name: str, where: str) -> None:
    """Refuse a shape that no memory holds, before anything is allocated."""
    _bounded(Tensor(shape, _element_bytes(element_type)), name, where)


def _declared(info: onnx.ValueInfoProto, where: str) -> Tensor:
    tensor_type = info.type.tensor_type
    dims = tensor_type.shape.dim
    if not tensor_type.HasField("shape") or not all(dim.HasField("dim_value") for dim in dims):
        raise UserError(
            f"{where}: the shape of {info.name} depends on the data or cannot be worked out;"
            " export the model with static shapes"
        )
    shape = tuple(dim.dim_value for dim in dims)
    return _bounded(Tensor(shape, _element_bytes(tensor_type.elem_type)), info.name, where)


def _bounded(tensor: Tensor, name: str, where: str) -> Tensor:
    shape = "x".join(map(str, tensor.shape))
    if any(side < 0 for side in tensor.shape):
        raise UserError(f"{where}: {name} has the shape {shape}; sides cannot be negative, export the model anew")
    if tensor.byte_count > TENSOR_BYTES_MAX:
        raise UserError(
            f"{where}: {name} has the shape {shape}, {tensor.byte_count / 2**30:.1f} GiB;"
            f" tensors above {TENSOR_BYTES_MAX >> 30} GiB are refused, choose smaller dimensions"
        )
    return tensor


def _element_bytes(element_type: int) -> int:
    if element_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        return 1
    return int(np.dtype(helper.tensor_dtype_to_np_dtype(element_type)).itemsize)
