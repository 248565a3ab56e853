"""The three kinds of checks, by what they look at; each yields (table, message) per fault.

Stages: what a check relies on is the business of one of an earlier stage. A check may take for granted that nothing was
found in the stages before its own, and must not raise whatever the values are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.experiment_rows import ExperimentRows

Faults = Iterator[tuple[str, str]]
VALUES, FORM, CONTENT = 0, 1, 2


@dataclass(frozen=True)
class Finding:
    """One fault: which check found it, in which table, and what it is."""

    check: str
    table: str
    message: str


@dataclass(frozen=True)
class DatasetCheck:
    """A check of the small tables."""

    name: str
    run: Callable[[SmallTables], Faults]
    stage: int = CONTENT


@dataclass(frozen=True)
class ExperimentCheck:
    """A check of one experiment's rows."""

    name: str
    run: Callable[[ExperimentRows], Faults]
    stage: int = CONTENT


@dataclass(frozen=True)
class PooledCheck:
    """A check of what all experiments say together; runs if each of them could be summarised."""

    name: str
    run: Callable[[SmallTables, Sequence[Summary]], Faults]


Check = DatasetCheck | ExperimentCheck | PooledCheck
