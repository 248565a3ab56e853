"""What ways of splitting know of a run: the models it deployed, its load and how many run at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cotenant.datasets.features.counters import PROBE_PREFIX
from cotenant.datasets.read import read_table
from cotenant.models.digest import sha256_of

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RunFacts:
    """One experiment.

    Attributes:
        models: The networks it deployed, idle ones included; probes are not among them.
        offered_load: None in closed loops.
        concurrency: Executions in flight at most.
        failed: Whether it is not what it claims.
    """

    experiment_id: str
    kind: str
    models: frozenset[str]
    condition: str | None
    offered_load: float | None
    concurrency: int
    failed: bool


class Runs:
    """All experiments of a dataset; raises as `read_table`."""

    def __init__(self, dataset: Path) -> None:
        self.engines: dict[str, Row] = {row["engine_id"]: row for row in read_table(dataset, "engines").to_pylist()}
        together = _together(read_table(dataset, "blocks").to_pylist())
        self.by_id = {
            row["experiment_id"]: RunFacts(
                experiment_id=row["experiment_id"],
                kind=row["kind"],
                models=frozenset(name for name in row["deployed_models"] if not name.startswith(PROBE_PREFIX)),
                condition=row["condition"],
                offered_load=row["offered_load"],
                concurrency=row["concurrency"] or min(row["lanes"], together.get(row["experiment_id"], 1)),
                failed=row["verdict"] == "failed",
            )
            for row in read_table(dataset, "experiments").to_pylist()
        }

    @cached_property
    def models(self) -> list[str]:
        """The networks that any run deployed, sorted."""
        return sorted({model for run in self.by_id.values() for model in run.models})

    @cached_property
    def sha256(self) -> str:
        """A digest of what decides parts beside the executions' keys."""
        runs = [
            [
                run.experiment_id,
                run.kind,
                sorted(run.models),
                run.condition,
                run.offered_load,
                run.concurrency,
                run.failed,
            ]
            for run in sorted(self.by_id.values(), key=lambda run: run.experiment_id)
        ]
        return sha256_of({"runs": runs, "models": {id_: row["model"] for id_, row in self.engines.items()}})


def _together(blocks: list[dict[str, Any]]) -> dict[str, int]:
    """Return experiment -> the most tenants in one block; those of an arm in turns run one at a time."""
    most: dict[str, int] = {}
    for row in blocks:
        count = 1 if row["arm"] == "sequential" else len(row["tenants"])
        most[row["experiment_id"]] = max(count, most.get(row["experiment_id"], 1))
    return most
