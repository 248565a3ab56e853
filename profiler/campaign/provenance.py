"""Who measured an experiment, when, with which versions and in which environment: wall-clock facts, kept apart."""

import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from cotenant.runners.engine_cache import own_version
from cotenant.runners.protocol import Session

VERSIONED = ("numpy", "onnx", "onnxruntime", "pyarrow")


def provenance(started_at: str, attempt: int, session: Session, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what raw metadata keeps; `environment` are modes and versions of the device as found."""
    launch_modes = getattr(session, "launch_modes", None)  # whether by a CUDA graph, or why not
    modes: list[Any] = [] if launch_modes is None else launch_modes()
    return {
        "launch_modes": [asdict(mode) for mode in modes],
        "started_at": started_at,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "attempt": attempt,
        "git_commit": None,
        "environment": dict(environment),
        "versions": {
            "python": platform.python_version(),
            "cotenant": own_version(),
            **{name: version(name) for name in VERSIONED},
        },
    }
