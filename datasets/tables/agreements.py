"""The table `agreements`: how far two counter sources say the same of one device's engines."""

from cotenant.datasets import words
from cotenant.datasets.column import DEVICE, F64, I32, NULLS, Column, Table, bounded_ratio, count, one_of, text

AGREEMENTS = Table(
    "agreements",
    "device x metric x two counter sources and sets",
    ("device_id", "metric", "counter_source", "counter_set", "other_source", "other_set"),
    (
        DEVICE,
        text("metric", "Column of throughputs"),
        one_of("counter_source", words.COUNTER_SOURCES, "Where the one side comes from"),
        text("counter_set", "Which counters the one side read together"),
        one_of("other_source", words.COUNTER_SOURCES, "Where the other side comes from"),
        text("other_set", "Which counters the other side read together"),
        count("engine_count", "Engines of which both sides have the metric, probes apart", kind=I32),
        Column(
            "rank_correlation", F64, "", "Spearman's, over these engines (1 = the same order)", True, low=-1, high=1
        ),
        *bounded_ratio("median", "Median over these engines of the one side over the other"),
        NULLS,
    ),
)
