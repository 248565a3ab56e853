"""The user's own ONNX that cannot be measured: corrupt, empty, huge, incomplete; the line says which file and why."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from command_line import Cotenant
from onnx import TensorProto, helper
from tiny_campaign import write_net


def truncated(path: Path) -> None:
    write_net(path)
    path.write_bytes(path.read_bytes()[:-200])


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def without_nodes(path: Path) -> None:
    graph = helper.make_graph([], "empty", [], [])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def huge(path: Path) -> None:
    shape: list[str | int | None] = ["batch", 1 << 20, 1 << 20, 1 << 10]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def without_its_weights(path: Path) -> None:
    model = onnx.load(write_net(path))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (path.parent / "weights.bin").unlink()


def with_an_open_side(path: Path) -> None:
    write_net(path, side="side")


BAD: dict[Callable[[Path], None], list[str]] = {
    truncated: [],
    noise: [],
    empty: ["empty"],
    without_nodes: [],
    huge: [],
    without_its_weights: ["weights.bin"],
    with_an_open_side: ["side"],
}


@pytest.mark.parametrize(("spoil", "words"), BAD.items(), ids=[spoil.__name__ for spoil in BAD])
def test_a_bad_network_is_told(
    cotenant: Cotenant, tmp_path: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    path = tmp_path / "mine.onnx"
    spoil(path)
    done = cotenant("build", "--model", f"file:{path}", "--out", tmp_path / "out")
    assert done.code == 2
    for word in ["mine.onnx", *words]:
        assert word in done.told
    assert not (tmp_path / "out").exists()


def test_a_network_that_is_not_there_is_told(cotenant: Cotenant) -> None:
    done = cotenant("models", "show", "file:nowhere.onnx")
    assert done.code == 2
    assert "nowhere.onnx" in done.told


def test_a_folder_is_no_network(cotenant: Cotenant, tmp_path: Path) -> None:
    done = cotenant("models", "cost", f"file:{tmp_path}")
    assert done.code == 2
    assert str(tmp_path) in done.told


def test_an_open_dimension_is_given_on_the_command_line(cotenant: Cotenant, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    with_an_open_side(path)
    assert cotenant("models", "cost", f"file:{path}:side=16").code == 0
    done = cotenant("models", "cost", f"file:{path}:side=none")
    assert done.code == 2
    assert "side" in done.told
