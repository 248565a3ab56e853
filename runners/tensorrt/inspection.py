"""The layers of an engine as the library's inspector tells them; needs a GPU, so only build processes call it."""

from pathlib import Path
from typing import Any

from cotenant.runners.tensorrt.api_build import EngineInspector, Module
from cotenant.runners.tensorrt.build_log import BuildLog
from cotenant.runners.tensorrt.order import INSPECTOR, PLAN


def write_layers(trt: Module, logger: Any, log: BuildLog, folder: Path) -> str | None:
    """Write the inspector's JSON beside a plan; return why that is not possible, None if it was."""
    error_count = len(log.errors)
    runtime = trt.Runtime(logger)
    if len(log.errors) > error_count:  # it still returns an object, whose next call may end the process
        return f"the runtime could not start: {log.reason()}"
    engine = runtime.deserialize_cuda_engine((folder / PLAN).read_bytes())
    if engine is None:
        return f"the engine could not be deserialised here: {log.reason()}"
    inspector: EngineInspector = engine.create_engine_inspector()
    (folder / INSPECTOR).write_text(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    return None
