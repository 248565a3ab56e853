"""What a serving campaign's tables say of each run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cotenant.datasets.columns import TABLES
from cotenant.datasets.read import experiment_slices, read_table
from cotenant.datasets.schema import arrow_schema
from cotenant.datasets.words import OUTCOMES
from cotenant.profiler.cli.sentence import doubts
from cotenant.profiler.cli.serve_tenant import EXECUTION_COLUMNS, REQUEST_COLUMNS, Window, of_executions, of_requests
from cotenant.profiler.cli.serve_text import SERVE_STEPS, TOLD_IN_SENTENCE, serve_sentence

Row = dict[str, Any]
Frames = Mapping[str, pd.DataFrame]

FACTS = (
    "experiment_id",
    "offered_load",
    "concurrency",
    "stationary",
    "generator_lag_p99_ns",
    "generator_lag_limit_ns",
    "lone_slowdown_ratio",
    "lone_slowdown_lower_ratio",
    "lone_slowdown_upper_ratio",
    "verdict",
    "verdict_reasons",
)
COUNTS = ("request_count", *(f"{outcome}_count" for outcome in OUTCOMES))


def serve_results(folder: Path) -> Row:
    """Return `runs`, one for each load and concurrency with its tenants, and the device's noise floor."""
    experiments = [row for row in read_table(folder, "experiments").to_pylist() if row["kind"] == "serving"]
    windows = {
        row["experiment_id"]: Window(row["window_start_ns"], row["window_end_ns"])
        for row in read_table(folder, "blocks").to_pylist()
        if row["arm"] == "serving"
    }
    requests = _frames(folder, "requests", REQUEST_COLUMNS, windows)
    executions = _frames(folder, "executions", EXECUTION_COLUMNS, windows)
    runs = [
        _run(row, requests[row["experiment_id"]], executions[row["experiment_id"]], windows[row["experiment_id"]])
        for row in experiments
    ]
    runs.sort(key=lambda run: (run["offered_load"], run["concurrency"], run["experiment_id"]))
    floors = [row["noise_floor_ratio"] for row in read_table(folder, "devices").to_pylist()]
    return {"runs": runs, "noise_floor_ratio": floors[0]}


def _frames(folder: Path, name: str, columns: list[str], windows: Mapping[str, Window]) -> Frames:
    """Return each serving experiment's rows of a table; those without a row are empty."""
    slices = dict.fromkeys(
        windows, pa.schema([arrow_schema(TABLES[name]).field(each) for each in columns]).empty_table()
    )
    slices |= {key: rows for key, rows in experiment_slices(folder, name, columns) if key in windows}
    return {key: rows.to_pandas() for key, rows in slices.items()}


def _run(experiment: Row, requests: pd.DataFrame, executions: pd.DataFrame, window: Window) -> Row:
    (piece,) = json.loads(experiment["spec"])["options"]["schedule"]
    tenants = []
    for tenant, model in zip(experiment["tenants"], experiment["deployed_models"], strict=True):
        seed_part = f"{experiment['experiment_id']}/{tenant}"
        asked = of_requests(requests[requests.tenant == tenant], window, seed_part)
        ran = of_executions(executions[executions.tenant == tenant], seed_part)
        reasons = asked.pop("null_reasons") | ran.pop("null_reasons")
        tenants.append({"tenant": tenant, "model": model, **asked, **ran, "null_reasons": reasons})
    run = {
        **{fact: experiment[fact] for fact in FACTS},
        "asked_load": piece["load"],
        "asked_items_per_s": piece["rates_per_s"],
        "window_ns": window.end_ns - window.start_ns,
        **{count: sum(row[count] for row in tenants) for count in COUNTS},
        "tenants": tenants,
    }
    others = [reason for reason in experiment["verdict_reasons"] if reason not in TOLD_IN_SENTENCE]
    return {
        **run,
        "sentence": serve_sentence(run),
        "doubts": doubts({**experiment, "verdict_reasons": others}, SERVE_STEPS),
    }
