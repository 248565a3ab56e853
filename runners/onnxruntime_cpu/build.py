"""How onnxruntime-cpu engines come to be: the exported graph of one shape beside a link to the shared weights.

ONNX Runtime optimises when it loads: its saved optimised files differ in bytes from save to save and would hold a copy
of the weights for every batch size. Optimisation level and version stand in the key and in meta.json instead.
"""

from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cotenant.models.digest import digest_id, sha256_of
from cotenant.models.errors import WorkError
from cotenant.models.model import Export, Model, Precision
from cotenant.runners.engine_cache import Built, file_digest, place, read_meta
from cotenant.runners.onnxruntime_cpu.probes import MATRIX_SIDE, Probe
from cotenant.runners.onnxruntime_cpu.trial import check_executes
from cotenant.runners.protocol import Engine

GRAPH = "graph.onnx"
FLAGS = {"optimisation": "all", "revision": 1}  # revision counts changes of what a build makes of the same model
OPSET, IR_VERSION = 17, 8
FLOAT_BYTES = 4
FILE_FAMILY = "file"


class EngineRequest:
    """One engine asked for: its key, and how to write it."""

    def __init__(self, runner: str, runner_version: str, target: str, build_index: int) -> None:
        self.runner = runner
        self.runner_version = runner_version
        self.target = target
        self.build_index = build_index

    def engine_id(self, source_sha256: str, input_shapes: dict[str, list[int]], precision: Precision) -> str:
        """Return the id: a digest of everything that decides what executes (design section 5)."""
        runner = [self.runner, self.runner_version]
        shapes = sorted(input_shapes.items())
        return digest_id([source_sha256, shapes, precision, runner, self.target, FLAGS, self.build_index])

    def common_fields(self) -> dict[str, Any]:
        """Return the fields of Engine that the request itself decides."""
        return {"runner": self.runner, "build_target": self.target, "build_index": self.build_index}

    def versions(self) -> dict[str, str]:
        """Return the versions that meta.json keeps."""
        return {"onnxruntime": self.runner_version, "onnx": version("onnx"), "numpy": version("numpy")}


def input_shapes(model: Model, batch_size: int, precision: Precision) -> dict[str, list[int]]:
    """Return the static shape of every input."""
    return {tensor.name: list(tensor.shape) for tensor in model.inputs(batch_size, precision)}


def model_builder(
    request: EngineRequest, model: Model, batch_size: int, precision: Precision, cache: Path
) -> Callable[[Path], Built]:
    """Return what writes a model's engine into a folder."""

    def build(folder: Path) -> Built:
        export = _sound_export(model, batch_size, precision, cache)
        (folder / GRAPH).write_bytes(export.graph_path.read_bytes())
        weights = place(export.weights_path, folder) if export.weights_path is not None else None
        shapes = input_shapes(model, batch_size, precision)
        source = model.source_sha256(precision)
        cost = asdict(model.cost(batch_size, precision))
        fields = {
            **request.common_fields(),
            "engine_id": request.engine_id(source, shapes, precision),
            "model": model.name,
            "family": model.family,
            "batch_size": batch_size,
            "input_shapes": shapes,
            "precision": precision,
            "engine_kind": "onnx",
            "source_sha256": source,
            "engine_sha256": sha256_of([file_digest(folder / GRAPH), export.weights_sha256]),
            "engine_bytes": sum(path.stat().st_size for path in (folder / GRAPH, weights) if path is not None),
            **cost,
        }
        inputs = [asdict(tensor) for tensor in model.inputs(batch_size, precision)]
        if model.family == FILE_FAMILY:  # those of the zoo are known to execute
            check_executes(folder / GRAPH, inputs, model.name)
        return Built(fields, {"flags": FLAGS, "versions": request.versions(), "inputs": inputs, "probe": None})

    return build


def _sound_export(model: Model, batch_size: int, precision: Precision, cache: Path) -> Export:
    """Export a model; weights that are not what their digest says (a truncated cache file) are made anew, once."""
    export = model.export(batch_size, precision, cache)
    if not _sound(export):
        assert export.weights_path is not None
        export.weights_path.unlink()
        export = model.export(batch_size, precision, cache)
    if not _sound(export):
        raise WorkError(f"weights of {model.name} in {export.weights_path} are damaged; remove that file and try again")
    return export


def _sound(export: Export) -> bool:
    return export.weights_path is None or file_digest(export.weights_path) == export.weights_sha256


def probe_builder(request: EngineRequest, probe: Probe) -> Callable[[Path], Built]:
    """Return what writes a probe's engine into a folder."""

    def build(folder: Path) -> Built:
        (folder / GRAPH).write_bytes(matmul_graph(MATRIX_SIDE))
        operand_bytes = MATRIX_SIDE**2 * FLOAT_BYTES if probe.computes else 0
        fields = {
            **request.common_fields(),
            "engine_id": request.engine_id(probe.source_sha256(), {}, "fp32"),
            "model": probe.name,
            "family": "probe",
            "batch_size": 1,
            "input_shapes": {},
            "precision": "fp32",
            "engine_kind": "probe",
            "source_sha256": probe.source_sha256(),
            "engine_sha256": sha256_of([file_digest(folder / GRAPH), probe.source_sha256()]),
            "engine_bytes": (folder / GRAPH).stat().st_size,
            "parameter_count": 0,
            "weight_bytes": 0,
            "mac_count": probe.mac_count,
            "flop_count": 2 * probe.mac_count,
            "read_bytes": probe.copied_bytes + 2 * operand_bytes,
            "write_bytes": probe.copied_bytes + operand_bytes,
        }
        facts = {"flags": FLAGS, "versions": request.versions(), "inputs": [], "probe": probe.as_dict()}
        return Built(fields, facts)

    return build


def matmul_graph(side: int) -> bytes:
    """Return a graph of one matrix product by a constant, which ONNX Runtime packs as it does an engine's weights."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(side).standard_normal((side, side), dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [side, side])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def load_order(engine: Engine) -> dict[str, Any]:
    """Return what a lane is told about an engine that it shall load; EntryDamaged if its files are not whole."""
    meta = read_meta(engine.folder)
    if meta["engine"]["runner"] != engine.runner or "probe" not in meta:
        raise WorkError(f"{engine.folder} was written by another runner; build the engine with {engine.runner}")
    facts = {key: meta[key] for key in ("inputs", "probe")}
    return {"graph": str(engine.folder / GRAPH), "engine_id": engine.engine_id, **facts}
