"""What checks look at: the small tables whole, the large ones experiment by experiment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Finding:
    """One fault: which check found it, in which table, and what it is."""

    check: str
    table: str
    message: str


@dataclass(frozen=True)
class SmallTables:
    """A dataset's small tables as rows.

    Attributes:
        campaign: The campaign folder; None for a dataset on its own.
        tables: name -> table; executions and overlaps are not among them.
    """

    dataset: Path
    campaign: Path | None
    tables: dict[str, pa.Table]

    @cached_property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of each table."""
        return {name: table.to_pylist() for name, table in self.tables.items()}

    @cached_property
    def experiments(self) -> dict[str, dict[str, Any]]:
        """Rows of the experiments table by id."""
        return {row["experiment_id"]: row for row in self.rows["experiments"]}

    @cached_property
    def blocks(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the blocks table by experiment."""
        return _grouped(self.rows["blocks"])

    @cached_property
    def slowdowns(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the slowdowns table by experiment."""
        return _grouped(self.rows["slowdowns"])

    @cached_property
    def profiles(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Rows of the solo_profiles table by engine, device and isolation: back to back on the whole device."""
        return {
            (row["engine_id"], row["device_id"], row["isolation"]): row
            for row in self.rows["solo_profiles"]
            if row["pattern"] == "back_to_back" and row["share_pct"] is None
        }


def _grouped(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["experiment_id"], []).append(row)
    return groups


@dataclass(frozen=True)
class ExperimentRows:
    """One experiment's rows of the large tables, as arrays."""

    small: SmallTables
    experiment: dict[str, Any]
    executions: pa.Table
    overlaps: pa.Table

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


@dataclass(frozen=True)
class DatasetCheck:
    """A check of small tables; yields (table, message)."""

    name: str
    run: Callable[[SmallTables], Iterator[tuple[str, str]]]


@dataclass(frozen=True)
class ExperimentCheck:
    """A check of one experiment's rows; yields (table, message).

    Attributes:
        first: Whether others rely on it: what it finds keeps them from running on this experiment.
    """

    name: str
    run: Callable[[ExperimentRows], Iterator[tuple[str, str]]]
    first: bool = False


def some(wrong: Flags, what: str) -> Iterator[str]:
    """Yield one message if any row is wrong: how many are, and the first."""
    places = np.flatnonzero(wrong)
    if len(places):
        yield f"{what} in {len(places)} rows, the first is row {places[0]}"
