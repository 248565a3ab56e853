"""The tables `features`: one row per execution, with columns that depend on what was chosen.

No dataset must have one: `cotenant dataset features` makes as many as wanted, side by side.
"""

from collections.abc import Mapping, Sequence

from cotenant.datasets import words
from cotenant.datasets.column import (
    ENGINE,
    F64,
    I16,
    I32,
    I64,
    ROW_KEYS,
    WORDS,
    Column,
    Table,
    count,
    index,
    one_of,
    ratio,
    text,
    time_ns,
)

FEATURES = "features"
OF_DISPATCH = "the co-runners on other lanes that ran at dispatch; null in closed loops"

LABELS = (
    ENGINE,
    text("tenant", "Tenant it belongs to"),
    text("model", "Model of the engine"),
    Column("lane", I16, "", "Lane it ran on", low=0),
    count("batch_size", "Items of one execution of the engine", kind=I32),
    count("request_count", "Items in the batch", kind=I32),
    index("block_index", "Block it belongs to"),
    one_of("role", words.ROLES, "What it is there for"),
    one_of("censored", words.CENSORED, "Which of its ends lie outside the block's window"),
    one_of("co_censored", words.CENSORED, "The same of those that ran beside it"),
    Column("marks", WORDS, "", "What to keep in mind", words=words.MARKS),
    one_of("verdict", words.VERDICTS, "How far its experiment can be trusted"),
    text("condition", "What was changed on purpose", True),
    Column("lanes", I16, "count", "Lanes that were open", low=1),
    Column("concurrency", I16, "count", "Batches in flight at most", True, low=1),
    ratio("offered_load", "Offered work over what the lanes can do, of the experiment"),
    time_ns("dispatched_ns", "Handed to the lane", low=None),
    time_ns("start_ns", "Start on the lane", low=None),
    time_ns("end_ns", "End on the lane", low=None),
)
TARGETS = (
    Column("span_ns", I64, "ns", "Target: end_ns - start_ns", low=1),
    time_ns("solo_p50_ns", "Median span of its engine alone", True),
    time_ns("solo_p95_ns", "95th percentile of the span of its engine alone", True),
    ratio("slowdown_ratio", "Target: span over solo_p50_ns"),
    ratio("interference_ratio", "Target: span over solo_p95_ns"),
)
PROSPECTIVE = (
    count("in_flight_count", "At dispatch: executions that had not ended", True, I32),
    time_ns("remaining_solo_sum_ns", "At dispatch: solo time left of all of them, 0 if none", True),
    time_ns("remaining_solo_max_ns", "At dispatch: the most solo time left of one of them, 0 if none", True),
    count("queued_own_count", "At dispatch: requests of its tenant still queued", True),
    count("queued_other_count", "At dispatch: requests of other tenants queued", True),
    time_ns("queue_age_own_ns", "At dispatch: age of its tenant's oldest queued request; null where none is", True),
    time_ns("queue_age_other_ns", "At dispatch: age of the others' oldest queued request; null where none is", True),
    Column("arrival_own_items_per_s", F64, "items/s", "At dispatch: estimated arrivals of its tenant", True, low=0),
    Column("arrival_other_items_per_s", F64, "items/s", "At dispatch: estimated arrivals of all others", True, low=0),
    ratio("arrival_load_ratio", "At dispatch: estimated arrivals' solo work over what the concurrency allows"),
)


def features_table(metrics: Sequence[Column], alphas: Mapping[str, str], combine: str, denominator: str) -> Table:
    """Return a feature table's columns.

    Args:
        metrics: Columns of the throughputs table.
        alphas: Label in the column's name -> smoothing factor in words.
        combine: How several co-runners make one number, in words.
        denominator: What the lost fraction relates to: p50 or p95.
    """
    lost = f"Target: 1 - solo_{denominator}_ns / span_ns; null where that is not known"
    ewma = {f"ewma_{label}": f"over intervals, moving average with alpha = {told}" for label, told in alphas.items()}
    groups = {
        "self": None,
        "static": OF_DISPATCH,
        "static_start": "the co-runners of the first interval",
        **ewma,
        "weighted": "over intervals, weighted by their part of the span",
    }
    return Table(
        FEATURES,
        "execution",
        ("experiment_id", "execution_id"),
        (
            *ROW_KEYS,
            index("execution_id", "0, 1 ... in order of dispatch", kind=I64),
            *LABELS,
            *TARGETS,
            Column("lost_fraction", F64, "ratio", lost, True, high=1),
            *PROSPECTIVE,
            *(_feature(group, metric, told, combine) for group, told in groups.items() for metric in metrics),
        ),
        large=True,
    )


def _feature(group: str, metric: Column, told: str | None, combine: str) -> Column:
    meaning = f"{metric.meaning}, of its own engine" if told is None else f"{metric.meaning}, {combine}: {told}"
    high = metric.high if told is None else None  # a sum may be above 100 percent
    return Column(f"{group}_{metric.name}", F64, metric.unit, meaning, True, low=0, high=high)
