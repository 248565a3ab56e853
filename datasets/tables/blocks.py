"""The table `blocks`: one row per experiment x block."""

from cotenant.datasets import words
from cotenant.datasets.column import (
    IDS,
    NULLS,
    ROW_KEYS,
    WORDS,
    Column,
    Table,
    clock,
    count,
    index,
    one_of,
    ratio,
    time_ns,
)

BLOCKS = Table(
    "blocks",
    "experiment x block",
    ("experiment_id", "block_index"),
    (
        *ROW_KEYS,
        index("block_index", "0, 1 ... by time"),
        index("quad_index", "Quad it belongs to", True),
        one_of("arm", words.meanings(words.ARMS), "What ran"),
        Column("tenants", WORDS, "", "Tenants that run in it, sorted"),
        time_ns("window_start_ns", "When the lead-in was over: what began from here on counts", low=None),
        time_ns("window_end_ns", "When the window closed: what began before counts", low=None),
        time_ns("window_ns", "Length of the window"),
        Column("offsets_ns", IDS, "ns", "Delay of each tenant after the start, in order of `tenants`", True, low=0),
        ratio("concurrency_gain_ratio", "Solo time's worth of work done per time of the window"),
        clock("sm_clock_mhz", "Mean clock of the samples in its window, else in those of blocks that run the same"),
        count("execution_count", "Executions of the block"),
        NULLS,
    ),
)
