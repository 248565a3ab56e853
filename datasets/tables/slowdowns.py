"""The table `slowdowns`: one row per experiment x tenant."""

from cotenant.datasets import words
from cotenant.datasets.column import (
    ENGINE,
    I16,
    I32,
    NULLS,
    ROW_KEYS,
    WORDS,
    Column,
    Table,
    bounded_ratio,
    count,
    flag,
    one_of,
    ratio,
    text,
    time_ns,
)

SLOWDOWNS = Table(
    "slowdowns",
    "experiment x tenant",
    ("experiment_id", "tenant"),
    (
        *ROW_KEYS,
        text("tenant", "Name within the experiment"),
        Column("lane", I16, "", "Lane it ran on", low=0),
        ENGINE,
        Column(
            "co_engine_ids",
            WORDS,
            "",
            "Engines of the tenants on other lanes, in tenant order",
            refers_to="engines.engine_id",
        ),
        *bounded_ratio("slowdown", "Median span beside the others over median span alone, by quads"),
        *bounded_ratio("p95", "95th percentile of span beside the others over alone"),
        *bounded_ratio("cpu", "Median CPU time beside the others over alone, by quads"),
        *bounded_ratio("cycle", "The same of spans in clock cycles: without what a changed clock did"),
        time_ns("solo_p50_ns", "Median span alone in this experiment", True),
        time_ns("co_run_p50_ns", "Median span beside the others", True),
        count("quad_count", "Quads behind the slowdown", kind=I32),
        count("sample_count", "Executions that count beside the others"),
        count("solo_sample_count", "Executions that count alone"),
        one_of("stop_reason", words.STOP_REASONS, "Why no more quads were run", True),
        ratio("noise_floor_ratio", "The device's noise floor"),
        flag("within_noise", "Whether it cannot be told from none: inside the floor, or its interval holds 1.00", True),
        one_of("source", words.SOURCES, "Whose measurement"),
        NULLS,
    ),
)
