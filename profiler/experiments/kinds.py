"""The kinds of experiments: each is a module of this folder that defines EXPERIMENT; a new file is a new kind."""

import difflib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.lanes import LaneSpecs
from cotenant.profiler.experiments.record import Record
from cotenant.runners.protocol import Engine, Lane


class ExperimentSpec(BaseModel):
    """What a spec says of one kind of experiment; each kind adds its own keys.

    Attributes:
        lanes: Lanes of these experiments alone, in a session of their own; None = those of the campaign.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    condition: str | None = None
    lanes: LaneSpecs | None = None


@dataclass(frozen=True, order=True)
class EngineKey:
    """An engine before it is built; `label` is how specs and people name it."""

    model: str
    batch_size: int
    precision: Precision
    build_index: int = 0

    @property
    def label(self) -> str:
        """The name in specs and on screen, e.g. `resnet18:image=96@2`; a rebuilt engine adds `#1`."""
        return f"{self.model}@{self.batch_size}" + (f"#{self.build_index}" if self.build_index else "")


def by_label(groups: Sequence[Sequence[str]], engines: Sequence[EngineKey], key: str) -> list[tuple[EngineKey, ...]]:
    """Return the engines that a spec names by label in its entry `key`; UserError for a label that it does not make."""
    known = {engine.label: engine for engine in engines}
    for label in (label for group in groups for label in group):
        if label not in known:
            near = difflib.get_close_matches(label, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it makes: {', '.join(known)}"
            raise UserError(f"`{key}` names {label!r}, which `engines` does not make; {hint}")
    return [tuple(known[label] for label in group) for group in groups]


def need_lanes(kind: str, lanes: int, least: int = 2) -> None:
    """Raise UserError where a campaign has fewer lanes than a kind of experiment needs."""
    if lanes < least:
        raise UserError(f"experiment `{kind}` needs at least {least} lanes; raise `lanes`")


@dataclass(frozen=True)
class Cell:
    """One experiment of a plan before it is placed on a device.

    Attributes:
        tenants: One engine per tenant, named a, b, c ... in this order.
        options: What the kind's run needs to know, as plain JSON values.
        lanes: Lanes of this cell where they are not those of the campaign; set by the plan.
    """

    kind: str
    tenants: tuple[EngineKey, ...]
    repeat: int
    condition: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    lanes: tuple[Lane, ...] | None = None

    @property
    def label(self) -> str:
        """What progress shows."""
        return f"{self.kind} " + " + ".join(key.label for key in self.tenants)


@dataclass(frozen=True)
class ExperimentKind:
    """One kind of experiment.

    Attributes:
        cells: Expands a spec entry over the campaign's engines and lanes; raises UserError where it cannot.
        run: Measures one cell with the engines of its tenants; the generator is seeded from campaign seed and cell.
        seconds: How long a cell is expected to take, from its tenants' rough solo spans in s and the thresholds.
    """

    name: str
    spec: type[ExperimentSpec]
    cells: Callable[[Any, Sequence[EngineKey], Sequence[Lane]], list[Cell]]
    run: Callable[[Bench, Cell, Sequence[Engine], np.random.Generator], Record]
    seconds: Callable[[Cell, Sequence[float], Any], float]


@cache
def _kinds() -> dict[str, ExperimentKind]:
    package = import_module("cotenant.profiler.experiments")
    modules = (import_module(f"{package.__name__}.{entry.name}") for entry in pkgutil.iter_modules(package.__path__))
    kinds = (getattr(module, "EXPERIMENT", None) for module in modules)
    return {kind.name: kind for kind in kinds if kind is not None}


def kind_names() -> list[str]:
    """Return the names of all kinds."""
    return sorted(_kinds())


def experiment_kind(name: str, where: str = "experiment") -> ExperimentKind:
    """Return a kind by name; UserError with the nearest name otherwise."""
    kinds = _kinds()
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "known kinds: " + ", ".join(sorted(kinds))
        raise UserError(f"{where}: unknown kind {name!r}; {hint}")
    return kinds[name]
