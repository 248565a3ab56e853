"""The paper's sets: training models, the same under other loads, unseen models, and both together.

    models of a run    all of training          none of training    some of each
    at a training load train                    test2               test3
    at another load    test1                    test2               test3

Which runs are which is said by names of models and loads, or by the word that runs carry as their `condition`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.datasets.splits.runs import RunFacts, Runs
from cotenant.datasets.splits.way import Split, by_run, known_models
from cotenant.models.errors import UserError

SETS = ("train", "test1", "test2", "test3")
UNASSIGNED = "unassigned"
SAME_LOAD = 1e-9  # relative: a load is written in decimals and stored in binary


@dataclass(frozen=True)
class Way:
    """By the set of deployed models.

    Attributes:
        train_models: Models of the training set; none = the runs' conditions say it.
        train_loads: Offered loads of the training set; none = all, so that there is no test1.
    """

    train_models: tuple[str, ...] = ()
    train_loads: tuple[float, ...] = ()

    def splits(self, runs: Runs) -> Sequence[Split]:
        """Return one split; UserError where its sets leak."""
        if self.train_models:
            training = known_models(self.train_models, runs)
            _refuse_unknown_loads(self.train_loads, runs)
            part_of = {run.experiment_id: self._part(run, training) for run in runs.by_id.values()}
        else:
            part_of = self._by_condition(runs)
        for fault in set_leaks(runs, part_of):
            raise UserError(f"{fault}; mend the runs' `condition`, or say the sets with --train-model")
        rule = by_run(lambda run: part_of[run.experiment_id])
        return [Split("", rule, ("train",))]

    def options(self) -> Mapping[str, Any]:
        """Return what was chosen."""
        return {"train_models": list(self.train_models), "train_loads": list(self.train_loads)}

    def _part(self, run: RunFacts, training: frozenset[str]) -> str:
        if not run.models:
            return UNASSIGNED
        if not run.models & training:
            return "test2"
        if run.models - training:
            return "test3"
        if not self.train_loads:
            return "train"
        if run.offered_load is None:  # a closed loop is neither at a training load nor at another
            return UNASSIGNED
        return "train" if _among(run.offered_load, self.train_loads) else "test1"

    def _by_condition(self, runs: Runs) -> dict[str, str]:
        if self.train_loads:
            raise UserError("--train-load needs --train-model: without it the runs' conditions say which set they are")
        found = {id_: run.condition if run.condition in SETS else UNASSIGNED for id_, run in runs.by_id.items()}
        if "train" not in found.values():
            raise UserError(
                f"no run has the condition `train` (sets are {', '.join(SETS)}); name the training models with "
                f"--train-model, of: {', '.join(runs.models) or 'none'}"
            )
        return {id_: str(part) for id_, part in found.items()}


def set_leaks(runs: Runs, part_of: Mapping[str, str]) -> list[str]:
    """Return what contradicts the sets: unseen models that were seen, other loads that are of other models."""
    trained = {model for id_, run in runs.by_id.items() if part_of[id_] == "train" for model in run.models}
    faults = []
    for id_, run in sorted(runs.by_id.items()):
        seen, unseen = sorted(run.models & trained), sorted(run.models - trained)
        if part_of[id_] == "test2" and seen:
            faults.append(f"run {id_} of test2 deployed {', '.join(seen)}, which training runs deployed too")
        if part_of[id_] == "test1" and unseen:
            faults.append(f"run {id_} of test1 deployed {', '.join(unseen)}, which no training run deployed")
    return faults


def _among(load: float, loads: Sequence[float]) -> bool:
    return any(abs(load - other) <= SAME_LOAD * abs(other) for other in loads)


def _refuse_unknown_loads(loads: Sequence[float], runs: Runs) -> None:
    there = sorted({run.offered_load for run in runs.by_id.values() if run.offered_load is not None})
    for load in loads:
        if not _among(load, there):
            told = ", ".join(f"{each:g}" for each in there) or "none: all runs are closed loops"
            raise UserError(f"no run has an offered load of {load:g}; loads are: {told}")
