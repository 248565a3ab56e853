"""Whole experiments on one side each, kind by kind: no execution has a neighbour on the other side."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cotenant.datasets.splits.chance import of_run
from cotenant.datasets.splits.runs import RunFacts, Runs
from cotenant.datasets.splits.way import Split, by_run, checked_ratio


@dataclass(frozen=True)
class Way:
    """Each experiment as a whole.

    Attributes:
        train_ratio: Part of the experiments of each kind in `train`, as nearly as whole ones allow; where a kind has
            two or more, each side has one.
    """

    seed: int = 0
    train_ratio: float = 0.75

    def splits(self, runs: Runs) -> Sequence[Split]:
        """Return one split."""
        checked_ratio(self.train_ratio)
        by_kind: dict[str, list[RunFacts]] = {}
        for run in runs.by_id.values():
            by_kind.setdefault(run.kind, []).append(run)
        training = {run.experiment_id for own in by_kind.values() for run in self._training(own)}
        rule = by_run(lambda run: "train" if run.experiment_id in training else "test")
        return [Split("", rule, ("train", "test"))]

    def options(self) -> Mapping[str, Any]:
        """Return what was chosen."""
        return asdict(self)

    def _training(self, runs: list[RunFacts]) -> list[RunFacts]:
        drawn = sorted(runs, key=lambda run: (of_run(self.seed, run.experiment_id), run.experiment_id))
        count = int(self.train_ratio * len(runs) + 0.5)
        return drawn[: min(max(count, 1), max(len(runs) - 1, 1))]
