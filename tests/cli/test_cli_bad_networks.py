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


def without_inputs(path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["w"], ["y"])],
        "constant",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [weight],
    )
    save(graph, path)


def save(graph: onnx.GraphProto, path: Path, opset: int = 17) -> None:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)


def with_weights_of_type(number: int) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        model = onnx.load(write_net(path))
        model.graph.initializer[0].data_type = number
        path.write_bytes(model.SerializeToString())

    spoil.__name__ = f"with_weights_of_type_{number}"
    return spoil


def with_an_input_of_type(number: int) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        model = onnx.load(write_net(path))
        model.graph.input[0].type.tensor_type.elem_type = number
        path.write_bytes(model.SerializeToString())

    spoil.__name__ = f"with_an_input_of_type_{number}"
    return spoil


def with_external(key: str, value: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        whole = onnx.load(write_net(path))
        onnx.save(whole, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        model = onnx.load(path, load_external_data=False)
        entries = model.graph.initializer[0].external_data
        next(entry for entry in entries if entry.key == key).value = value
        path.write_bytes(model.SerializeToString())

    spoil.__name__ = f"with_external_{key}_{value}"
    return spoil


def with_an_open_side(path: Path) -> None:
    write_net(path, side="side")


BAD: dict[Callable[[Path], None], list[str]] = {
    truncated: ["no ONNX file, or it was cut short", "export the model again"],
    noise: ["no ONNX file", "export the model again"],
    empty: ["empty"],
    without_nodes: ["no operators or no outputs"],
    without_inputs: ["has no inputs"],
    huge: ["1048576x1048576x1024", "GiB", "smaller dimensions"],
    without_its_weights: ["weights.bin", "missing"],
    with_an_open_side: ["side"],
    with_weights_of_type(99): ["weight kernel", "element type 99"],
    with_weights_of_type(0): ["weight kernel", "element type 0"],
    with_an_input_of_type(99): ["input image", "element type 99"],
    with_an_input_of_type(TensorProto.STRING): ["input image", "strings"],
    with_external("offset", "ten"): ["weight kernel", "offset 'ten'"],
    with_external("offset", "-5"): ["weight kernel", "offset '-5'"],
    with_external("length", "1e3"): ["weight kernel", "length '1e3'"],
    with_external("length", "9" * 5000): ["weight kernel", "length '999"],
}


@pytest.mark.parametrize(("spoil", "words"), BAD.items(), ids=[spoil.__name__[:40] for spoil in BAD])
def test_a_bad_network_is_told(
    cotenant: Cotenant, tmp_path: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    path = tmp_path / "mine.onnx"
    spoil(path)
    for arguments in (["build", "--out", tmp_path / "out", "--model"], ["models", "cost"]):
        done = cotenant(*arguments, f"file:{path}")
        assert done.code == 2
        for word in ["mine.onnx", *words]:
            assert word in done.told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("batch", ["4097", "999999999", "9223372036854775808", "9" * 5000])
def test_a_batch_size_that_no_model_has_is_told(cotenant: Cotenant, net: Path, tmp_path: Path, batch: str) -> None:
    for arguments in (["build", "--out", tmp_path / "out", "--model"], ["models", "cost"]):
        done = cotenant(*arguments, f"file:{net}", "--batch", batch)
        assert done.code == 2
        assert f"{batch[:9]}" in done.told
        assert "no batch size; give" in done.told
        assert len(done.told) < 300
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
    for given in ("side=none", "side=16,side=32"):
        done = cotenant("models", "cost", f"file:{path}:{given}")
        assert done.code == 2
        assert "side" in done.told
