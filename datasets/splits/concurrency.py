"""Trained where few run at once, judged where more do: pairs against sets of three and more, by default."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cotenant.datasets.splits.runs import Runs
from cotenant.datasets.splits.way import Split, by_run
from cotenant.models.errors import UserError


@dataclass(frozen=True)
class Way:
    """By executions in flight.

    Attributes:
        train_most: The most of a run in `train`.
    """

    train_most: int = 2

    def splits(self, runs: Runs) -> Sequence[Split]:
        """Return one split."""
        if self.train_most < 1:
            raise UserError(f"{self.train_most} executions at once is no limit; give a whole number from 1")
        rule = by_run(lambda run: "train" if run.concurrency <= self.train_most else "test")
        return [Split("", rule, ("train", "test"))]

    def options(self) -> Mapping[str, Any]:
        """Return what was chosen."""
        return asdict(self)
