"""Executions at random, 75 to 25 as in the paper: neighbours in time fall on both sides, so scores flatter."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.splits.chance import of_executions
from cotenant.datasets.splits.runs import RunFacts, Runs
from cotenant.datasets.splits.way import Codes, Split, checked_ratio, code


@dataclass(frozen=True)
class Way:
    """Each execution on its own.

    Attributes:
        train_ratio: Chance of an execution to be in `train`.
    """

    seed: int = 0
    train_ratio: float = 0.75

    def splits(self, runs: Runs) -> Sequence[Split]:
        """Return one split."""
        checked_ratio(self.train_ratio)
        return [Split("", self._rule, ("train", "test"), whole_runs=False)]

    def options(self) -> Mapping[str, Any]:
        """Return what was chosen."""
        return asdict(self)

    def _rule(self, run: RunFacts, rows: pa.Table) -> Codes:
        ids = np.asarray(rows["execution_id"].to_numpy(), dtype=np.int64)
        train = of_executions(self.seed, run.experiment_id, ids) < self.train_ratio
        return np.where(train, code("train"), code("test")).astype(np.int8)
