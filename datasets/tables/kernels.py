"""The table `kernels`: one row per engine x device x counter_source x counter_set x kernel."""

from cotenant.datasets import words
from cotenant.datasets.column import (
    DEVICE,
    ENGINE,
    I32,
    NULLS,
    Column,
    Table,
    counter_percent,
    index,
    one_of,
    text,
    time_ns,
)

KERNELS = Table(
    "kernels",
    "engine x device x counter_source x counter_set x kernel",
    ("engine_id", "device_id", "counter_source", "counter_set", "kernel_index"),
    (
        ENGINE,
        DEVICE,
        one_of("counter_source", words.COUNTER_SOURCES, "Where the numbers come from"),
        text("counter_set", "Which counters were read together"),
        index("kernel_index", "0, 1 ... in order of execution"),
        Column("measured_kernel_index", I32, "", "Kernel whose measurement it carries; its own if measured", low=0),
        text("name", "Name of the kernel"),
        time_ns("duration_ns", "How long it runs alone"),
        text("grid", "Blocks of its launch, x,y,z", True),
        text("block", "Threads of each of them, x,y,z", True),
        counter_percent("sm_pct", "Compute throughput of the peak"),
        counter_percent("l2_pct", "L2 throughput of the peak"),
        counter_percent("dram_pct", "Memory throughput of the peak"),
        counter_percent("memory_pct", "Nsight Compute's Memory [%], a maximum over memory units"),
        counter_percent("issue_pct", "Instructions issued of the peak"),
        counter_percent("tensor_pct", "Tensor pipe throughput of the peak"),
        counter_percent("occupancy_pct", "Achieved occupancy"),
        NULLS,
    ),
)
