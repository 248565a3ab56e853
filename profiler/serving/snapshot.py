"""The dispatches table of one serving run: what was known at each dispatch, right after its batch left the queue."""

from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.raw_siblings import RAW_DISPATCHES
from cotenant.profiler.serving.log import ServingLog


def dispatches_table(log: ServingLog, first_id: int) -> pa.Table:
    """Return one row per batch, RAW_DISPATCHES; batch i is execution first_id + i."""
    snapshot = log.snapshot
    count = len(log.tenant)
    width = len(snapshot.queued) // max(count, 1)
    running = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.array(snapshot.running_count, np.int64))))
    by_tenant = np.arange(count + 1, dtype=np.int64) * width
    columns = [
        np.arange(count) + first_id,
        np.array(log.batched_ns, np.int64),
        _lists(running, np.array(snapshot.running, np.int64) + first_id, pa.int64()),
        _lists(running, snapshot.remaining_solo_ns, pa.int64()),
        _lists(by_tenant, snapshot.queued, pa.int32()),
        _lists(by_tenant, snapshot.age_ns, pa.int64()),
        _lists(by_tenant, snapshot.rates_per_s, pa.float64()),
    ]
    arrays = [pa.array(each).cast(field.type) for each, field in zip(columns, RAW_DISPATCHES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=RAW_DISPATCHES)


def _lists(offsets: Any, values: Any, kind: pa.DataType) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, kind))
