"""Rows of the overlaps table for one experiment."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from cotenant.datasets.columns import OVERLAPS
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.word_arrays import constant, lists, word_lists
from cotenant.datasets.overlap import OverlapIntervals
from cotenant.datasets.schema import arrow_schema

PIECE_ROWS = 1 << 18  # half a row group; with lists of eight others a piece stays below 100 MB


def overlap_tables(measured: Measured, overlaps: OverlapIntervals) -> Iterator[pa.Table]:
    """Yield an experiment's overlap intervals piece by piece, in order; there is at least one piece."""
    for first in range(0, max(1, len(overlaps)), PIECE_ROWS):
        yield _piece(measured, overlaps, slice(first, min(first + PIECE_ROWS, len(overlaps))))


def overlap_table(measured: Measured, overlaps: OverlapIntervals) -> pa.Table:
    """Return an experiment's overlap intervals; execution ids are positions, as the raw file numbers them."""
    return _piece(measured, overlaps, slice(0, len(overlaps)))


def _piece(measured: Measured, overlaps: OverlapIntervals, rows: slice) -> pa.Table:
    execution = overlaps.execution_index[rows]
    count = len(execution)
    duration_ns = overlaps.end_ns[rows] - overlaps.start_ns[rows]
    begin, end = overlaps.co_offsets[rows.start], overlaps.co_offsets[rows.stop]
    offsets = overlaps.co_offsets[rows.start : rows.stop + 1] - begin
    others = overlaps.co_index[begin:end]
    columns = {
        "experiment_id": constant(measured.experiment_id, count),
        "device_id": constant(measured.device_id, count),
        "kind": constant(measured.kind, count),
        "execution_id": execution,
        "interval_index": overlaps.interval_index[rows],
        "start_ns": overlaps.start_ns[rows],
        "end_ns": overlaps.end_ns[rows],
        "duration_ns": duration_ns,
        "fraction": duration_ns / (measured.end_ns - measured.start_ns)[execution],
        "co_count": overlaps.co_count[rows],
        "co_execution_ids": lists(offsets, pa.array(others)),
        "co_engine_ids": word_lists(offsets, measured.engine_index[others], measured.engine_ids),
        "below_clock_error": np.asarray(duration_ns < measured.metadata["clock_error_ns"]),
    }
    schema = arrow_schema(OVERLAPS)
    return pa.Table.from_arrays([pa.array(columns[f.name]).cast(f.type) for f in schema], schema=schema)
