"""The translator beside ONNX Runtime on the CPU: networks of every family, and single operators of users' files."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.models.zoo import found_families, resolve
from cotenant.runners.torch_cuda.fusions import ATTENTION, GELU, LINEAR, SILU, fused
from cotenant.runners.torch_cuda.graph import read_graph
from cotenant.runners.torch_cuda.program import HANDLERS, translated

pytestmark = pytest.mark.oracle
torch: Any = pytest.importorskip("torch", reason="needs requirements/oracles.txt")

SMALL = {
    "convnext": "convnext_tiny:image=32",
    "resnet": "resnet18:image=32",
    "roberta": "roberta_tiny:seq=9",
    "vgg": "vgg11:image=32",
    "vit": "vit_ti_16:image=32",
    "yolov8": "yolov8n:image=32",
}
OPSET = 17
Array = NDArray[Any]


def executed(path: Path, feeds: dict[str, Array], channels_last: bool = False) -> list[Array]:
    given = [{"name": name, "dtype": str(value.dtype), "shape": value.shape} for name, value in feeds.items()]
    graph = read_graph(path)
    with torch.inference_mode():
        translated(graph, given, "meta", "test", channels_last)
        program = translated(graph, given, "cpu", "test", channels_last)
        inputs = [torch.from_numpy(value) for value in feeds.values()]
        return [value.numpy() for value in program.run(inputs)]


def expected(path: Path, feeds: dict[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    results: list[Array] = onnxruntime.InferenceSession(str(path), options).run(None, feeds)
    return results


def assert_alike(ours: list[Array], theirs: list[Array], tolerance: float) -> None:
    assert [(each.shape, each.dtype) for each in ours] == [(each.shape, each.dtype) for each in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        first, second = mine.astype(np.float64), other.astype(np.float64)
        assert np.isfinite(first).all()
        assert np.abs(first - second).max(initial=0) <= tolerance * max(1e-30, np.abs(second).max(initial=0))


def network(name: str, batch_size: int, precision: Precision, cache: Path) -> tuple[Path, dict[str, Array]]:
    model = resolve(name)
    rng = np.random.default_rng(7)
    feeds: dict[str, Array] = {}
    for given in model.inputs(batch_size, precision):
        if given.high is None:
            feeds[given.name] = rng.standard_normal(given.shape).astype(given.dtype)
        else:
            feeds[given.name] = rng.integers(0, given.high, given.shape)
    return model.export(batch_size, precision, cache).graph_path, feeds


def test_every_family_is_compared() -> None:
    assert set(SMALL) == set(found_families())


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-5), ("fp16", 1e-2)])
def test_networks_agree_with_onnx_runtime(family: str, precision: Precision, tolerance: float, tmp_path: Path) -> None:
    path, feeds = network(SMALL[family], 2, precision, tmp_path)
    theirs = expected(path, feeds)
    assert_alike(executed(path, feeds), theirs, tolerance)
    assert_alike(executed(path, feeds, channels_last=True), theirs, tolerance)


@pytest.mark.parametrize("family", SMALL)
def test_what_is_joined_is_what_the_family_has(family: str, tmp_path: Path) -> None:
    path, _ = network(SMALL[family], 1, "fp32", tmp_path)
    graph = read_graph(path)
    before, after = (Counter(node.op for node in nodes) for nodes in (graph.nodes, fused(graph)))
    assert after[GELU] == before["Erf"]
    assert after["Erf"] == 0
    assert after[SILU] == before["Sigmoid"] - (family == "yolov8")  # its scores are plain logistic values
    heads = before["Softmax"] - (family == "yolov8")  # the mean of a distribution
    assert after[ATTENTION] == heads
    assert after["MatMul"] == (2 if family == "vgg" else 0)  # its images are averaged by fixed matrices
    assert after[LINEAR] == before["MatMul"] - 2 * heads - after["MatMul"]


def saved(folder: Path, nodes: list[Any], inputs: dict[str, Array], outputs: list[str], **stored: Array) -> Path:
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()
    ]
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    initialisers = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "test", infos, results, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


RNG = np.random.default_rng(3)
IMAGE = RNG.standard_normal((2, 4, 7, 6)).astype(np.float32)
ROWS = RNG.standard_normal((2, 3, 8)).astype(np.float32)
POSITIVE = np.abs(ROWS) + np.float32(0.1)
KERNEL = RNG.standard_normal((6, 2, 3, 2)).astype(np.float32)


def ints(*numbers: int) -> Array:
    return np.array(numbers, dtype=np.int64)


def floats(*numbers: float) -> Array:
    return np.array(numbers, dtype=np.float32)


# operator, input, stored inputs after it (None = left out), attributes
CASES: list[tuple[str, Array, list[Array | None], dict[str, Any]]] = [
    *[(op, ROWS, [], {}) for op in ("Abs", "Neg", "Exp", "Floor", "Ceil", "Sin", "Cos", "Sign", "Round", "Erf")],
    *[(op, ROWS, [], {}) for op in ("Tanh", "Sigmoid", "Relu", "Softplus", "HardSwish", "HardSigmoid", "Elu")],
    *[(op, POSITIVE, [], {}) for op in ("Log", "Sqrt", "Reciprocal")],
    *[(op, ROWS, [ROWS[0] * 2], {}) for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Sum")],
    *[(op, ROWS, [ROWS[:, :1]], {}) for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")],
    ("Pow", POSITIVE, [floats(2.5)], {}),
    ("Div", ints(-7, 7, 9), [ints(2, 2, -4)], {}),
    ("LeakyRelu", ROWS, [], {"alpha": 0.2}),
    ("PRelu", ROWS, [floats(*[0.1] * 8)], {}),
    ("Clip", ROWS, [np.float32(-0.5), np.float32(0.7)], {}),
    ("Clip", ROWS, [None, np.float32(0.7)], {}),
    ("Softmax", ROWS, [], {"axis": 1}),
    ("LogSoftmax", ROWS, [], {}),
    *[(f"Reduce{op}", POSITIVE, [], {"axes": [1, -1], "keepdims": 0}) for op in ("Mean", "Max", "Min", "Prod", "L2")],
    ("ReduceSum", ROWS, [ints(1)], {}),
    ("ReduceMean", ROWS, [], {}),
    ("ArgMax", ROWS, [], {"axis": -1, "keepdims": 0}),
    ("MatMul", ROWS, [RNG.standard_normal((2, 8, 5)).astype(np.float32)], {}),
    (
        "Gemm",
        ROWS[0],
        [RNG.standard_normal((5, 8)).astype(np.float32), floats(1)],
        {"transB": 1, "alpha": 0.5, "beta": 2.0},
    ),
    ("Gemm", ROWS[0], [RNG.standard_normal((3, 5)).astype(np.float32)], {"transA": 1, "alpha": 0.5}),
    ("Einsum", ROWS, [RNG.standard_normal((8, 5)).astype(np.float32)], {"equation": "bij,jk->bik"}),
    (
        "Conv",
        IMAGE,
        [KERNEL, RNG.standard_normal(6).astype(np.float32)],
        {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 0]},
    ),
    ("Conv", IMAGE, [KERNEL], {"group": 2, "pads": [0, 1, 2, 0], "dilations": [1, 2]}),
    ("Conv", IMAGE, [KERNEL], {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", IMAGE, [KERNEL], {"group": 2, "auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    ("Conv", ROWS, [RNG.standard_normal((4, 3, 3)).astype(np.float32)], {"pads": [1, 1]}),
    ("ConvTranspose", IMAGE, [RNG.standard_normal((4, 3, 2, 2)).astype(np.float32)], {"strides": [2, 2]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", IMAGE, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", IMAGE, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("GlobalAveragePool", IMAGE, [], {}),
    ("GlobalMaxPool", IMAGE, [], {}),
    ("BatchNormalization", IMAGE, [floats(1, 2, 3, 4), floats(0, 1, 0, 1), floats(0, 0, 1, 1), floats(1, 2, 1, 2)], {}),
    ("InstanceNormalization", IMAGE, [floats(1, 2, 3, 4), floats(0, 1, 0, 1)], {}),
    ("LayerNormalization", ROWS, [floats(*range(8)), floats(*[1] * 8)], {}),
    ("LayerNormalization", ROWS, [RNG.standard_normal((3, 8)).astype(np.float32)], {"axis": 1}),
    ("Resize", IMAGE, [None, None, ints(2, 4, 14, 12)], {"mode": "nearest"}),
    (
        "Resize",
        IMAGE,
        [None, floats(1, 1, 1.5, 2)],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
    ("Resize", IMAGE, [None, floats(1, 1, 2, 2)], {"mode": "linear"}),
    (
        "Resize",
        IMAGE,
        [None, None, ints(2, 4, 9, 11)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ),
    ("Reshape", ROWS, [ints(0, -1, 2)], {}),
    ("Flatten", IMAGE, [], {"axis": 2}),
    ("Flatten", IMAGE, [], {"axis": -1}),
    ("Transpose", IMAGE, [], {"perm": [0, 2, 3, 1]}),
    ("Transpose", ROWS, [], {}),
    ("Squeeze", ROWS[:, :1], [ints(1)], {}),
    ("Squeeze", ROWS[:, :1], [], {}),
    ("Unsqueeze", ROWS, [ints(-1, 0)], {}),
    ("Concat", ROWS, [ROWS[:1]], {"axis": 0}),
    ("Slice", ROWS, [ints(1, -6), ints(9, 1000), ints(1, -1), ints(1, 2)], {}),
    ("Gather", ROWS, [ints(2, 0)], {"axis": 1}),
    ("Gather", ROWS, [np.array(-1)], {"axis": -1}),
    ("GatherElements", ROWS, [np.zeros((2, 3, 2), np.int64)], {"axis": 2}),
    ("Expand", ROWS[:, :1], [ints(4, 1, 3, 1)], {}),
    ("Tile", ROWS, [ints(1, 2, 1)], {}),
    ("Pad", ROWS, [ints(0, 1, 0, 0, 0, 2), np.float32(1.5)], {}),
    ("Pad", IMAGE, [ints(0, 0, 1, 1, 0, 0, 2, 0)], {"mode": "reflect"}),
    ("Cast", ROWS * 3, [], {"to": TensorProto.INT32}),
    ("DepthToSpace", IMAGE, [], {"blocksize": 2}),
    ("DepthToSpace", IMAGE, [], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", IMAGE[:, :, :6], [], {"blocksize": 2}),
    ("Dropout", ROWS, [], {}),
    ("Identity", ROWS, [], {}),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{index}-{case[0]}" for index, case in enumerate(CASES)])
def test_operators_of_users_agree_with_onnx_runtime(
    case: tuple[str, Array, list[Array | None], dict[str, Any]], tmp_path: Path
) -> None:
    op, value, others, attributes = case
    names = ["" if other is None else f"s{index}" for index, other in enumerate(others)]
    stored = {name: np.asarray(other) for name, other in zip(names, others, strict=True) if other is not None}
    feeds = {"x": np.ascontiguousarray(value)}
    path = saved(tmp_path, [helper.make_node(op, ["x", *names], ["y"], **attributes)], feeds, ["y"], **stored)
    assert_alike(executed(path, feeds), expected(path, feeds), 1e-5)


@pytest.mark.parametrize("sizes", [None, [3, 2, 3]])
def test_split(sizes: list[int] | None, tmp_path: Path) -> None:
    stored = {} if sizes is None else {"s": np.array(sizes, dtype=np.int64)}
    parts = ["a", "b"] if sizes is None else ["a", "b", "c"]
    path = saved(tmp_path, [helper.make_node("Split", ["x", *stored], parts, axis=2)], {"x": ROWS}, parts, **stored)
    assert_alike(executed(path, {"x": ROWS}), expected(path, {"x": ROWS}), 0.0)


def test_shapes_that_exporters_compute_become_constants(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["batches"]),
        helper.make_node("Concat", ["batches", "rest"], ["wanted"], axis=0),
        helper.make_node("ConstantOfShape", ["wanted"], ["zeros"]),
        helper.make_node("Range", ["from", "until", "by"], ["places"]),
        helper.make_node("Cast", ["places"], ["steps"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["x", "wanted"], ["flat"]),
        helper.make_node("Add", ["flat", "zeros"], ["sum"]),
        helper.make_node("Add", ["sum", "steps"], ["y"]),
    ]
    stored = {"first": np.array(0), "axes": ints(0), "rest": ints(24), "from": np.array(0), "until": np.array(24)}
    path = saved(tmp_path, nodes, {"x": ROWS}, ["y"], by=np.array(1), **stored)
    assert_alike(executed(path, {"x": ROWS}), expected(path, {"x": ROWS}), 1e-6)
    given = [{"name": "x", "dtype": "float32", "shape": ROWS.shape}]
    assert len(translated(read_graph(path), given, "meta", "test").steps) == 3  # reshape and two sums


def test_what_follows_from_weights_alone_is_computed_once(tmp_path: Path) -> None:
    nodes = [helper.make_node("Transpose", ["w"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])]
    weight = RNG.standard_normal((5, 8)).astype(np.float32)
    path = saved(tmp_path, nodes, {"x": ROWS}, ["y"], w=weight)
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    given = [{"name": "x", "dtype": "float32", "shape": ROWS.shape}]
    program = translated(read_graph(path), given, "cpu", "test")
    assert (len(program.steps), len(program.resident)) == (1, 1)
    assert_alike(executed(path, {"x": ROWS}), expected(path, {"x": ROWS}), 1e-5)


def test_outputs_may_be_inputs_constants_and_inner_values(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["gate"]),
        helper.make_node("Mul", ["x", "gate"], ["y"]),
        helper.make_node("Identity", ["w"], ["kept"]),
        helper.make_node("Identity", ["x"], ["same"]),
    ]
    path = saved(tmp_path, nodes, {"x": ROWS}, ["gate", "y", "kept", "same"], w=ROWS[0])
    assert [node.op for node in fused(read_graph(path))] == ["Sigmoid", "Mul", "Identity", "Identity"]
    assert_alike(executed(path, {"x": ROWS}), expected(path, {"x": ROWS}), 1e-6)


def test_memory_of_values_is_given_back_as_soon_as_they_are_used_up(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", [before], [after]) for before, after in [("x", "a"), ("a", "b"), ("b", "y")]]
    path = saved(tmp_path, nodes, {"x": ROWS}, ["y"])
    given = [{"name": "x", "dtype": "float32", "shape": ROWS.shape}]
    program = translated(read_graph(path), given, "meta", "test")
    assert [step.frees for step in program.steps] == [step.inputs for step in program.steps]


def refused(tmp_path: Path, node: Any, value: Array, **stored: Array) -> str:
    path = saved(tmp_path, [node], {"x": value}, ["y"], **stored)
    given = [{"name": "x", "dtype": str(value.dtype), "shape": value.shape}]
    with pytest.raises(UserError) as told:
        translated(read_graph(path), given, "meta", "file:net.onnx")
    assert "\n" not in str(told.value)
    return str(told.value)


def test_an_unknown_operator_is_told_by_node_and_operator_with_what_to_do(tmp_path: Path) -> None:
    node = helper.make_node("Det", ["x"], ["y"], name="the_end")
    assert refused(tmp_path, node, ROWS[:, :, :3]) == (
        "file:net.onnx: operator the_end (Det) has no translation into torch;"
        " export the model without it, or measure it with --runner tensorrt"
    )


@pytest.mark.parametrize(
    ("node", "value", "stored", "words"),
    [
        (
            helper.make_node("Reshape", ["r", "x"], ["y"]),
            ints(4, 6),
            {"r": ROWS.reshape(24, 2)},
            "only constants can be",
        ),
        (
            helper.make_node("Slice", ["x", "a", "b", "c", "d"], ["y"]),
            ROWS,
            {"a": ints(-1), "b": ints(-9), "c": ints(2), "d": ints(-1)},
            "steps backwards",
        ),
        (
            helper.make_node("Resize", ["x", "", "s"], ["y"], mode="cubic"),
            IMAGE,
            {"s": floats(1, 1, 2, 2)},
            "interpolates cubic",
        ),
        (
            helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest"),
            IMAGE,
            {"s": floats(1, 1, 1.5, 2)},
            "interpolates nearest",
        ),
        (helper.make_node("Cast", ["x"], ["y"], to=TensorProto.UINT32), ROWS, {}, "which torch does not have"),
    ],
)
def test_what_is_not_translated_is_one_line(
    node: Any, value: Array, stored: dict[str, Array], words: str, tmp_path: Path
) -> None:
    assert words in refused(tmp_path, node, value, **stored)


def test_an_input_type_that_torch_lacks_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path, [helper.make_node("Identity", ["x"], ["y"])], {"x": ROWS}, ["y"])
    given = [{"name": "x", "dtype": "float8_e8m0", "shape": [1]}]
    with pytest.raises(UserError, match=r"input x is of type float8_e8m0, which torch does not have"):
        translated(read_graph(path), given, "meta", "net")


def test_every_operator_of_the_zoo_has_a_translation(tmp_path: Path) -> None:
    ops = {node.op for name in SMALL.values() for node in read_graph(network(name, 1, "fp32", tmp_path)[0]).nodes}
    assert ops <= HANDLERS.keys()
