"""The table `throughputs`: one row per engine x device x counter_source x counter_set."""

from cotenant.datasets import words
from cotenant.datasets.column import (
    DEVICE,
    ENGINE,
    F64,
    I32,
    NULLS,
    Column,
    Table,
    count,
    one_of,
    percent,
    rate,
    text,
    time_ns,
)

THROUGHPUTS = Table(
    "throughputs",
    "engine x device x counter_source x counter_set",
    ("engine_id", "device_id", "counter_source", "counter_set"),
    (
        ENGINE,
        DEVICE,
        one_of("counter_source", words.COUNTER_SOURCES, "Where the numbers come from"),
        text("counter_set", "Which counters were read together"),
        one_of("aggregation", words.AGGREGATIONS, "How one number was made of many"),
        text("isolation", "Isolation of the solo profile whose median span was used", True),
        percent("sm_pct", "Compute throughput of the peak"),
        percent("l2_pct", "L2 (CPU: cache) throughput of the peak"),
        percent("dram_pct", "Memory throughput of the peak"),
        percent("memory_pct", "Nsight Compute's Memory [%], a maximum over memory units"),
        percent("tensor_pct", "Tensor pipe throughput of the peak"),
        percent("occupancy_pct", "Achieved occupancy"),
        rate("flop_per_s", "flop/s", "Floating-point operations per second of solo span"),
        rate("l2_bytes_per_s", "bytes/s", "L2 (CPU: cache) traffic per second of solo span"),
        rate("dram_bytes_per_s", "bytes/s", "Memory traffic per second of solo span"),
        time_ns("busy_ns", "Time covered by kernels", True),
        count("kernel_count", "Kernels of one execution", True, I32),
        count("replay_passes", "Passes the profiler replayed", True, I32),
        Column("sm_clock_mhz", F64, "MHz", "Compute clock while profiling", True, low=0),
        Column("memory_clock_mhz", F64, "MHz", "Memory clock while profiling", True, low=0),
        NULLS,
    ),
)
