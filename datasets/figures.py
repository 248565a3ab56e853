"""The paper's Figure 2, Figure 3 and its p95 interference (section 3), as tables drawn from a dataset's tables alone.

Zhao and Georgantas, ML Inference Scheduling with Predictable Latency, 2025: Figure 2 is request throughput by batch
size and model from profiled spans; Figure 3 is the 99th percentile of latency by the number of co-located tasks, run
one batch at a time and concurrently; section 3 gives the 95th percentile of interference (span over the 95th percentile
of solo span), 1.5166 at two batches in flight.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.read import experiment_slices, read_table
from cotenant.datasets.statistics import quantile_bounds, seed_of

P99_SAMPLES_MIN = 400  # design section 6
P95_SAMPLES_MIN = 200
ALPHA = 0.05
BLOCKS = 20  # requests in a row are alike: bounds resample blocks of them, not single ones
PROBE_PREFIX = "probe:"


@dataclass(frozen=True)
class Figure:
    """One figure's data.

    Attributes:
        name: File name without its ending.
        title: What it shows.
        rows: One row per point; units end the columns' names.
    """

    name: str
    title: str
    rows: pd.DataFrame


def figures(folder: Path) -> list[Figure]:
    """Return the figures that a dataset has data for; raises as `read_table`."""
    return [figure for make in FIGURES if len((figure := make(folder)).rows)]


def throughput_by_batch(folder: Path) -> Figure:
    """Figure 2: items per second of each engine's solo span, and how much more than at the model's smallest batch."""
    engines = _frame(folder, "engines", ["engine_id", "model", "batch_size", "precision"])
    profiles = _frame(folder, "solo_profiles", [*PROFILE_KEY, "throughput_items_per_s", "span_p50_ns", "sample_count"])
    plain = profiles[(profiles.pattern == "back_to_back") & profiles.condition.isna() & profiles.share_pct.isna()]
    rows = plain.merge(engines[~engines.model.str.startswith(PROBE_PREFIX)], on="engine_id")
    key = ["device_id", "isolation", "model", "precision"]
    rows = rows.sort_values([*key, "batch_size"]).reset_index(drop=True)
    smallest = rows.groupby(key)["throughput_items_per_s"].transform("first")
    rows["gain_pct"] = 100 * (rows.throughput_items_per_s / smallest - 1)
    columns = [*key, "batch_size", "throughput_items_per_s", "gain_pct", "span_p50_ns", "sample_count"]
    return Figure("throughput_by_batch", "Throughput by batch size, from solo spans", rows[columns])


def latency_by_tenants(folder: Path) -> Figure:
    """Figure 3: p99 of latency by number of tenants, one batch at a time (concurrency 1) and concurrently."""
    facts = _serving(folder)
    found = [
        {**facts[experiment_id], **_p99(rows, experiment_id)}
        for experiment_id, rows in experiment_slices(folder, "requests", REQUEST_COLUMNS)
        if experiment_id in facts
    ]
    key = ["device_id", "models", "tenant_count", "concurrency", "offered_load"]
    return Figure("latency_by_tenants", "p99 of latency by number of tenants", _sorted(found, key))


def interference_by_concurrency(folder: Path) -> Figure:
    """Section 3: p95 of interference of executions in serving, by how many batches may be in flight."""
    facts = _serving(folder)
    found = [
        {**facts[experiment_id], **_p95(rows, experiment_id)}
        for experiment_id, rows in experiment_slices(folder, "executions", EXECUTION_COLUMNS)
        if experiment_id in facts
    ]
    key = ["device_id", "models", "tenant_count", "concurrency", "offered_load"]
    return Figure("interference_by_concurrency", "p95 of interference by batches in flight", _sorted(found, key))


FIGURES: tuple[Callable[[Path], Figure], ...] = (throughput_by_batch, latency_by_tenants, interference_by_concurrency)
PROFILE_KEY = ["engine_id", "device_id", "isolation", "pattern", "condition", "share_pct"]
REQUEST_COLUMNS = ["experiment_id", "outcome", "latency_ns", "marks"]
EXECUTION_COLUMNS = ["experiment_id", "role", "censored", "co_censored", "interference_ratio"]


def _frame(folder: Path, table: str, columns: list[str]) -> pd.DataFrame:
    frame: pd.DataFrame = read_table(folder, table).select(columns).to_pandas()
    return frame


def _serving(folder: Path) -> dict[str, dict[str, object]]:
    """Return the facts of each serving experiment that are the axes of a figure."""
    columns = ["experiment_id", "device_id", "kind", "deployed_models", "concurrency", "offered_load", "condition"]
    rows = read_table(folder, "experiments").select([*columns, "verdict"]).to_pylist()
    return {
        row["experiment_id"]: {
            "device_id": row["device_id"],
            "models": "+".join(sorted(set(row["deployed_models"]))),
            "tenant_count": len(row["deployed_models"]),
            "concurrency": row["concurrency"],
            "offered_load": row["offered_load"],
            "condition": row["condition"],
            "verdict": row["verdict"],
        }
        for row in rows
        if row["kind"] == "serving"
    }


def _p99(rows: pa.Table, experiment_id: str) -> dict[str, object]:
    served = rows.filter(pc.equal(rows["outcome"].cast(pa.string()), "served"))
    led_in = np.array(["warmup" in marks for marks in served["marks"].to_pylist()], dtype=bool)
    latency_ns = np.asarray(served["latency_ns"].to_numpy(), dtype=np.int64)[~led_in]
    dropped = int(pc.sum(pc.equal(rows["outcome"].cast(pa.string()), "dropped")).as_py() or 0)
    bounded = _quantile(latency_ns, 0.99, P99_SAMPLES_MIN, experiment_id)
    named = dict(zip(("latency_p99_ns", "latency_p99_lower_ns", "latency_p99_upper_ns"), bounded, strict=True))
    return {**named, "request_count": len(latency_ns), "dropped_count": dropped}


def _p95(rows: pa.Table, experiment_id: str) -> dict[str, object]:
    keep = pc.equal(rows["role"].cast(pa.string()), "main")
    for column in ("censored", "co_censored"):
        keep = pc.and_(keep, pc.equal(rows[column].cast(pa.string()), "none"))
    values = rows.filter(keep)["interference_ratio"].drop_null().to_numpy()
    bounded = _quantile(values, 0.95, P95_SAMPLES_MIN, experiment_id)
    names = ("interference_p95_ratio", "interference_p95_lower_ratio", "interference_p95_upper_ratio")
    return {**dict(zip(names, bounded, strict=True)), "execution_count": len(values)}


def _quantile(
    values: NDArray[np.int64] | NDArray[np.float64], probability: float, least: int, experiment_id: str
) -> tuple[float | None, float | None, float | None]:
    """Return a quantile with bounds that resample blocks of neighbours; None where there are too few values."""
    if len(values) < least:
        return None, None, None
    blocks: list[Any] = list(np.array_split(values, BLOCKS))
    bounds = quantile_bounds(blocks, probability, ALPHA, seed_of(experiment_id, "figure"))
    return float(np.quantile(values, probability)), *(bounds or (None, None))


def _sorted(rows: Sequence[dict[str, object]], key: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    return frame.sort_values(key).reset_index(drop=True) if len(frame) else frame
