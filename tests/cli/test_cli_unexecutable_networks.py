"""Networks that ONNX's checker passes and ONNX Runtime cannot execute: told when they are built, in its own words."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from command_line import Cotenant
from onnx import TensorProto, helper
from tiny_campaign import write_net, write_spec


def save(graph: onnx.GraphProto, path: Path, opset: int = 17) -> None:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)


def of_a_future_opset(path: Path) -> None:
    save(onnx.load(write_net(path)).graph, path, opset=99)


def of_bfloat16(path: Path) -> None:
    kind = TensorProto.BFLOAT16
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "bf16",
        [helper.make_tensor_value_info("x", kind, ["batch", 3])],
        [helper.make_tensor_value_info("y", kind, ["batch", 3])],
        [helper.make_tensor("w", kind, [3, 3], bytes(18), raw=True)],
    )
    save(graph, path)


def that_picks_beyond_its_table(path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "far"], ["row"]), helper.make_node("Add", ["x", "row"], ["y"])],
        "gather",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [
            helper.make_tensor("table", TensorProto.FLOAT, [1, 2], [0.0, 0.0]),
            helper.make_tensor("far", TensorProto.INT64, [1], [7]),
        ],
    )
    save(graph, path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (of_a_future_opset, ["Opset 99"]),
        (of_bfloat16, ["NOT_IMPLEMENTED", "MatMul"]),
        (that_picks_beyond_its_table, ["out of", "7"]),
    ],
)
def test_what_onnxruntime_cannot_execute_is_told_when_it_is_built(
    cotenant: Cotenant, tmp_path: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    path = tmp_path / "mine.onnx"
    spoil(path)
    spec = write_spec(tmp_path / "tiny.yaml", [f"file:{path}"])
    for arguments in (["build", "--model", f"file:{path}"], ["campaign", "run", spec]):
        done = cotenant(*arguments, "--out", tmp_path / str(arguments[0]))
        assert done.code == 2
        for word in ["mine.onnx", "ONNX Runtime cannot execute it", *words]:
            assert word in done.told
        assert list((tmp_path / str(arguments[0]) / "engines").iterdir()) == []
