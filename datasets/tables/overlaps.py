"""The table `overlaps`: one row per overlap interval."""

from cotenant.datasets.column import F64, I32, I64, IDS, ROW_KEYS, WORDS, Column, Table, count, flag, index, time_ns

OVERLAPS = Table(
    "overlaps",
    "overlap interval",
    ("experiment_id", "execution_id", "interval_index"),
    (
        *ROW_KEYS,
        index("execution_id", "Execution within the experiment", kind=I64),
        index("interval_index", "0, 1 ... within the execution"),
        time_ns("start_ns", "Start, included", low=None),
        time_ns("end_ns", "End, excluded", low=None),
        Column("duration_ns", I64, "ns", "end_ns - start_ns", low=1),
        Column("fraction", F64, "ratio", "duration_ns over the execution's span", low=0, high=1),
        count("co_count", "Others that ran throughout", kind=I32),
        Column("co_execution_ids", IDS, "", "They, rising"),
        Column("co_engine_ids", WORDS, "", "Their engines, in the same order", refers_to="engines.engine_id"),
        flag("below_clock_error", "Whether it is shorter than the experiment's clock_error_ns"),
    ),
    large=True,
)
