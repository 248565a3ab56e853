"""Costs of small graphs, worked out by hand."""

from collections.abc import Sequence

import onnx
import pytest
from onnx import TensorProto, helper

from cotenant.models.costs import graph_cost, operator_costs
from cotenant.models.errors import UserError
from cotenant.models.model import OperatorCost

FLOAT, HALF, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
Shapes = dict[str, Sequence[int]]


def graph(
    nodes: Sequence[onnx.NodeProto], inputs: Shapes, weights: Shapes, outputs: Sequence[str], kind: int = FLOAT
) -> onnx.ModelProto:
    """A graph whose weights have shapes but no numbers; an input called ids holds whole numbers."""
    infos = [
        helper.make_tensor_value_info(name, INT64 if name == "ids" else kind, shape) for name, shape in inputs.items()
    ]
    tensors = [TensorProto(name=name, data_type=kind, dims=shape) for name, shape in weights.items()]
    results = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    made = helper.make_graph(nodes, "by_hand", infos, results, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def costs(model: onnx.ModelProto) -> dict[str, OperatorCost]:
    return {cost.operators: cost for cost in operator_costs(model, "by hand")}


def block(kind: int = FLOAT) -> onnx.ModelProto:
    """Two convolutions, the second with the first's result added, then pooled and classified; batch 2."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "k1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "k2"], ["c2"], pads=[1, 1, 1, 1]),
        node("Add", ["c2", "r1"], ["s"]),
        node("Relu", ["s"], ["r2"]),
        node("GlobalAveragePool", ["r2"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    weights: Shapes = {"k1": (4, 3, 3, 3), "b1": (4,), "k2": (4, 4, 3, 3), "w": (4, 10), "b": (10,)}
    return graph(nodes, {"x": (2, 3, 8, 8)}, weights, ["y"], kind)


@pytest.mark.parametrize(("kind", "width"), [(FLOAT, 4), (HALF, 2)])
def test_a_residual_block(kind: int, width: int) -> None:
    places = 2 * 4 * 8 * 8
    found = costs(block(kind))
    expected = {  # operators: (macs, other operations, elements read, elements written)
        "Conv+Relu": (places * 27, places, 2 * 3 * 64 + 108 + 4, places),
        "Conv+Add+Relu": (places * 36, 2 * places, places + 144, places),
        "GlobalAveragePool": (0, places, places, 8),
        "Gemm": (2 * 10 * 4, 0, 8 + 40 + 10, 20),
    }
    assert {
        name: (cost.mac_count, cost.flop_count - 2 * cost.mac_count, cost.read_bytes, cost.write_bytes)
        for name, cost in found.items()
    } == {name: (macs, other, width * read, width * write) for name, (macs, other, read, write) in expected.items()}
    total = graph_cost(list(found.values()), 0, 0)
    assert total.mac_count == sum(row[0] for row in expected.values())
    assert total.read_bytes == width * sum(row[2] for row in expected.values())


@pytest.mark.parametrize(("kind", "width"), [(FLOAT, 4), (HALF, 2)])
def test_weights_are_told_apart_from_activations(kind: int, width: int) -> None:
    weights = {name: cost.weight_bytes for name, cost in costs(block(kind)).items()}
    elements = {"Conv+Relu": 108 + 4, "Conv+Add+Relu": 144, "GlobalAveragePool": 0, "Gemm": 40 + 10}
    assert weights == {name: width * count for name, count in elements.items()}


def test_what_others_read_is_written_and_read_again() -> None:
    """The pool reads the convolution's result first, so the activation after it cannot be fused into it."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["m"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
    ]
    found = costs(graph(nodes, {"x": (1, 2, 4, 4)}, {"k": (8, 2, 1, 1)}, ["m", "r"]))
    assert set(found) == {"Conv", "MaxPool", "Relu"}
    assert [found[name].write_bytes for name in found] == [8 * 16 * 4] * 3
    assert found["Relu"].read_bytes == 8 * 16 * 4


def test_a_broadcast_result_starts_no_chain_of_another_size() -> None:
    nodes = [helper.make_node("Relu", ["small"], ["r"]), helper.make_node("Add", ["large", "r"], ["y"])]
    found = costs(graph(nodes, {"small": (1, 4), "large": (8, 4)}, {}, ["y"]))
    assert set(found) == {"Relu", "Add"}
    assert found["Add"].read_bytes == (32 + 4) * 4


def test_views_cost_nothing_and_folded_weights_are_read_once() -> None:
    nodes = [
        helper.make_node("Mul", ["w1", "w2"], ["w"]),
        helper.make_node("Transpose", ["w"], ["wt"]),
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "wt"], ["y"]),
    ]
    (cost,) = operator_costs(graph(nodes, {"x": (2, 3, 2)}, {"w1": (5, 6), "w2": (5, 6)}, ["y"]), "by hand")
    assert (cost.mac_count, cost.flop_count) == (2 * 5 * 6, 2 * 2 * 5 * 6)
    assert (cost.read_bytes, cost.write_bytes) == ((12 + 30) * 4, 10 * 4)
    assert cost.weight_bytes == 30 * 4


def test_a_lookup_reads_what_it_picks() -> None:
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"])]
    (cost,) = operator_costs(graph(nodes, {"ids": (2, 3)}, {"table": (1000, 16)}, ["y"]), "by hand")
    assert (cost.mac_count, cost.flop_count) == (0, 0)
    assert (cost.read_bytes, cost.write_bytes) == (6 * 16 * 4 + 6 * 8, 6 * 16 * 4)
    assert (cost.weight_bytes, cost.product_count) == (6 * 16 * 4, 0)


@pytest.mark.parametrize(
    ("node", "inputs", "weights", "macs"),
    [
        (helper.make_node("MatMul", ["x", "z"], ["y"]), {"x": (2, 4, 8), "z": (2, 8, 5)}, {}, 2 * 4 * 8 * 5),
        (helper.make_node("Gemm", ["x", "w"], ["y"], transA=1, transB=1), {"x": (7, 3)}, {"w": (5, 7)}, 3 * 7 * 5),
        (helper.make_node("Conv", ["x", "k"], ["y"], group=8), {"x": (1, 8, 6, 6)}, {"k": (8, 1, 3, 3)}, 128 * 9),
        (
            helper.make_node("Conv", ["x", "k"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
            {"x": (1, 3, 8, 8)},
            {"k": (4, 3, 3, 3)},
            4 * 16 * 27,
        ),
        (
            helper.make_node("ConvTranspose", ["x", "k"], ["y"], strides=[2, 2]),
            {"x": (1, 3, 4, 4)},
            {"k": (3, 5, 2, 2)},
            3 * 16 * 5 * 4,
        ),
        (
            helper.make_node("Einsum", ["x", "z"], ["y"], equation="bij,bjk->bik"),
            {"x": (2, 3, 4), "z": (2, 4, 5)},
            {},
            2 * 3 * 4 * 5,
        ),
    ],
    ids=["batched product", "transposed Gemm", "depthwise", "strided", "transposed convolution", "Einsum"],
)
def test_products_count_each_multiplication(node: onnx.NodeProto, inputs: Shapes, weights: Shapes, macs: int) -> None:
    (cost,) = operator_costs(graph([node], inputs, weights, ["y"]), "by hand")
    assert cost.mac_count == macs


@pytest.mark.parametrize(
    ("node", "inputs", "weights", "products"),
    [
        (helper.make_node("MatMul", ["x", "z"], ["y"]), {"x": (2, 3, 4, 8), "z": (2, 3, 8, 5)}, {}, 6),
        (helper.make_node("MatMul", ["x", "w"], ["y"]), {"x": (2, 3, 4, 8)}, {"w": (8, 5)}, 1),
        (helper.make_node("Conv", ["x", "k"], ["y"], group=8), {"x": (1, 8, 6, 6)}, {"k": (8, 1, 3, 3)}, 8),
        (helper.make_node("Conv", ["x", "k"], ["y"]), {"x": (1, 8, 6, 6)}, {"k": (8, 8, 3, 3)}, 1),
        (helper.make_node("Relu", ["x"], ["y"]), {"x": (1, 8)}, {}, 0),
    ],
    ids=["batched product", "product by weights", "depthwise", "dense", "no product"],
)
def test_independent_products_are_counted(node: onnx.NodeProto, inputs: Shapes, weights: Shapes, products: int) -> None:
    (cost,) = operator_costs(graph([node], inputs, weights, ["y"]), "by hand")
    assert cost.product_count == products


def test_work_that_depends_on_the_data_is_refused() -> None:
    model = graph([helper.make_node("NonZero", ["x"], ["y"])], {"x": (2, 3)}, {}, ["y"])
    with pytest.raises(UserError, match="NonZero"):
        operator_costs(model, "by hand")
