"""What a split amounts to, counted as its rows pass: rows and runs of each part, and neighbours on both sides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.splits.runs import RunFacts
from cotenant.datasets.splits.way import PART_NAMES, Codes, code
from cotenant.datasets.tables.splits import USED_PARTS

USED = np.array([code(part) for part in USED_PARTS])
READ = ["experiment_id", "execution_id", "engine_id", "role", "censored", "co_censored"]


def training_rows(run: RunFacts, rows: pa.Table) -> NDArray[np.bool_]:
    """Tell which rows the default filter keeps: main, uncut, beside uncut ones, of a run that did not fail."""
    if run.failed:
        return np.zeros(rows.num_rows, dtype=bool)
    kept = np.ones(rows.num_rows, dtype=bool)
    for name, word in (("role", "main"), ("censored", "none"), ("co_censored", "none")):
        kept &= np.asarray(pc.equal(rows[name].cast(pa.string()), word).to_numpy(), dtype=bool)
    return kept


@dataclass
class Tally:
    """Counts of one split; of training rows (the default filter) where it says so.

    Attributes:
        neighbour_count: Training rows whose predecessor in the same run is a training row on another side.
        shared_run_count: Runs with training rows on several sides.
    """

    split: str
    row_counts: Any = field(default_factory=lambda: np.zeros(len(PART_NAMES), dtype=np.int64))
    training_row_counts: Any = field(default_factory=lambda: np.zeros(len(PART_NAMES), dtype=np.int64))
    run_counts: Any = field(default_factory=lambda: np.zeros(len(PART_NAMES), dtype=np.int64))
    neighbour_count: int = 0
    shared_run_count: int = 0
    _run: str = ""
    _last: int = -1
    _sides: set[int] = field(default_factory=set)

    def add(self, run: RunFacts, parts: Codes, training: NDArray[np.bool_]) -> None:
        """Count some rows of a run; a run's rows come in order, one piece after the other."""
        if run.experiment_id != self._run:
            self.close()
            self._run = run.experiment_id
        self.row_counts += np.bincount(parts, minlength=len(PART_NAMES))
        kept = parts[training]
        self.training_row_counts += np.bincount(kept, minlength=len(PART_NAMES))
        used = kept[np.isin(kept, USED)]
        if len(used):
            chain = used if self._last < 0 else np.append(np.int8(self._last), used)
            self.neighbour_count += int(np.count_nonzero(chain[1:] != chain[:-1]))
            self._last = int(used[-1])
        self._sides.update(int(part) for part in np.unique(kept))

    def close(self) -> None:
        """End the last run."""
        for part in self._sides:
            self.run_counts[part] += 1
        self.shared_run_count += len(self._sides & set(USED.tolist())) > 1
        self._last, self._sides = -1, set()

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as JSON holds it; parts without rows are left out."""
        parts = {
            part: {
                "row_count": int(self.row_counts[place]),
                "training_row_count": int(self.training_row_counts[place]),
                "training_run_count": int(self.run_counts[place]),
            }
            for place, part in enumerate(PART_NAMES)
            if self.row_counts[place]
        }
        return {
            "split": self.split,
            "parts": parts,
            "neighbour_count": self.neighbour_count,
            "shared_run_count": int(self.shared_run_count),
        }
