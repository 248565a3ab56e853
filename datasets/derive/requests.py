"""Rows of the requests table for one experiment."""

from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.columns import REQUESTS
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.word_arrays import constant, renumbered, renumbered_lists
from cotenant.datasets.schema import arrow_schema
from cotenant.datasets.words import OUTCOMES, REQUEST_MARKS

NULL_REASONS = {
    "batched_ns": "not_served",
    "execution_id": "not_served",
    "done_ns": "not_served",
    "latency_ns": "not_served",
    "blocked_ns": "not_served",
    "deadline_ns": "not_applicable",
}


def request_table(measured: Measured, requests: pa.Table) -> pa.Table:
    """Return an experiment's requests, by id; ValueError if they are of tenants or words that there are not."""
    raw = requests.sort_by("request_id").combine_chunks()
    if np.any(raw["request_id"].to_numpy() != np.arange(raw.num_rows)):
        raise ValueError("requests are not numbered 0, 1, 2 ...")
    ids = raw["execution_id"].drop_null().to_numpy()
    if np.any((ids < 0) | (ids >= measured.executions.num_rows)):
        raise ValueError("a request was served by an execution that there is not")
    models = sorted(raw["model"].cast(pa.string()).unique().to_pylist())
    columns: dict[str, Any] = {
        **{name: raw[name].combine_chunks() for name in raw.column_names},
        "experiment_id": constant(measured.experiment_id, raw.num_rows),
        "device_id": constant(measured.device_id, raw.num_rows),
        "kind": constant(measured.kind, raw.num_rows),
        "tenant": renumbered(raw["tenant"], measured.tenant_names),
        "model": renumbered(raw["model"], models),
        "outcome": renumbered(raw["outcome"], list(OUTCOMES)),
        "marks": renumbered_lists(raw["marks"], list(REQUEST_MARKS)),
    }
    schema = arrow_schema(REQUESTS)
    return pa.Table.from_arrays([pa.array(columns[field.name]).cast(field.type) for field in schema], schema=schema)


def null_reasons(rows: pa.Table) -> dict[str, str]:
    """Return column -> why it is null, of each column of the requests that holds a null."""
    return {name: reason for name, reason in NULL_REASONS.items() if rows[name].null_count}
