"""Slowdowns of another tool stand in experiments of its own, fit their tenants, and are the ratios of their times."""

from collections.abc import Iterator
from typing import Any

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables

Row = dict[str, Any]
IMPORTED = "imported"
MEANS = ("mean_ratio", "solo_mean_ns", "co_run_mean_ns")
RATIOS = {"slowdown_ratio": ("solo_p50_ns", "co_run_p50_ns"), "mean_ratio": ("solo_mean_ns", "co_run_mean_ns")}


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare each row with its experiment, and its ratios with its times."""
    for row in small.rows["slowdowns"]:
        experiment = small.experiments[row["experiment_id"]]
        name = f"experiment {row['experiment_id']}, tenant {row['tenant']}"
        faults = _imported(row, experiment) if row["source"] == IMPORTED else _measured(row)
        yield from (("slowdowns", f"{name}: {fault}") for fault in faults)


def _measured(row: Row) -> Iterator[str]:
    yield from (f"{column} is told, which only another tool does" for column in MEANS if row[column] is not None)


def _imported(row: Row, experiment: Row) -> Iterator[str]:
    if experiment["kind"] != IMPORTED:
        yield f"source is imported in an experiment of kind {experiment['kind']}"
        return
    for column in ("kind", "device_id"):
        if row[column] != experiment[column]:
            yield f"{column} is {row[column]}, its experiment says {experiment[column]}"
    expected = {each["tenant"]: each for each in _tenants(experiment)}.get(row["tenant"])
    if expected is None or any(row[column] != value for column, value in expected.items()):
        yield f"lane, engine_id and co_engine_ids do not fit its experiment, which says {expected}"
    for column, (solo, co_run) in RATIOS.items():
        ratio = row[co_run] / row[solo] if row[solo] and row[co_run] else None
        if row[column] != ratio:
            yield f"{column} is {row[column]}, {co_run} over {solo} is {ratio}"


def _tenants(experiment: Row) -> Iterator[Row]:
    """Yield what the slowdowns of an experiment with one engine a tenant say of each."""
    engines = experiment["deployed_engine_ids"]
    for lane, (tenant, engine_id) in enumerate(zip(experiment["tenants"], engines, strict=False)):
        others = [*engines[:lane], *engines[lane + 1 :]]
        yield {"tenant": tenant, "lane": lane, "engine_id": engine_id, "co_engine_ids": others}


CHECK = DatasetCheck("imported", run)
