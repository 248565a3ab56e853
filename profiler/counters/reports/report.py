"""What a report of Nsight Compute holds, in base units, whoever read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cotenant.models.errors import WorkError


class ReportDamaged(WorkError):
    """A report is not a whole one with every metric that was asked for."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(" ".join(f"{path}: {what}; profile the engine again".split()))
        self.path = path


class NoReader(WorkError):
    """Nothing on this machine can read a report; the report itself may be whole."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} cannot be read: {why}; `pip install --upgrade ncu-report`, or put ncu on PATH")
        self.path = path


@dataclass(frozen=True)
class Workload:
    """What one result of a report is about: one kernel, or one range.

    Attributes:
        name: Of the kernel as it was demangled, or of the range.
        grid: Blocks of its launch, x, y, z; None for a range.
        block: Threads of each of them, x, y, z; None for a range.
        metrics: Metric -> value in base units: ns, Hz, byte, sector, cycle, %.
    """

    name: str
    grid: tuple[int, int, int] | None
    block: tuple[int, int, int] | None
    metrics: Mapping[str, float]
    is_range: bool


@dataclass(frozen=True)
class Report:
    """One whole report.

    Attributes:
        workloads: In order of execution.
        profiler_version: Of the Nsight Compute that wrote it; None where the reader cannot tell.
        passes: How often the workloads were replayed, the most of any; None where the report does not tell.
    """

    workloads: tuple[Workload, ...]
    profiler_version: str | None
    passes: int | None
