"""What single ONNX operators do: which are views, which fuse, how many operations each performs.

One operation is counted for each element of an arithmetic operator: each output element, or each input element where
many become one (reductions, global pooling). Operators that only move data perform none.
"""

import math
from collections.abc import Mapping
from typing import Any

import onnx

from cotenant.models.shapes import Tensor


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"}
ELEMENTWISE = _names(
    """Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitShift Cast Ceil Celu Clip Cos Cosh
    DequantizeLinear Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu
    Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or Pow PRelu QuantizeLinear Reciprocal Relu Round Selu
    Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor"""
)
MOVERS = _names(
    """Cast Concat ConstantOfShape DepthToSpace Expand EyeLike Gather GatherElements GatherND OneHot Pad Range Resize
    ReverseSequence ScatterElements ScatterND Slice SpaceToDepth Split Tile Transpose Trilu Upsample"""
)
PICKERS = {"Gather": 0, "GatherElements": 0, "GatherND": 0, "Slice": 0}  # operator -> input it reads in part
MANY_TO_ONE = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "ArgMax", "ArgMin", "TopK", "CumSum"}

CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}  # operator -> place of its weight
PRODUCTS = {"MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}  # operator -> places of its factors
RECURRENT = {"LSTM", "GRU", "RNN"}


def mac_operations(node: onnx.NodeProto, tensors: Mapping[str, Tensor]) -> int:
    """Return the multiply-accumulates of one operator: convolutions and matrix products; 0 for all others."""
    if not node.output[0] and node.op_type not in RECURRENT:
        return 0
    if node.op_type in CONVOLUTIONS:
        kernel = tensors[node.input[CONVOLUTIONS[node.op_type]]]
        return tensors[node.output[0]].element_count * math.prod(kernel.shape[1:])
    if node.op_type == "ConvTranspose":
        return tensors[node.input[0]].element_count * math.prod(tensors[node.input[1]].shape[1:])
    if node.op_type in PRODUCTS:
        return tensors[node.output[0]].element_count * tensors[node.input[PRODUCTS[node.op_type][0]]].shape[-1]
    if node.op_type == "Gemm":
        inner = 0 if _attribute(node, "transA", 0) else 1
        return tensors[node.output[0]].element_count * tensors[node.input[0]].shape[inner]
    if node.op_type == "Einsum":
        return _einsum_macs(node, tensors)
    if node.op_type in RECURRENT:
        steps_and_batch = math.prod(tensors[node.input[0]].shape[:2])
        return steps_and_batch * sum(tensors[name].element_count for name in node.input[1:3])
    return 0


def product_count(node: onnx.NodeProto, tensors: Mapping[str, Tensor]) -> int:
    """Return of how many independent products of equal size an operator with multiply-accumulates consists."""
    if node.op_type in CONVOLUTIONS or node.op_type == "ConvTranspose":
        return int(_attribute(node, "group", 1))
    if node.op_type in PRODUCTS and len(tensors[node.input[PRODUCTS[node.op_type][1]]].shape) > 2:
        return math.prod(tensors[node.output[0]].shape[:-2])
    return 1


def element_operations(node: onnx.NodeProto, tensors: Mapping[str, Tensor]) -> int:
    """Return the operations of an operator that is neither convolution nor matrix product."""
    if node.op_type in MOVERS:
        return 0
    if node.op_type in MANY_TO_ONE or node.op_type.startswith("Reduce"):
        return tensors[node.input[0]].element_count
    return tensors[node.output[0]].element_count


def read_elements(node: onnx.NodeProto, index: int, tensors: Mapping[str, Tensor]) -> int:
    """Return how many elements an operator reads of one of its inputs."""
    whole = tensors[node.input[index]].element_count
    if PICKERS.get(node.op_type) == index:
        return min(whole, tensors[node.output[0]].element_count)
    return whole


def _einsum_macs(node: onnx.NodeProto, tensors: Mapping[str, Tensor]) -> int:
    """Return the size of the index space of an Einsum without an ellipsis; with one, of its largest tensor."""
    terms = _attribute(node, "equation", b"").decode().replace(" ", "").partition("->")[0].split(",")
    shapes = [tensors[name].shape for name in node.input]
    sides: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        lead = len(shape) - len(term.replace("...", ""))
        labels = [f"...{axis}" for axis in range(-lead, 0)] if "..." in term else []
        at = term.index("...") if labels else 0
        every = [*term[:at], *labels, *term[at:].replace("...", "")]
        for label, side in zip(every, shape, strict=True):
            sides[label] = max(side, sides.get(label, 1))
    return math.prod(sides.values())


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return onnx.helper.get_attribute_value(attribute)
    return default
