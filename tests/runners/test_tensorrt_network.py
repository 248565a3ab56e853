"""Networks as build processes get them: shapes fixed by a profile, and whatever cannot be built told in one line."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tensorrt_chosen import chosen_rtx
from tensorrt_networks import write_custom, write_open

from cotenant.models.errors import UserError, WorkError
from cotenant.models.zoo import resolve
from cotenant.runners.tensorrt.isolated_build import run
from cotenant.runners.tensorrt.order import BuildOrder
from cotenant.runners.tensorrt.plan import read_header


@pytest.fixture(autouse=True)
def rtx(require: Callable[[str, bool, str], None]) -> Iterator[None]:
    with chosen_rtx(require):
        yield


def order(graph: Path, shapes: dict[str, list[int]], capability: int | None = None) -> BuildOrder:
    folder = graph.parent / "built"
    folder.mkdir(exist_ok=True)
    return BuildOrder("net", "tensorrt-rtx", str(graph), str(folder), shapes, capability, 1 << 30, None)


def test_open_dimensions_get_the_one_size_that_is_asked_for(tmp_path: Path) -> None:
    asked = order(write_open(tmp_path / "net.onnx"), {"x": [3, 4]})
    report = run(asked)
    assert report.inputs == [{"name": "x", "dtype": "FLOAT", "shape": [-1, -1]}]
    assert report.memory_limit_bytes == 1 << 30
    assert read_header(Path(asked.folder, "engine.plan")).byte_count > 0


def test_a_dimension_left_open_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"net: input x leaves dimensions open \(\[-1, -1\]\); give every size"):
        run(order(write_open(tmp_path / "net.onnx"), {}))


def test_another_shape_than_was_exported_is_told(tmp_path: Path) -> None:
    graph = write_custom(tmp_path / "net.onnx")  # its shapes are read before its operators
    with pytest.raises((UserError, WorkError)):
        run(order(graph, {"x": [2, 5]}))


def test_an_unknown_operator_is_told_with_its_node_and_the_parsers_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        run(order(write_custom(tmp_path / "net.onnx"), {"x": [2, 4]}))
    for word in ["node 1 (Frobnicate 'the_odd_one')", "INVALID_NODE", "Plugin not found", ".cpp:"]:
        assert word in str(told.value)


@pytest.mark.parametrize("kept_pct", [0, 20, 50, 80, 99])
def test_a_graph_cut_short_is_told(tmp_path: Path, kept_pct: int) -> None:
    graph = write_open(tmp_path / "net.onnx")
    data = graph.read_bytes()
    graph.write_bytes(data[: len(data) * kept_pct // 100])
    with pytest.raises((UserError, WorkError), match="net: "):
        run(order(graph, {"x": [3, 4]}))


def test_junk_is_told(tmp_path: Path) -> None:
    graph = tmp_path / "net.onnx"
    graph.write_bytes(b"\xff\x13 no network" * 40)
    with pytest.raises(UserError, match="MODEL_DESERIALIZE_FAILED"):
        run(order(graph, {"x": [3, 4]}))


def test_missing_weights_are_told_by_name(tmp_path: Path) -> None:
    export = resolve("yolov8n:image=32").export(1, "fp16", tmp_path)
    alone = tmp_path / "alone" / "net.onnx"
    alone.parent.mkdir()
    shutil.copyfile(export.graph_path, alone)
    with pytest.raises(UserError, match="Failed to import initializer"):
        run(order(alone, {"image": [1, 3, 32, 32]}))


def test_a_capability_that_the_library_does_not_know_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot build for sm_61; this version knows portable, sm_75, .*sm_89"):
        run(order(write_open(tmp_path / "net.onnx"), {"x": [3, 4]}, capability=61))
