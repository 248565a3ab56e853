"""Rows of the overlaps table for one experiment."""

import numpy as np
import pyarrow as pa

from cotenant.datasets.columns import OVERLAPS
from cotenant.datasets.derive.executions import constant, word_lists
from cotenant.datasets.derive.measured import Measured, codes
from cotenant.datasets.overlap import OverlapIntervals
from cotenant.datasets.schema import arrow_schema


def overlap_table(measured: Measured, overlaps: OverlapIntervals) -> pa.Table:
    """Return an experiment's overlap intervals; execution ids are positions, as the raw file numbers them."""
    count = len(overlaps)
    engine_ids = [engine["engine_id"] for engine in measured.metadata["engines"]]
    engine_index = codes(measured.executions["engine_id"], engine_ids)
    duration_ns = overlaps.end_ns - overlaps.start_ns
    span_ns = (measured.end_ns - measured.start_ns)[overlaps.execution_index]
    offsets = pa.array(overlaps.co_offsets, pa.int32())
    columns = {
        "experiment_id": constant(measured.experiment_id, count),
        "device_id": constant(measured.device_id, count),
        "kind": constant(measured.kind, count),
        "execution_id": overlaps.execution_index,
        "interval_index": overlaps.interval_index,
        "start_ns": overlaps.start_ns,
        "end_ns": overlaps.end_ns,
        "duration_ns": duration_ns,
        "fraction": duration_ns / span_ns,
        "co_count": overlaps.co_count,
        "co_execution_ids": pa.ListArray.from_arrays(offsets, pa.array(overlaps.co_index)),
        "co_engine_ids": word_lists(overlaps.co_offsets, engine_index[overlaps.co_index], engine_ids),
        "below_clock_error": np.asarray(duration_ns < measured.metadata["clock_error_ns"]),
    }
    schema = arrow_schema(OVERLAPS)
    return pa.Table.from_arrays([pa.array(columns[f.name]).cast(f.type) for f in schema], schema=schema)
