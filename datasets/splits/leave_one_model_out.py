"""For each model a split that is judged on it, trained on runs that never deployed it.

Rows of other models in its runs are `beside`: their co-runner is the left-out model, so they may not train, and they
themselves are of models that training knows, so they do not test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.splits.runs import RunFacts, Runs
from cotenant.datasets.splits.way import Codes, Rule, Split, code, known_models
from cotenant.models.errors import UserError


@dataclass(frozen=True)
class Way:
    """By the model of an execution and the models deployed beside it.

    Attributes:
        models: Those to leave out, one split each; all by default.
    """

    models: tuple[str, ...] = field(default=())

    def splits(self, runs: Runs) -> Sequence[Split]:
        """Return a split for each model, by name."""
        chosen = sorted(known_models(self.models, runs) or runs.models)
        if len(runs.models) < 2:
            raise UserError(f"the dataset has {len(runs.models)} models; leaving one out needs at least 2")
        least = ("train", "test") if self.models else ()
        return [Split(model, _rule(model, runs), least, False) for model in chosen]

    def options(self) -> Mapping[str, Any]:
        """Return what was chosen."""
        return {"models": list(self.models)}


def _rule(model: str, runs: Runs) -> Rule:
    own = pa.array(sorted(id_ for id_, row in runs.engines.items() if row["model"] == model), pa.string())
    return partial(_parts, model, own)


def _parts(model: str, own: pa.Array, run: RunFacts, rows: pa.Table) -> Codes:
    if model not in run.models:
        return np.full(rows.num_rows, code("train"), dtype=np.int8)
    is_own = np.asarray(pc.is_in(rows["engine_id"].cast(pa.string()), own).to_numpy(), dtype=bool)
    return np.where(is_own, code("test"), code("beside")).astype(np.int8)
