"""How torch-cuda engines come to be: the exported graph of one shape beside a link to the shared weights.

A build translates the graph once on torch's meta device, which knows shapes and no numbers: what a lane could not
translate shows when it is built, on any machine.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cotenant.models.digest import sha256_of
from cotenant.models.errors import WorkError
from cotenant.models.model import Export
from cotenant.runners.engine_cache import Built, file_digest, place
from cotenant.runners.network_request import NetworkRequest

GRAPH = "graph.onnx"
ENGINE_KIND = "torch"
FLAGS = {"fusions": ["gelu", "silu", "linear", "attention"], "revision": 1}  # revision counts other changes


def engine_builder(request: NetworkRequest, cache: Path) -> Callable[[Path], Built]:
    """Return what writes a network's engine into a folder; UserError names an operator that is not translated."""

    def build(folder: Path) -> Built:
        export = _sound_export(request, cache)
        (folder / GRAPH).write_bytes(export.graph_path.read_bytes())
        weights = place(export.weights_path, folder) if export.weights_path is not None else None
        inputs = request.inputs()
        _check_translates(folder / GRAPH, inputs, request.model.name)
        fields = {
            **request.fields(),
            "engine_kind": ENGINE_KIND,
            "engine_sha256": sha256_of([file_digest(folder / GRAPH), export.weights_sha256]),
            "engine_bytes": sum(path.stat().st_size for path in (folder / GRAPH, weights) if path is not None),
        }
        versions = {"torch": request.runner_version, "onnx": version("onnx"), "numpy": version("numpy")}
        return Built(fields, {"flags": FLAGS, "versions": versions, "inputs": inputs, "probe": None})

    return build


def _check_translates(graph: Path, inputs: list[dict[str, Any]], where: str) -> None:
    from cotenant.runners.torch_cuda.graph import read_graph
    from cotenant.runners.torch_cuda.program import translated

    translated(read_graph(graph), inputs, "meta", where)


def _sound_export(request: NetworkRequest, cache: Path) -> Export:
    """Export the model; weights that are not what their digest says (a truncated cache file) are made anew, once."""
    for _ in range(2):
        export = request.model.export(request.batch_size, request.precision, cache)
        if export.weights_path is None or file_digest(export.weights_path) == export.weights_sha256:
            return export
        export.weights_path.unlink()
    raise WorkError(f"weights of {request.model.name} in {export.weights_path} are damaged; look at that disk")
