"""What a way of splitting is: options in, one or several named splits out, each a rule from executions to parts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cotenant.datasets.splits.runs import RunFacts, Runs
from cotenant.datasets.tables.splits import PARTS
from cotenant.models.errors import UserError

PART_NAMES = tuple(PARTS)
Codes = NDArray[np.int8]  # places in PART_NAMES
Rule = Callable[[RunFacts, pa.Table], Codes]


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        left_out: What this split of several leaves out; "" if the way makes one split.
        rule: A run and some of its rows of executions -> the part of each row. It must depend on nothing else.
        least: Parts that must hold default training rows.
        whole_runs: Whether all executions of a run are on one side.
    """

    left_out: str
    rule: Rule
    least: tuple[str, ...]
    whole_runs: bool = True


class Way(Protocol):
    """A way of splitting: frozen options, and the splits that they make of a dataset's runs."""

    def splits(self, runs: Runs) -> Sequence[Split]:
        """Return its splits; UserError where the options do not fit the runs."""

    def options(self) -> Mapping[str, Any]:
        """Return what was chosen, as JSON holds it."""


def code(part: str) -> int:
    """Return a part's place in PART_NAMES."""
    return PART_NAMES.index(part)


def by_run(part_of: Callable[[RunFacts], str]) -> Rule:
    """Return a rule that puts whole runs into one part."""

    def rule(run: RunFacts, rows: pa.Table) -> Codes:
        return np.full(rows.num_rows, code(part_of(run)), dtype=np.int8)

    return rule


def checked_ratio(train_ratio: float) -> float:
    """Return it; UserError unless it leaves something for both sides."""
    if not 0 < train_ratio < 1:
        raise UserError(f"a training ratio of {train_ratio:g} leaves one side empty; give one between 0 and 1, as 0.75")
    return train_ratio


def known_models(names: Sequence[str], runs: Runs) -> frozenset[str]:
    """Return the names as a set; UserError for one that no run deployed."""
    for name in names:
        if name not in runs.models:
            raise UserError(f"no run deployed {name!r}; deployed models are: {', '.join(runs.models) or 'none'}")
    return frozenset(names)
