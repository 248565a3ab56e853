"""A network as an ONNX graph whose weights lie, or would lie, in a file beside it."""

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from cotenant.models.graph import OPSET, Network, Node, Value
from cotenant.models.model import Input
from cotenant.models.weights import Placed, placed
from cotenant.models.weights_store import WEIGHTS

IR_VERSION = 8  # the one of opset 17
ELEMENT_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int64": TensorProto.INT64}


def onnx_model(network: Network) -> onnx.ModelProto:
    """Return the graph; its weights are declared by shape, place and file name, so none need exist."""
    weights = list(network.weights.values())
    places = placed([weight.byte_count for weight in weights])
    constants = [
        helper.make_node("Constant", [], [name], name=name, value=numpy_helper.from_array(array, name))
        for name, array in network.constants.items()
    ]
    nodes = [_node(node) for node in network.nodes]
    initialisers = [
        external_tensor(weight.name, weight.shape, ELEMENT_TYPES[weight.dtype], place)
        for weight, place in zip(weights, places, strict=True)
    ]
    graph = helper.make_graph(
        [*constants, *nodes], network.name, _infos(network.inputs), _infos(network.outputs), initialisers
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, producer_name="cotenant", opset_imports=[opset], ir_version=IR_VERSION)


def external_tensor(name: str, shape: Sequence[int], element_type: int, place: Placed) -> TensorProto:
    """Return an initialiser whose numbers lie in the weights file beside the graph."""
    tensor = TensorProto(name=name, data_type=element_type, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", WEIGHTS), ("offset", place.offset), ("length", place.byte_count)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def graph_bytes(model: onnx.ModelProto) -> bytes:
    """Return the graph as bytes that are the same each time."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _node(node: Node) -> onnx.NodeProto:
    attributes: dict[str, Any] = dict(node.attributes)
    return helper.make_node(node.op, node.inputs, node.outputs, name=node.outputs[0], **attributes)


def _infos(values: Sequence[Input | Value]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(each.name, ELEMENT_TYPES[each.dtype], each.shape) for each in values]
