"""What TensorRT says while it works: kept in a file line by line, so that a crash loses nothing; errors are collected.

The library returns None where it fails, and tells why in its log alone.
"""

import threading
import types
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

NAME = "build.log"
ERRORS = ("INTERNAL_ERROR", "ERROR")
KEPT = (*ERRORS, "WARNING", "INFO")  # VERBOSE lines are thousands
LAST_LINES = 5
KEPT_LINES = 100  # a lane that is warned at each execution must not fill the memory
SHOWN_CHARACTERS = 400


class BuildLog:
    """Lines of one build, from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.errors: deque[str] = deque(maxlen=KEPT_LINES)
        self.warnings: deque[str] = deque(maxlen=KEPT_LINES)

    def write(self, severity: str, message: str) -> None:
        """Keep a message under the library's own name of its severity."""
        if severity not in KEPT:
            return
        line = " ".join(message.split())
        with self._lock:
            if severity in ERRORS:
                self.errors.append(line)
            elif severity == "WARNING":
                self.warnings.append(line)
            if self._stream is not None:
                self._stream.write(f"{severity}: {line}\n")

    def reason(self) -> str:
        """Return the errors as one line for a message; says so if there are none."""
        return shortened("; ".join(self.errors)) or "it gave no reason"


def vendor_logger(trt: Any, log: BuildLog) -> Any:
    """Return a logger object of the library that writes into `log`; keep it as long as anything that was given it."""

    def write(_self: Any, severity: Any, message: str) -> None:
        log.write(severity.name, message)

    return vendor_object(trt.ILogger, {"log": write})


def vendor_object(base: Any, methods: dict[str, Callable[..., Any]]) -> Any:
    """Return an object of a class derived from one of the library's; its bindings insist on their own __init__."""

    def initialise(self: Any) -> None:
        base.__init__(self)

    body = {"__init__": initialise, **methods}
    return types.new_class(f"Cotenant{base.__name__}", (base,), {}, lambda namespace: namespace.update(body))()


def last_lines(path: Path) -> str:
    """Return the end of a log as one line; for builds that died."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return shortened(" | ".join(lines[-LAST_LINES:])) or "nothing"


def shortened(text: str) -> str:
    """Return a text that fits into a message."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
