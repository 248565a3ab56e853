"""The vendor's reader: the package ncu_report, or the module of that name that comes with Nsight Compute."""

import importlib
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from cotenant.profiler.counters.metrics import CAPABILITY, PASSES
from cotenant.profiler.counters.reports.blocks import Contents, Launch
from cotenant.profiler.counters.reports.found import Found, Value
from cotenant.profiler.counters.reports.report import ReportDamaged

NAME = "ncu_report"


def module(program: Path | None) -> ModuleType | None:
    """Return the reader: the installed package, else the module beside the program; None if neither can be imported."""
    if find_spec(NAME) is not None:
        return _imported()
    folder = beside(program)
    if folder is None:
        return None
    with _on_path(folder):
        return _imported()


def beside(program: Path | None) -> Path | None:
    """Return the folder of the reader that comes with the program, if it has one."""
    if program is None:
        return None
    own = program.resolve()  # the program itself lies two folders below the script of its name
    folders = [above / "extras" / "python" for above in list(own.parents)[:3]]
    return next((folder for folder in folders if (folder / f"{NAME}.py").is_file()), None)


def opened(path: Path, reader: Any) -> Any:
    """Return the reader's context of a report.

    Raises:
        ReportDamaged: The reader refuses it.
    """
    try:
        return reader.load_report(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise ReportDamaged(path, f"{NAME} cannot read it ({error})") from error


def refusal(context: Any, held: Contents) -> str:
    """Return why a reader's context of a report must not be believed, "" if it may be; no context means no reader."""
    if context is None:
        return f"there is no {NAME}"
    version = context.get_version()
    if older(version, held.profiler_version):
        return f"{NAME} {version} is older than the Nsight Compute {held.profiler_version} that wrote it"
    return ""


def older(version: str | None, other: str | None) -> bool:
    """Whether a version is older than another, by as many numbers as both tell; False where one is not told."""
    mine, theirs = ([int(number) for number in re.findall(r"\d+", told or "")][:3] for told in (version, other))
    shared = min(len(mine), len(theirs))
    return mine[:shared] < theirs[:shared]


def found(context: Any, reader: Any, metrics: Sequence[str], held: Contents) -> list[Found]:
    """Return what the reader finds of these metrics, in the report's order."""
    actions = [action for span in _all(context, "range") for action in _all(span, "action")]
    return [_found(action, reader, metrics, held.launches, index) for index, action in enumerate(actions)]


def _found(action: Any, reader: Any, metrics: Sequence[str], launches: Sequence[Launch], index: int) -> Found:
    # bytes that are no text come as surrogates, which no table can hold
    name = str(action.name(reader.IAction.NameBase_DEMANGLED)).encode(errors="surrogateescape").decode(errors="replace")
    values = dict(_values(action, metrics))
    if action.workload_type() != reader.IAction.WorkloadType_KERNEL:
        return Found(name, None, None, values, is_range=True)
    # the reader gives grid and block only as metrics, which are not always collected; the file always has them
    launch = launches[index] if index < len(launches) and launches[index].name == name else Launch(name, None, None)
    return Found(name, launch.grid, launch.block, values, is_range=False)


def _values(action: Any, metrics: Sequence[str]) -> Iterator[tuple[str, Value]]:
    for name in (*metrics, PASSES, *CAPABILITY):
        metric = action.metric_by_name(name)
        if metric is not None:
            value = metric.value()
            number = float(value) if isinstance(value, int | float) else None
            yield name, Value(number, metric.unit() or None, repr(value))


def _all(parent: Any, kind: str) -> Iterator[Any]:
    for index in range(getattr(parent, f"num_{kind}s")()):
        yield getattr(parent, f"{kind}_by_idx")(index)


def _imported() -> ModuleType | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of newer Pythons about any module that SWIG made
            return importlib.import_module(NAME)
    except ImportError:  # of another platform, or without its libraries: as if it were not there
        return None


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Let imports look into a folder: the module imports its library by name from beside itself."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
