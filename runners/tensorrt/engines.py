"""How an engine's folder comes to be: plan, build log, and layers where a GPU is; the rest stands in meta.json.

<engine_id>/engine.plan    what executes; it holds the weights
            build.log      what TensorRT said
            layers.json    its inspector's words, where a GPU was
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cotenant.models.errors import WorkError
from cotenant.runners.engine_cache import Built, file_digest
from cotenant.runners.network_request import NetworkRequest
from cotenant.runners.tensorrt.build_log import NAME
from cotenant.runners.tensorrt.config import FLAGS, MEMORY_LIMIT_BYTES
from cotenant.runners.tensorrt.flavour import Installed
from cotenant.runners.tensorrt.isolated_build import run
from cotenant.runners.tensorrt.order import INSPECTOR, PLAN, BuildOrder, BuildReport
from cotenant.runners.tensorrt.plan import PlanHeader, check_plan
from cotenant.runners.tensorrt.targets import capability_of
from cotenant.runners.tensorrt.timing_cache import timing_cache_path


def engine_builder(request: NetworkRequest, here: Installed, cache: Path) -> Callable[[Path], Built]:
    """Return what writes a network's engine into a folder."""

    def build(folder: Path) -> Built:
        export = request.model.export(request.batch_size, request.precision, cache)
        order = _order(request, here, export.graph_path, folder, cache)
        failed_log = cache / "failed-builds" / f"{request.engine_id()}.log"
        try:
            report = run(order)
        except WorkError as error:
            raise WorkError(f"{error}; {_kept(folder / NAME, failed_log)}") from error
        failed_log.unlink(missing_ok=True)
        header = check_plan(folder / PLAN, here)
        fields = {
            **request.fields(),
            "engine_kind": here.flavour.engine_kind,
            "engine_sha256": file_digest(folder / PLAN),
            "engine_bytes": header.byte_count,
        }
        return Built(fields, _facts(request, here, header, report))

    return build


def _order(request: NetworkRequest, here: Installed, graph: Path, folder: Path, cache: Path) -> BuildOrder:
    shares_timings = here.flavour.needs_gpu_to_build and request.build_index == 0
    return BuildOrder(
        where=f"{request.model.name} at batch size {request.batch_size}",
        choice=here.flavour.engine_kind,
        graph=str(graph.absolute()),
        folder=str(folder.absolute()),
        input_shapes=request.input_shapes(),
        capability=capability_of(request.target),
        memory_limit_bytes=MEMORY_LIMIT_BYTES,
        timing_cache=str(timing_cache_path(cache, here, request.target).absolute()) if shares_timings else None,
    )


def _facts(request: NetworkRequest, here: Installed, header: PlanHeader, report: BuildReport) -> dict[str, Any]:
    told = asdict(report)
    types = {tensor["name"]: tensor["dtype"] for tensor in told.pop("inputs")}
    inputs = [{**tensor, "tensorrt_dtype": types[tensor["name"]]} for tensor in request.inputs()]
    return {
        "flags": dict(FLAGS),
        "versions": {here.flavour.engine_kind: here.version, "onnx": version("onnx"), "numpy": version("numpy")},
        "inputs": inputs,
        "probe": None,
        "plan_builder": header.builder,
        "layers": None if report.layers_missing is not None else INSPECTOR,
        **told,
    }


def _kept(log: Path, failed_log: Path) -> str:
    """Keep the log of a build that failed; its folder goes away."""
    if not log.exists():
        return "TensorRT left no log"
    failed_log.parent.mkdir(exist_ok=True)
    shutil.copyfile(log, failed_log)
    return f"its whole log: {failed_log}"
