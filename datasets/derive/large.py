"""The large tables, written experiment by experiment, so that memory holds one of them at a time."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from cotenant.datasets.columns import EXECUTIONS, LARGE, OVERLAPS, REQUESTS, TELEMETRY
from cotenant.datasets.derive import executions, requests, telemetry
from cotenant.datasets.derive.experiments import Written
from cotenant.datasets.derive.lone import lone_slowdown, ran_alone
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.overlaps import overlap_tables
from cotenant.datasets.derive.siblings import open_sibling
from cotenant.datasets.overlap import overlap_intervals
from cotenant.datasets.raw import RawDamagedError
from cotenant.datasets.solo import SoloProfiles
from cotenant.datasets.table_writer import TableWriter


class LargeTables:
    """Writers of all large tables; experiments come in the order of their ids."""

    def __init__(self, dataset: Path) -> None:
        self._open = ExitStack()
        self._writers = {table.name: self._open.enter_context(TableWriter(dataset, table)) for table in LARGE}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, traceback)

    def write(self, path: Path, measured: Measured, profiles: SoloProfiles) -> Written:
        """Derive and write an experiment's rows of all large tables.

        Args:
            path: Its raw file, beside which its siblings lie.

        Raises:
            RawDamagedError: What it holds does not fit together.
        """
        try:
            return self._write(path, measured, profiles)
        except ValueError as error:  # words and ids that do not fit; what Arrow says of values is among them
            raise RawDamagedError(path, f"does not hold together: {error}") from error

    def _write(self, path: Path, measured: Measured, profiles: SoloProfiles) -> Written:
        dispatches = open_sibling(path, measured, "dispatches")
        if dispatches is not None:
            _check_dispatches(measured, dispatches)
        intervals = overlap_intervals(measured.start_ns, measured.end_ns)
        samples = open_sibling(path, measured, TELEMETRY.name)
        samples = None if samples is None else telemetry.in_order(samples)
        found = telemetry.judged(measured, samples)
        rows = executions.execution_table(measured, intervals, profiles, found.executions, dispatches)
        self._writers[EXECUTIONS.name].write(rows)
        reasons = _named(EXECUTIONS.name, executions.null_reasons(measured, rows, profiles, dispatches))
        for piece in overlap_tables(measured, intervals):
            self._writers[OVERLAPS.name].write(piece)
        counts = {EXECUTIONS.name: rows.num_rows, OVERLAPS.name: len(intervals), REQUESTS.name: 0, TELEMETRY.name: 0}
        arrived = open_sibling(path, measured, REQUESTS.name)
        if arrived is not None:
            asked = requests.request_table(measured, arrived)
            self._writers[REQUESTS.name].write(asked)
            counts[REQUESTS.name] = asked.num_rows
            reasons |= _named(REQUESTS.name, requests.null_reasons(asked))
        if samples is not None:
            sampled = telemetry.telemetry_table(measured, samples, found.samples)
            self._writers[TELEMETRY.name].write(sampled)
            counts[TELEMETRY.name] = sampled.num_rows
            reasons |= _named(TELEMETRY.name, telemetry.null_reasons(sampled, measured.metadata["device"]["kind"]))
        lone = lone_slowdown(measured, ran_alone(measured, intervals), profiles)
        return Written(counts, lone, reasons, found.words, found.watched_ratio)


def _named(table: str, reasons: dict[str, str]) -> dict[str, str]:
    return {f"{table}.{column}": reason for column, reason in reasons.items()}


def _check_dispatches(measured: Measured, dispatches: pa.Table) -> None:
    """Refuse dispatches that are not those of the executions in open-loop blocks, one each."""
    is_open = np.array([arm.open_loop for arm in measured.arms])
    own = np.flatnonzero(is_open[measured.block_index])
    if not np.array_equal(np.sort(dispatches["execution_id"].to_numpy()), own):
        raise ValueError("its dispatches are not those of its executions, one each")
