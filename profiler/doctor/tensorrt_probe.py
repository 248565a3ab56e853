"""Imports one TensorRT in a process of its own and, where a driver answers, makes its runtime.

Without a driver no runtime is made: some versions return an object whose next call crashes.
"""

import ctypes
import os
import sys
from typing import Any, NoReturn

from cotenant.models.errors import CotenantError
from cotenant.profiler.doctor.apart import answer
from cotenant.profiler.quality.failure import failure

KEPT: list[Any] = []  # runtimes and their loggers, until the process ends


def main(engine_kind: str) -> NoReturn:
    """Answer with module, version and abilities of `tensorrt` or `tensorrt-rtx`."""
    from cotenant.runners.tensorrt.flavour import FLAVOURS, Installed, checked, is_there, load_module, module_version

    flavour = next(flavour for flavour in FLAVOURS if flavour.engine_kind == engine_kind)
    names = [name for name in flavour.modules if is_there(name)]
    if not names:
        tell({"there": False})
    facts: dict[str, Any] = {"there": True, "module": names[0]}
    try:
        found = checked(Installed(flavour, names[0], module_version(names[0])))
        module: Any = load_module(found)
        facts |= {"version": found.version, "builds": hasattr(module, "Builder") and hasattr(module, "OnnxParser")}
        facts["runtime"] = runtime_trouble(module) if driver_answers() else "no driver"
    except CotenantError as error:
        facts["refused"] = str(error)
    tell(facts)


def tell(facts: dict[str, Any]) -> NoReturn:
    """Answer and leave at once, destroying nothing: to free a runtime that could not start crashes (seen with 11.4)."""
    answer(facts)
    os._exit(0)


def driver_answers() -> bool:
    """Tell whether the CUDA driver can be initialised."""
    try:
        return int(ctypes.CDLL("libcuda.so.1").cuInit(0)) == 0
    except (OSError, AttributeError):
        return False


def runtime_trouble(tensorrt: Any) -> str | None:
    """Make the runtime and return what it complains of; None if it is fine."""
    complaints: list[str] = []

    class Log(tensorrt.ILogger):  # type: ignore[misc]
        """Keeps what the library logs as errors."""

        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(tensorrt.ILogger.ERROR):
                complaints.append(" ".join(message.split()))

    logger = Log()
    KEPT.append(logger)
    try:
        runtime = tensorrt.Runtime(logger)
    except Exception as error:
        return failure(error)
    KEPT.append(runtime)
    if runtime is None and not complaints:
        return "it gives no runtime and does not say why"
    return complaints[0] if complaints else None


if __name__ == "__main__":
    main(sys.argv[1])
