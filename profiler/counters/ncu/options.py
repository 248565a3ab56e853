"""How engines are profiled under ncu."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cotenant.profiler.counters.ncu.lock import LIMIT_S, PLACE

TIMEOUT_S = 1800.0  # of one run of ncu; networks of thousands of kernels take minutes


@dataclass(frozen=True)
class NcuOptions:
    """How engines are profiled.

    Attributes:
        program: Path of ncu; None = the one on PATH, else the newest in the usual places.
        reader: Of reports; see `read_report`.
        timeout_s: Of one run of ncu.
        reuse_kernels: Replay one of each group of identical kernels only; for sets of kernels.
        capability: Compute capability, e.g. "9.0"; None = as the device's type tells.
        kept: Folder where log, output and report of a run that failed are kept; None = nowhere.
        wait_s: How long to wait for another counter session of this host.
        waiting: Told once, in one line, if there is one.
    """

    program: Path | None = None
    reader: Literal["auto", "package", "csv"] = "auto"
    timeout_s: float = TIMEOUT_S
    reuse_kernels: bool = False
    capability: str | None = None
    kept: Path | None = None
    wait_s: float = LIMIT_S
    waiting: Callable[[str], None] = lambda _line: None
    lock: Path = PLACE
