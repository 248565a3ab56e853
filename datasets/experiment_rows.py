"""What checks of large tables look at: the rows of one experiment, as arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import LARGE
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.summary import Summary, summarise
from cotenant.datasets.derive.telemetry import Judged, judged
from cotenant.datasets.stored_experiment import stored_experiment

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LARGE_NAMES = tuple(table.name for table in LARGE)


@dataclass(frozen=True)
class ExperimentRows:
    """One experiment's rows of the large tables, as arrays.

    Attributes:
        experiment: Its row of the experiments table.
        large: name -> its rows.
    """

    small: SmallTables
    experiment: dict[str, Any]
    large: Mapping[str, pa.Table]

    @property
    def executions(self) -> pa.Table:
        """Rows of executions."""
        return self.large["executions"]

    @property
    def overlaps(self) -> pa.Table:
        """Rows of overlaps."""
        return self.large["overlaps"]

    @property
    def requests(self) -> pa.Table:
        """Rows of requests."""
        return self.large["requests"]

    @property
    def telemetry(self) -> pa.Table:
        """Rows of telemetry."""
        return self.large["telemetry"]

    def of_executions(self, name: str) -> Ints:
        """Return an integer column of executions; nulls are not allowed."""
        return np.asarray(self.executions[name].to_numpy(), dtype=np.int64)

    def of_overlaps(self, name: str) -> Ints:
        """Return an integer column of overlaps; nulls are not allowed."""
        return np.asarray(self.overlaps[name].to_numpy(), dtype=np.int64)

    @cached_property
    def start_ns(self) -> Ints:
        """Starts of executions."""
        return self.of_executions("start_ns")

    @cached_property
    def end_ns(self) -> Ints:
        """Ends of executions."""
        return self.of_executions("end_ns")

    @cached_property
    def owner(self) -> Ints:
        """Each interval's execution, which is its position: execution_id counts 0, 1, 2 ..."""
        return self.of_overlaps("execution_id")

    @cached_property
    def from_ns(self) -> Ints:
        """Starts of intervals."""
        return self.of_overlaps("start_ns")

    @cached_property
    def to_ns(self) -> Ints:
        """Ends of intervals."""
        return self.of_overlaps("end_ns")

    @cached_property
    def co_length(self) -> Ints:
        """How many others each interval lists."""
        return np.asarray(pc.list_value_length(self.overlaps["co_execution_ids"]).to_numpy(), dtype=np.int64)

    @cached_property
    def co_ids(self) -> Ints:
        """All lists of others, one after the other."""
        return np.asarray(pc.list_flatten(self.overlaps["co_execution_ids"]).to_numpy(), dtype=np.int64)

    @cached_property
    def co_row(self) -> Ints:
        """The interval that each entry of `co_ids` belongs to."""
        return np.repeat(np.arange(len(self.co_length)), self.co_length)

    @cached_property
    def same_owner(self) -> Flags:
        """Whether interval r + 1 is of the same execution as interval r."""
        return np.equal(self.owner[1:], self.owner[:-1])

    @cached_property
    def blocks(self) -> list[dict[str, Any]]:
        """The experiment's blocks."""
        return self.small.blocks.get(self.experiment["experiment_id"], [])

    @cached_property
    def ran_alone(self) -> Flags:
        """Which executions nobody ran beside."""
        beside = np.zeros(self.executions.num_rows, dtype=bool)
        beside[self.owner[self.co_length > 0]] = True
        return ~beside

    @property
    def slowdowns(self) -> list[dict[str, Any]]:
        """The experiment's slowdowns."""
        return self.small.slowdowns.get(self.experiment["experiment_id"], [])

    @cached_property
    def measured(self) -> Measured:
        """The experiment as the derivation sees it; ValueError where its tenants do not fit."""
        thresholds = self.small.thresholds[self.experiment["experiment_id"]]
        device = self.small.devices[self.experiment["device_id"]]
        return stored_experiment(
            self.experiment, thresholds, device, self.small.engines, self.blocks, self.slowdowns, self.executions
        )

    @cached_property
    def judged(self) -> Judged:
        """What gates find against its stored samples and executions."""
        return judged(self.measured, self.telemetry)

    @cached_property
    def summary(self) -> Summary:
        """What the small tables need of it, derived from the stored rows."""
        return summarise(self.measured)

    def words(self, name: str) -> NDArray[np.object_]:
        """Return a word column of executions."""
        return np.asarray(self.executions[name].cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)

    @cached_property
    def engine_index(self) -> Ints:
        """Each execution's engine as its place among the deployed ones; -1 where it is none of them."""
        return self.engine_places(self.executions["engine_id"])

    def engine_places(self, words: pa.ChunkedArray) -> Ints:
        """Return the place of each engine id among the distinct deployed ones."""
        known = pa.array(sorted(set(self.experiment["deployed_engine_ids"])), pa.string())
        return np.asarray(
            pc.index_in(words.cast(pa.string()), value_set=known).fill_null(-1).to_numpy(), dtype=np.int64
        )


def some(wrong: Flags, what: str) -> Iterator[str]:
    """Yield one message if any row is wrong: how many are, and the first."""
    places = np.flatnonzero(wrong)
    if len(places):
        yield f"{what} in {len(places)} rows, the first is row {places[0]}"


def has_mark(table: pa.Table, mark: str) -> Flags:
    """Tell which rows of a table with `marks` have one."""
    found = np.zeros(table.num_rows, dtype=bool)
    row = np.repeat(np.arange(table.num_rows), mark_count(table))
    words = pc.list_flatten(table["marks"]).cast(pa.string())
    found[row[np.asarray(pc.equal(words, mark).to_numpy(), dtype=bool)]] = True
    return found


def mark_count(table: pa.Table) -> Ints:
    """Return how many marks each row has."""
    return np.asarray(pc.list_value_length(table["marks"]).to_numpy(), dtype=np.int64)
