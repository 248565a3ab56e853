"""The table `telemetry`: one row per sample."""

from cotenant.datasets import words
from cotenant.datasets.column import (
    F64,
    I64,
    ROW_KEYS,
    WORDS,
    Column,
    Table,
    clock,
    count,
    index,
    percent,
    time_ns,
)

TELEMETRY = Table(
    "telemetry",
    "sample",
    ("experiment_id", "sample_index"),
    (
        *ROW_KEYS,
        index("sample_index", "0, 1 ... by time"),
        time_ns("t_ns", "When it was taken, on the clock of the executions", low=None),
        clock("sm_clock_mhz", "Clock of the compute units; of a processor, that of its lanes' cores"),
        clock("memory_clock_mhz", "Clock of the memory"),
        Column("power_mw", I64, "mW", "Power drawn", True, low=0),
        Column("power_limit_mw", I64, "mW", "Power that it is held to", True, low=0),
        Column("temperature_c", F64, "C", "Temperature", True),
        Column("temperature_margin_c", F64, "C", "How far it was from slowing down for its temperature", True),
        Column("throttle_mask", I64, "", "Why the clock is not higher, as the bits of NVML's event reasons", True),
        percent("utilization_pct", "Part of the time in which the device did anything, as the driver tells it"),
        count("foreign_process_count", "Other programs that compute on the device", True),
        Column("load_average_count", F64, "count", "Processes that wanted to run, over a minute", True, low=0),
        percent("steal_pct", "Part of all cores' time since the sample before that other guests of the host took"),
        percent("foreign_cpu_pct", "Part of all cores' time since the sample before that other programs took"),
        time_ns("quota_throttled_ns", "Time since the sample before in which a quota held us back", True),
        time_ns("sample_ns", "What taking the sample took"),
        Column("marks", WORDS, "", "What it says of the time since the sample before it", words=words.GATE_MARKS),
    ),
    large=True,
)
