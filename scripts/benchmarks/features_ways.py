"""Three ways from a dataset's tables to the same feature table: cotenant's, pandas and polars.

cotenant reads executions and sweeps them again; pandas and polars are given the overlap intervals, which costs them
reading and saves them the hardest part. Libraries are imported when a way is called, so that whoever times them decides
first how many threads they have.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

METRICS = ["sm_pct", "l2_pct", "dram_pct"]
ALPHAS = {"33": 1 / 3, "50": 1 / 2, "67": 2 / 3}
COALESCE_NS = 20_000
KEY = ["experiment_id", "execution_id"]
SOURCE = "simulated"
COPIED = [
    *("experiment_id", "device_id", "kind", "execution_id", "engine_id", "tenant", "lane", "request_count"),
    *("block_index", "role", "censored", "co_censored", "marks", "dispatched_ns", "start_ns", "end_ns", "span_ns"),
    *("slowdown_ratio", "interference_ratio"),
]
AT_DISPATCH = ["remaining_solo_ns", "queued_count", "queue_age_ns", "arrival_items_per_s"]
OF_EXPERIMENT = ["verdict", "condition", "lanes", "concurrency", "offered_load"]
INTERVALS = [*KEY, "interval_index", "duration_ns", "fraction", "co_execution_ids", "co_engine_ids"]


def by_cotenant(dataset: Path, _target: Path) -> Path:
    from cotenant.datasets.features.derive import derive_features
    from cotenant.datasets.features.options import FeatureOptions

    return derive_features(dataset, FeatureOptions(SOURCE, SOURCE)).set.path


def by_pandas(dataset: Path, target: Path) -> Path:
    import pandas as pd

    def table(name: str, columns: list[str]) -> pd.DataFrame:
        return pd.read_parquet(dataset / name / "part-0.parquet", columns=columns)

    counters = table("throughputs", ["engine_id", *METRICS]).set_index("engine_id")
    own = table("executions", [*COPIED, *AT_DISPATCH]).astype({"engine_id": str, "experiment_id": str, "tenant": str})
    found = own[COPIED].copy()
    experiments = table("experiments", ["experiment_id", "tenants", *OF_EXPERIMENT]).astype({"experiment_id": str})
    found = found.merge(experiments.drop(columns="tenants"), on="experiment_id", how="left")
    engines = table("engines", ["engine_id", "model", "batch_size"]).set_index("engine_id")
    profiles = table("solo_profiles", ["engine_id", "span_p50_ns", "span_p95_ns"]).set_index("engine_id")
    for name, column in (("solo_p50_ns", profiles["span_p50_ns"]), ("solo_p95_ns", profiles["span_p95_ns"])):
        found[name] = found["engine_id"].map(column)
    found["model"], found["batch_size"] = (
        found["engine_id"].map(engines["model"]),
        own["engine_id"].map(engines["batch_size"]),
    )
    found["lost_fraction"] = 1 - found["solo_p50_ns"] / found["span_ns"]
    tenants = list(experiments["tenants"].iloc[0])  # the same in all experiments of this dataset
    place = own["tenant"].map({name: index for index, name in enumerate(tenants)}).to_numpy()
    row = np.arange(len(own))
    remaining = own["remaining_solo_ns"]
    found["in_flight_count"] = remaining.map(len)
    found["remaining_solo_sum_ns"] = remaining.map(sum)
    found["remaining_solo_max_ns"] = remaining.map(lambda values: max(values, default=0))
    queued, ages, rates = (np.stack(own[name].to_list()).astype(float) for name in AT_DISPATCH[1:])
    found["queued_own_count"] = queued[row, place]
    found["queued_other_count"] = queued.sum(axis=1) - queued[row, place]
    found["queue_age_own_ns"] = ages[row, place]
    others = ages.copy()
    others[row, place] = np.nan
    found["queue_age_other_ns"] = pd.DataFrame(others).max(axis=1)
    found["arrival_own_items_per_s"] = rates[row, place]
    found["arrival_other_items_per_s"] = rates.sum(axis=1) - rates[row, place]
    found["arrival_load_ratio"] = rates @ load_per_rate(dataset)
    for name in METRICS:
        found[f"self_{name}"] = own["engine_id"].map(counters[name])
    static = pd.DataFrame(0.0, index=own.index, columns=METRICS)
    stamps = own[["experiment_id", "lane", "start_ns", "end_ns", "dispatched_ns", "engine_id"]]
    asked = stamps[["experiment_id", "lane", "dispatched_ns"]].reset_index().sort_values("dispatched_ns")
    for lane, those in stamps.groupby("lane"):
        those = those.sort_values("start_ns").drop(columns=["dispatched_ns", "lane"])
        met = pd.merge_asof(asked, those, left_on="dispatched_ns", right_on="start_ns", by="experiment_id")
        met = met[(met["lane"] != lane) & (met["end_ns"] > met["dispatched_ns"])].set_index("index")
        for name in METRICS:
            static[name] = static[name].add(met["engine_id"].map(counters[name]), fill_value=0.0)
    for name in METRICS:
        found[f"static_{name}"] = static[name]

    intervals = table("overlaps", INTERVALS).astype({"experiment_id": str})
    beside = intervals["co_engine_ids"].explode().astype(str)
    for name in METRICS:
        intervals[name] = beside.map(counters[name]).groupby(level=0).sum()
    first = intervals[intervals["interval_index"] == 0].set_index(KEY)
    weighted = intervals[METRICS].mul(intervals["fraction"], axis=0).groupby([intervals[name] for name in KEY]).sum()
    sizes = intervals.groupby(KEY)["interval_index"].transform("max")
    inner = (intervals["interval_index"] > 0) & (intervals["interval_index"] < sizes)
    kept = intervals[~inner | (intervals["duration_ns"] >= COALESCE_NS)]
    ids = kept["co_execution_ids"].map(tuple)
    same = (ids == ids.shift()) & (kept["execution_id"] == kept["execution_id"].shift())
    kept = kept[~same | (kept["interval_index"] == 0)]
    groups = kept.groupby(KEY)
    step, steps = groups.cumcount(), groups["interval_index"].transform("size")
    averaged = {}
    for label, alpha in ALPHAS.items():
        weight = np.where(step == 0, (1 - alpha) ** (steps - 1), alpha * (1 - alpha) ** (steps - 1 - step))
        averaged[label] = kept[METRICS].mul(weight, axis=0).groupby([kept[name] for name in KEY]).sum()
    index = pd.MultiIndex.from_frame(found[KEY])
    for name in METRICS:
        found[f"static_start_{name}"] = first[name].reindex(index).to_numpy()
        found[f"weighted_{name}"] = weighted[name].reindex(index).to_numpy()
        for label in ALPHAS:
            found[f"ewma_{label}_{name}"] = averaged[label][name].reindex(index).to_numpy()
    found.to_parquet(target, compression="zstd", index=False)
    return target


def by_polars(dataset: Path, target: Path) -> Path:
    import polars as pl

    def table(name: str) -> pl.LazyFrame:
        return pl.scan_parquet(dataset / name / "part-0.parquet")

    counters = table("throughputs").select(pl.col("engine_id").cast(pl.String), *METRICS).collect()
    tenants = table("experiments").select("tenants").head(1).collect()["tenants"][0].to_list()
    per_rate = load_per_rate(dataset)
    own = table("executions").with_columns(pl.col("engine_id", "experiment_id", "tenant").cast(pl.String))
    engines = table("engines").select(pl.col("engine_id").cast(pl.String), "model", "batch_size")
    profiles = table("solo_profiles").select(
        pl.col("engine_id").cast(pl.String), solo_p50_ns="span_p50_ns", solo_p95_ns="span_p95_ns"
    )
    of_experiment = table("experiments").select(pl.col("experiment_id").cast(pl.String), *OF_EXPERIMENT)
    place = pl.col("tenant").replace_strict(tenants, list(range(len(tenants))), return_dtype=pl.Int32)
    rates = [pl.col("arrival_items_per_s").list.get(index) for index in range(len(tenants))]
    ages = [pl.when(place != index).then(pl.col("queue_age_ns").list.get(index)) for index in range(len(tenants))]
    queued_own = pl.col("queued_count").list.get(place).cast(pl.Int64)
    rate_own = pl.col("arrival_items_per_s").list.get(place)
    frame = (
        own.join(of_experiment, on="experiment_id", how="left", maintain_order="left")
        .join(engines, on="engine_id", how="left", maintain_order="left")
        .join(profiles, on="engine_id", how="left", maintain_order="left")
        .join(
            counters.lazy().rename({name: f"self_{name}" for name in METRICS}),
            on="engine_id", how="left", maintain_order="left",
        )
        .with_columns(
            lost_fraction=1 - pl.col("solo_p50_ns") / pl.col("span_ns"),
            in_flight_count=pl.col("remaining_solo_ns").list.len(),
            remaining_solo_sum_ns=pl.col("remaining_solo_ns").list.sum(),
            remaining_solo_max_ns=pl.col("remaining_solo_ns").list.max().fill_null(0),
            queued_own_count=queued_own,
            queued_other_count=pl.col("queued_count").list.sum() - queued_own,
            queue_age_own_ns=pl.col("queue_age_ns").list.get(place),
            queue_age_other_ns=pl.max_horizontal(ages),
            arrival_own_items_per_s=rate_own,
            arrival_other_items_per_s=pl.col("arrival_items_per_s").list.sum() - rate_own,
            arrival_load_ratio=pl.sum_horizontal(rate * load for rate, load in zip(rates, per_rate, strict=True)),
        )
        .drop(*AT_DISPATCH, "in_flight_execution_ids", "cpu_ns", "h2d_ns", "d2h_ns")
    )  # fmt: skip
    stamps = own.select("experiment_id", "lane", "start_ns", "end_ns", "dispatched_ns", "engine_id").collect()
    asked = stamps.select("experiment_id", "lane", "dispatched_ns").with_row_index("row")
    static = [pl.Series(name, np.zeros(len(stamps))) for name in METRICS]
    for (lane,), those in stamps.group_by("lane"):
        ran = those.select("experiment_id", "start_ns", "end_ns", "engine_id").sort("experiment_id", "start_ns")
        met = asked.sort("experiment_id", "dispatched_ns").join_asof(
            ran, left_on="dispatched_ns", right_on="start_ns", by="experiment_id", check_sortedness=False
        )
        runs = (pl.col("lane") != lane) & (pl.col("end_ns") > pl.col("dispatched_ns"))
        met = met.join(counters, on="engine_id", how="left", maintain_order="left").sort("row")
        for metric, name in enumerate(METRICS):
            added = met.select(pl.when(runs).then(pl.col(name)).otherwise(0.0).fill_null(0.0)).to_series()
            static[metric] = static[metric] + added
    frame = frame.with_columns(*(pl.lit(values).alias(f"static_{values.name}") for values in static))

    engine = pl.col("co_engine_ids").list.eval
    intervals = (
        table("overlaps")
        .select(INTERVALS)
        .with_columns(
            pl.col("experiment_id").cast(pl.String),
            *(
                engine(
                    pl.element().cast(pl.String).replace_strict(
                        counters["engine_id"], counters[name], return_dtype=pl.Float64
                    )
                ).list.sum().alias(name)
                for name in METRICS
            ),
        )
        .collect()
        .lazy()
    )  # fmt: skip
    whole = intervals.group_by(KEY, maintain_order=True).agg(
        *(pl.col(name).first().alias(f"static_start_{name}") for name in METRICS),
        *((pl.col(name) * pl.col("fraction")).sum().alias(f"weighted_{name}") for name in METRICS),
    )
    is_last = pl.col("interval_index").shift(-1).fill_null(0) == 0
    is_first = pl.col("interval_index") == 0
    kept = (
        intervals.filter(is_first | is_last | (pl.col("duration_ns") >= COALESCE_NS))
        .filter(is_first | (pl.col("co_execution_ids") != pl.col("co_execution_ids").shift()))
        .with_columns(step=pl.int_range(pl.len()).over(KEY), steps=pl.len().over(KEY).cast(pl.Int64))
    )
    left = pl.col("steps") - 1 - pl.col("step")
    averaged = kept.group_by(KEY, maintain_order=True).agg(
        (
            pl.when(pl.col("step") == 0).then(1.0).otherwise(alpha) * pl.lit(1 - alpha).pow(left) * pl.col(name)
        ).sum().alias(f"ewma_{label}_{name}")
        for label, alpha in ALPHAS.items()
        for name in METRICS
    )  # fmt: skip
    frame.join(whole, on=KEY, how="left", maintain_order="left").join(
        averaged, on=KEY, how="left", maintain_order="left"
    ).collect().write_parquet(target, compression="zstd", compression_level=3)
    return target


def load_per_rate(dataset: Path) -> Any:
    """Each tenant's load at one item/s, in tenant order."""
    import pyarrow.parquet as pq

    def rows(name: str) -> list[dict[str, Any]]:
        return list(pq.read_table(dataset / name / "part-0.parquet").to_pylist())

    experiment = rows("experiments")[0]
    span_ns = {row["engine_id"]: row["span_p50_ns"] for row in rows("solo_profiles")}
    size = {row["engine_id"]: row["batch_size"] for row in rows("engines")}
    engines = experiment["deployed_engine_ids"]  # one for each tenant
    return np.array([span_ns[e] / 1e9 / (size[e] * experiment["concurrency"]) for e in engines])


def differences(one: Path, other: Path) -> list[str]:
    """Return the columns in which two feature tables differ by more than rounding."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = []
    schema = pq.read_schema(one)
    names = set(pq.read_schema(other).names)
    for field in schema:
        if field.name not in names:
            found.append(field.name)
            continue
        first, second = (pq.read_table(path, columns=[field.name])[field.name] for path in (one, other)) \
            if not pa.types.is_list(field.type) else (pa.chunked_array([[0]]), pa.chunked_array([[0]]))  # fmt: skip
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
            values = [np.asarray(column.cast(pa.float64(), safe=False).to_numpy()) for column in (first, second)]
            same = np.allclose(values[0], values[1], rtol=1e-9, atol=1e-9, equal_nan=True)
        else:
            same = pa.types.is_list(field.type) or json.dumps(first.to_pylist()) == json.dumps(second.to_pylist())
        if not same:
            found.append(field.name)
    return found


WAYS: dict[str, Callable[[Path, Path], Path]] = {"cotenant": by_cotenant, "pandas": by_pandas, "polars": by_polars}
