"""What lies beside an experiment's executions: requests and dispatches of serving, kernels of engines.

The dispatches of a batch are what its dispatcher knew, right after the batch had left its queue.
"""

import pyarrow as pa

WORD = pa.dictionary(pa.int32(), pa.string())
WORDS = pa.list_(pa.field("element", WORD, nullable=False))
IDS = pa.list_(pa.field("element", pa.int64(), nullable=False))

RAW_REQUESTS = pa.schema(
    [
        pa.field("request_id", pa.int64(), nullable=False),
        pa.field("tenant", WORD, nullable=False),
        pa.field("model", WORD, nullable=False),
        pa.field("intended_arrival_ns", pa.int64(), nullable=False),
        pa.field("batched_ns", pa.int64()),
        pa.field("execution_id", pa.int64()),
        pa.field("done_ns", pa.int64()),
        pa.field("latency_ns", pa.int64()),
        pa.field("blocked_ns", pa.int64()),
        pa.field("deadline_ns", pa.int64()),
        pa.field("outcome", WORD, nullable=False),
        pa.field("marks", WORDS, nullable=False),
    ]
)
RAW_DISPATCHES = pa.schema(
    [
        pa.field("execution_id", pa.int64(), nullable=False),
        pa.field("batched_ns", pa.int64(), nullable=False),
        pa.field("co_execution_ids", IDS, nullable=False),
        pa.field("remaining_solo_ns", IDS, nullable=False),
        pa.field("queued_count", pa.list_(pa.field("element", pa.int32(), nullable=False)), nullable=False),
        pa.field("queue_age_ns", pa.list_(pa.field("element", pa.int64())), nullable=False),
        pa.field("arrival_rate_per_s", pa.list_(pa.field("element", pa.float64())), nullable=False),
    ]
)
RAW_KERNELS = pa.schema(
    [
        pa.field("engine_id", WORD, nullable=False),
        pa.field("counter_source", WORD, nullable=False),
        pa.field("counter_set", WORD, nullable=False),
        pa.field("kernel_index", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("duration_ns", pa.int64(), nullable=False),
        pa.field("grid", pa.string()),
        pa.field("block", pa.string()),
        pa.field("sm_pct", pa.float64()),
        pa.field("l2_pct", pa.float64()),
        pa.field("dram_pct", pa.float64()),
        pa.field("memory_pct", pa.float64()),
        pa.field("tensor_pct", pa.float64()),
        pa.field("occupancy_pct", pa.float64()),
    ]
)
RAW_TELEMETRY = pa.schema(
    [
        pa.field("sample_index", pa.int32(), nullable=False),
        pa.field("t_ns", pa.int64(), nullable=False),
        pa.field("sm_clock_mhz", pa.int32()),
        pa.field("memory_clock_mhz", pa.int32()),
        pa.field("power_mw", pa.int64()),
        pa.field("power_limit_mw", pa.int64()),
        pa.field("temperature_c", pa.int32()),
        pa.field("temperature_margin_c", pa.int32()),
        pa.field("throttle_mask", pa.int64()),
        pa.field("utilization_pct", pa.float64()),
        pa.field("foreign_process_count", pa.int32()),
        pa.field("load_average_count", pa.float64()),
        pa.field("steal_pct", pa.float64()),
        pa.field("foreign_cpu_pct", pa.float64()),
        pa.field("quota_throttled_ns", pa.int64()),
        pa.field("sample_ns", pa.int64(), nullable=False),
    ]
)
SCHEMAS = {"requests": RAW_REQUESTS, "dispatches": RAW_DISPATCHES, "kernels": RAW_KERNELS, "telemetry": RAW_TELEMETRY}
