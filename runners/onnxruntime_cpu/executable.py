"""What a lane executes for an engine: an ONNX Runtime session with its inputs and outputs resident."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from cotenant.runners.onnxruntime_cpu.probes import probe_from_dict
from cotenant.runners.random_inputs import random_inputs

PROVIDERS = ["CPUExecutionProvider"]
ERRORS_ONLY = 3  # ONNX Runtime's log level


def load_executable(order: Mapping[str, Any], threads: int) -> Callable[[], None]:
    """Return the call that executes an engine once; `order` is what `build.load_order` tells of it."""
    graph = Path(order["graph"])
    if order["probe"] is not None:
        from cotenant.runners.onnxruntime_cpu.probe_kernels import probe_executable

        return probe_executable(probe_from_dict(order["probe"]), graph, threads)
    inputs = random_inputs(order["inputs"], seed=int(order["engine_id"][:15], 16))
    return bound_call(inference_session(graph, threads), inputs)


def inference_session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open a graph as lanes do: full optimisation, no spinning threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = ERRORS_ONLY
    return onnxruntime.InferenceSession(str(graph), options, providers=PROVIDERS)


def bound_call(session: onnxruntime.InferenceSession, feeds: Mapping[str, np.ndarray[Any, Any]]) -> Callable[[], None]:
    """Return a call that runs the session on resident inputs into outputs allocated once."""
    outputs = session.run(None, dict(feeds))
    if not all(isinstance(output, np.ndarray) for output in outputs):  # sequences and maps cannot be bound
        return lambda: session.run(None, dict(feeds))
    binding = session.io_binding()
    for name, value in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    for tensor, output in zip(session.get_outputs(), outputs, strict=True):
        binding.bind_ortvalue_output(tensor.name, onnxruntime.OrtValue.ortvalue_from_numpy(output))
    run, keep = session.run_with_iobinding, (feeds, outputs)  # the binding refers to the arrays' memory

    def call(_keep: object = keep) -> None:
        run(binding)

    return call
