"""Marks of samples and of executions follow from telemetry and from the thresholds in force."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, Flags, has_mark, mark_count, some
from cotenant.datasets.words import GATE_MARKS


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Apply the gates again."""
    cold = has_mark(rows.executions, "cold")  # another check says whether it is right
    found = rows.judged
    yield from (("telemetry", fault) for fault in _faults(rows.telemetry, found.samples))
    yield from (("executions", fault) for fault in _faults(rows.executions, {**found.executions, "cold": cold}))


def _faults(table: pa.Table, marks: Mapping[str, Flags]) -> Iterator[str]:
    none = np.zeros(table.num_rows, dtype=bool)
    for word in GATE_MARKS:
        wrong = has_mark(table, word) != marks.get(word, none)
        yield from some(wrong, f"the mark `{word}` does not follow from telemetry")
    count = np.sum([none, *marks.values()], axis=0, dtype=np.int64)
    yield from some(mark_count(table) != count, "marks has a word twice, or another")
    words = np.array(pc.list_flatten(table["marks"]).cast(pa.string()).to_pylist(), dtype=str)
    row = np.repeat(np.arange(table.num_rows), mark_count(table))
    yield from some((row[1:] == row[:-1]) & (words[1:] < words[:-1]), "marks are not sorted")


CHECK = ExperimentCheck("gates", run)
