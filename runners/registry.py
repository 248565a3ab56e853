"""Runners by name: a module or package of this folder that defines RUNNER, or another distribution's entry point."""

import difflib
import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from typing import cast

import cotenant.runners
from cotenant.models.errors import UserError, WorkError
from cotenant.runners.protocol import Runner

ENTRY_POINT_GROUP = "cotenant.runners"
ATTRIBUTE = "RUNNER"
REQUIRED = (
    *("name", "needs_gpu", "session_per_experiment", "version", "devices", "device", "target", "max_lanes"),
    *("isolations", "engine_id", "build", "open", "counters"),
)


def available() -> tuple[str, ...]:
    """Return the names that `load` knows, sorted; entry points are listed without being imported."""
    return tuple(sorted(_folder_names() | _entry_points().keys()))


def load(name: str) -> Runner:
    """Return the runner of that name; UserError with the nearest name if there is none."""
    if name in _folder_names():
        module = importlib.import_module(_module_name(name))
        return cast(Runner, getattr(module, ATTRIBUTE))
    points = _entry_points()
    if name in points:
        return _load_entry_point(points[name])
    raise UserError(_unknown(name))


def _folder_names() -> set[str]:
    """Return the runners of this folder; modules here import nothing heavy, so importing each is cheap."""
    modules = [info.name for info in pkgutil.iter_modules(cotenant.runners.__path__)]
    names = [module.replace("_", "-") for module in modules]
    return {name for name in names if hasattr(importlib.import_module(_module_name(name)), ATTRIBUTE)}


def _module_name(name: str) -> str:
    return f"{cotenant.runners.__name__}.{name.replace('-', '_')}"


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _load_entry_point(point: EntryPoint) -> Runner:
    owner = point.dist.name if point.dist is not None else "an unknown package"
    remedy = f"reinstall or remove {owner}"
    try:
        runner = point.load()
    except Exception as error:  # whatever foreign code raises becomes one clear line; the cause stays chained
        raise WorkError(
            f"runner {point.name!r} of {owner} cannot be loaded ({type(error).__name__}: {error}); {remedy}"
        ) from error
    missing = [attribute for attribute in REQUIRED if not hasattr(runner, attribute)]
    if missing:
        raise WorkError(f"runner {point.name!r} of {owner} is no runner: it lacks {', '.join(missing)}; {remedy}")
    return cast(Runner, runner)


def _unknown(name: str) -> str:
    names = available()
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(names)}"
    return f"unknown runner {name!r}; {hint}"
