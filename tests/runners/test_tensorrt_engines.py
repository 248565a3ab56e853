"""Engines of every family, built for real by TensorRT-RTX, which needs no GPU for that."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tensorrt_chosen import chosen_rtx
from tensorrt_networks import write_refused
from tiny_campaign import write_net

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.runners.build_watch import BuildStep, watched
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Engine
from cotenant.runners.tensorrt.backend import TensorRt
from cotenant.runners.tensorrt.plan import read_header

FAMILIES = {
    "resnet": "resnet18:image=32",
    "vgg": "vgg11:image=32",
    "vit": "vit_ti_32:image=64",
    "convnext": "convnext_tiny:image=32",
    "roberta": "roberta_tiny:seq=16",
    "yolov8": "yolov8n:image=64",
}
SMALL = FAMILIES["yolov8"]


@pytest.fixture(autouse=True)
def rtx(require: Callable[[str, bool, str], None]) -> Iterator[None]:
    with chosen_rtx(require):
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def build(
    cache: Path, model: str, batch: int = 1, precision: Precision = "fp16", target: str = "portable", index: int = 0
) -> Engine:
    return TensorRt().build(model, batch, precision, target, cache, index)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_builds_at_two_batch_sizes(cache: Path, family: str) -> None:
    one, two = (build(cache, FAMILIES[family], batch) for batch in (1, 2))
    for engine, batch in ((one, 1), (two, 2)):
        meta = read_meta(engine.folder)
        assert (engine.family, engine.batch_size, engine.engine_kind) == (family, batch, "tensorrt-rtx")
        assert engine.engine_id == TensorRt().engine_id(FAMILIES[family], batch, "fp16", "portable", 0)
        assert {tensor["name"]: tensor["shape"] for tensor in meta["inputs"]} == engine.input_shapes
        assert all(shape[0] == batch for shape in engine.input_shapes.values())
        assert all(tensor["shape"][0] == batch for tensor in meta["outputs"])
        assert engine.engine_bytes == (engine.folder / "engine.plan").stat().st_size
        # the weights are in the plan, at this precision, and not much else
        assert engine.weight_bytes is not None
        assert 1 <= engine.engine_bytes / engine.weight_bytes < 2
    assert one.engine_sha256 != two.engine_sha256
    assert one.source_sha256 == two.source_sha256


@pytest.mark.parametrize("family", ["resnet", "vit", "roberta", "yolov8"])
def test_the_same_network_gives_the_same_bytes(cache: Path, family: str) -> None:
    first, again = (build(cache, FAMILIES[family], 2, index=index) for index in (0, 1))
    assert first.engine_id != again.engine_id
    assert first.engine_sha256 == again.engine_sha256
    assert (first.folder / "engine.plan").read_bytes() == (again.folder / "engine.plan").read_bytes()


def test_precision_is_that_of_the_network(cache: Path) -> None:
    half, single = build(cache, SMALL), build(cache, SMALL, precision="fp32")
    types = [read_meta(engine.folder)["inputs"][0]["tensorrt_dtype"] for engine in (half, single)]
    assert types == ["HALF", "FLOAT"]
    assert single.engine_bytes > 1.4 * half.engine_bytes


def test_integer_inputs_keep_the_bound_of_their_table(cache: Path) -> None:
    (tokens,) = read_meta(build(cache, FAMILIES["roberta"]).folder)["inputs"]
    assert (tokens["dtype"], tokens["tensorrt_dtype"]) == ("int64", "INT64")
    assert tokens["high"] > 1000


def test_a_target_is_part_of_the_engine(cache: Path) -> None:
    portable, ada = build(cache, SMALL), build(cache, SMALL, target="sm_89")
    assert ada.build_target == "sm_89"
    assert portable.engine_id != ada.engine_id
    assert read_header(ada.folder / "engine.plan").flavour.engine_kind == "tensorrt-rtx"


def test_what_cannot_be_known_here_says_why(cache: Path) -> None:
    meta = read_meta(build(cache, SMALL).folder)
    if meta["layers"] is None:
        assert meta["layers_missing"]
    else:
        layers = json.loads((build(cache, SMALL).folder / meta["layers"]).read_text())
        assert layers["Layers"]
    assert meta["timing_cache"] == "none"  # TensorRT-RTX times nothing while it builds


def test_meta_tells_how_it_was_built(cache: Path) -> None:
    engine = build(cache, SMALL)
    meta = read_meta(engine.folder)
    assert meta["flags"]["max_aux_streams"] == 0
    assert meta["memory_limit_bytes"] == meta["flags"]["memory_limit_bytes"] == 4 << 30
    assert meta["plan_builder"] == f"TensorRT-RTX {meta['versions']['tensorrt-rtx']}"
    assert meta["layer_count"] > 100
    log = (engine.folder / "build.log").read_text()
    assert "Engine generation completed" in log
    assert "ERROR" not in log


def test_the_users_file_builds_at_any_batch_size(cache: Path, tmp_path: Path) -> None:
    path = write_net(tmp_path / "mine.onnx")
    engines = [build(cache, f"file:{path}", batch, "fp32") for batch in (1, 3)]
    assert [engine.input_shapes for engine in engines] == [{"image": [batch, 3, 16, 16]} for batch in (1, 3)]
    assert {engine.model for engine in engines} == {f"file:{path}"}
    copy = write_net(tmp_path / "copy.onnx")
    assert build(cache, f"file:{copy}", 3, "fp32").engine_id == engines[1].engine_id


def test_an_engine_is_built_once(cache: Path) -> None:
    built = build(cache, SMALL).folder.stat()
    again = build(cache, SMALL).folder.stat()
    assert (built.st_ino, built.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def test_progress_is_told(cache: Path) -> None:
    steps: list[BuildStep] = []
    with watched(steps.append):
        build(cache, FAMILIES["resnet"], batch=5)
    top = [step for step in steps if step.depth == 0]
    assert (top[0].done, top[-1].done) == (0, top[-1].total)
    assert [step.done for step in top] == sorted(step.done for step in top)
    assert {step.phase for step in top} == {"Building engine"}


def test_an_operator_that_tensorrt_lacks_is_told_with_its_node(cache: Path, tmp_path: Path) -> None:
    path = write_refused(tmp_path / "mine.onnx")
    with pytest.raises(UserError) as told:
        build(cache, f"file:{path}", 2, "fp32")
    for word in ["mine.onnx", "ONNX parser refuses it", "node 1 (Det 'the_determinant')", "UNSUPPORTED_NODE", ".cpp:"]:
        assert word in str(told.value)
    assert list((cache / "engines").glob(".tmp-*")) == []
