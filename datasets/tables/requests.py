"""The table `requests`: one row per request."""

from cotenant.datasets import words
from cotenant.datasets.column import I64, ROW_KEYS, WORDS, Column, Table, index, one_of, text, time_ns

REQUESTS = Table(
    "requests",
    "request",
    ("experiment_id", "request_id"),
    (
        *ROW_KEYS,
        index("request_id", "0, 1 ... in order of intended arrival", kind=I64),
        text("tenant", "Tenant it asks"),
        text("model", "Model of the tenant"),
        time_ns("intended_arrival_ns", "Drawn beforehand; latency counts from here", low=None),
        time_ns("batched_ns", "When its batch left the queue", True, low=None),
        index("execution_id", "Execution that served it", True, kind=I64),
        time_ns("done_ns", "End of that execution", True, low=None),
        time_ns("latency_ns", "done_ns - intended_arrival_ns", True),
        time_ns("blocked_ns", "Time queued while only other tenants' batches held the lanes", True),
        time_ns("deadline_ns", "When it should be done", True, low=None),
        one_of("outcome", words.OUTCOMES, "What became of it"),
        Column("marks", WORDS, "", "What to keep in mind", words=words.REQUEST_MARKS),
    ),
    large=True,
)
