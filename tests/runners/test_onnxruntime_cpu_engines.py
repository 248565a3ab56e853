"""Engines of ONNX graphs with shared weights: built, cached, loaded in a lane, and mended when files are damaged."""

import dataclasses
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from cotenant.models.digest import sha256_of
from cotenant.models.errors import WorkError
from cotenant.models.model import Export, GraphCost, Input, Precision
from cotenant.runners.engine_cache import EntryDamaged, obtain, read_meta
from cotenant.runners.onnxruntime_cpu import RUNNER
from cotenant.runners.onnxruntime_cpu.build import EngineRequest, input_shapes, model_builder
from cotenant.runners.protocol import Engine, Lane, Session

SIDE = 256
WEIGHTS = np.random.default_rng(1).standard_normal((SIDE, SIDE), dtype=np.float32).tobytes()
REQUEST = EngineRequest(RUNNER.name, RUNNER.version(), RUNNER.target(RUNNER.device(None)), 0)


@dataclasses.dataclass(frozen=True)
class Dense:
    """One matrix product and a look-up by index; all batch sizes share the weights. `fault` spoils the graph."""

    fault: str = ""

    name = "dense"
    family = "dense"

    def inputs(self, batch_size: int, precision: Precision) -> tuple[Input, ...]:
        return (Input("x", "float32", (batch_size, SIDE)), Input("index", "int64", (batch_size, 1), SIDE))

    def source_sha256(self, precision: Precision) -> str:
        return sha256_of([self.family, self.fault, SIDE, precision])

    def cost(self, batch_size: int, precision: Precision) -> GraphCost:
        macs = batch_size * SIDE * SIDE
        return GraphCost(macs, 2 * macs, len(WEIGHTS), 4 * batch_size, len(WEIGHTS), SIDE * SIDE)

    def export(self, batch_size: int, precision: Precision, cache: Path) -> Export:
        weights = cache / "weights" / "dense.bin"
        weights.parent.mkdir(parents=True, exist_ok=True)
        if not weights.exists():
            weights.write_bytes(WEIGHTS)
        graph = cache / "weights" / f"dense-{batch_size}.onnx"
        graph.write_bytes(
            b"no graph" if self.fault == "no graph" else dense_graph(batch_size, weights.name, self.fault)
        )
        return Export(graph, weights, hashlib.sha256(WEIGHTS).hexdigest())


def dense_graph(batch_size: int, location: str, fault: str) -> bytes:
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[SIDE, SIDE])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(WEIGHTS)))):
        weights.external_data.add(key=key, value=value)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch_size, SIDE]),
        helper.make_tensor_value_info("index", TensorProto.INT64, [batch_size, 1]),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node(fault or "GatherElements", ["h", "index"], ["y"], axis=1),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch_size, 1])]
    graph = helper.make_graph(nodes, "dense", inputs, outputs, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def build(cache: Path, batch_size: int = 2, model: Dense = Dense()) -> Engine:
    source, shapes = model.source_sha256("fp32"), input_shapes(model, batch_size, "fp32")
    engine_id = REQUEST.engine_id(source, shapes, "fp32")
    return obtain(cache, engine_id, model_builder(REQUEST, model, batch_size, "fp32", cache))


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with RUNNER.open(RUNNER.device(None), [Lane()]) as opened:
        yield opened


def run_once(session: Session, engine: Engine) -> int:
    loaded = session.load(0, engine)
    session.submit(0, loaded)
    (done,) = session.wait(session.now_ns() + 10_000_000_000)
    session.unload(loaded)
    return done.end_ns - done.start_ns


def test_an_engine_holds_its_graph_and_a_link_to_the_shared_weights(tmp_path: Path, session: Session) -> None:
    first, second = build(tmp_path, 2), build(tmp_path, 4)
    assert first.engine_id != second.engine_id
    inodes = {(engine.folder / "dense.bin").stat().st_ino for engine in (first, second)}
    assert inodes == {(tmp_path / "weights" / "dense.bin").stat().st_ino}
    assert first.input_shapes == {"x": [2, SIDE], "index": [2, 1]}
    assert first.engine_bytes == len(WEIGHTS) + (first.folder / "graph.onnx").stat().st_size
    meta = read_meta(first.folder)
    assert meta["flags"]["optimisation"] == "all"
    assert meta["versions"]["onnxruntime"] == RUNNER.version()
    assert run_once(session, first) > 0


def test_the_same_content_has_the_same_digest_in_another_cache(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a"), build(tmp_path / "b")
    assert dataclasses.replace(first, folder=second.folder) == second


def test_truncated_weights_are_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture, session: Session) -> None:
    first = build(tmp_path)
    weights = tmp_path / "weights" / "dense.bin"
    with weights.open("r+b") as stream:  # in place: the engine's link sees it too
        stream.truncate(1000)
    with pytest.raises(EntryDamaged, match=r"dense\.bin has 1000 bytes instead of 262144"):
        session.load(0, first)
    with caplog.at_level(logging.WARNING):
        assert build(tmp_path) == first
    assert "dense.bin has 1000 bytes" in caplog.text
    assert weights.read_bytes() == WEIGHTS
    assert run_once(session, first) > 0


def test_a_graph_that_onnxruntime_refuses_is_told_and_the_lane_lives_on(tmp_path: Path, session: Session) -> None:
    for fault, words in (("no graph", "Protobuf|protobuf|parse"), ("NoSuchOperator", "NoSuchOperator")):
        with pytest.raises(WorkError, match=rf"lane 0 cannot load engine \w+ \(dense\): .*({words})") as told:
            session.load(0, build(tmp_path, model=Dense(fault)))
        assert "\n" not in str(told.value)
    assert run_once(session, build(tmp_path)) > 0


def test_an_engine_of_another_runner_is_refused(tmp_path: Path, session: Session) -> None:
    with pytest.raises(WorkError, match=r"another runner"):
        session.load(0, dataclasses.replace(build(tmp_path), runner="tensorrt"))
