"""What a co-location's tables say: slowdowns with their sentence, and how much of each execution was overlapped."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.read import experiment_slices, read_table
from cotenant.datasets.words import KINDS
from cotenant.profiler.cli.sentence import doubts, overlap_sentence, sentence, sweep_sentence

Row = dict[str, Any]

EXECUTION_COLUMNS = ["experiment_id", "execution_id", "tenant", "role", "censored"]
OVERLAP_COLUMNS = ["experiment_id", "execution_id", "co_count", "fraction"]


def colocate_results(folder: Path, kind: str) -> Row:
    """Return the experiments of one kind, by offset where they have one, and the sentence that they end with."""
    labels = {
        row["engine_id"]: f"{row['model']}@{row['batch_size']}" for row in read_table(folder, "engines").to_pylist()
    }
    slowdowns = defaultdict(list)
    for row in sorted(read_table(folder, "slowdowns").to_pylist(), key=lambda each: str(each["tenant"])):
        slowdowns[row["experiment_id"]].append(row)
    beside_pct = overlapped_pct(folder, kind)
    experiments = [
        _experiment(row, slowdowns[row["experiment_id"]], labels, beside_pct[row["experiment_id"]])
        for row in read_table(folder, "experiments").to_pylist()
        if row["kind"] == kind
    ]
    experiments.sort(key=lambda row: row["planned_offset_ratio"] or 0.0)
    return {"kind": kind, "sentence": _ending(kind, experiments), "experiments": experiments}


def _ending(kind: str, experiments: list[Row]) -> str | None:
    """Return the sentence of all experiments together; None if all have failed."""
    if not experiments:
        return None
    return sweep_sentence(experiments) if kind == "offset_sweep" else str(experiments[0]["sentence"])


def _experiment(experiment: Row, slowdowns: list[Row], labels: dict[str, str], beside_pct: Row) -> Row:
    by_tenant = {row["tenant"]: beside_pct.get(row["tenant"]) for row in slowdowns}
    facts = ("experiment_id", "planned_offset_ratio", "concurrency_gain_ratio", "verdict", "verdict_reasons")
    return {
        **{fact: experiment[fact] for fact in facts},
        "tenants": {row["tenant"]: labels[row["engine_id"]] for row in slowdowns},
        "slowdowns": slowdowns,
        "beside_pct": by_tenant,
        "sentence": _sentence(slowdowns, experiment, by_tenant),
        "doubts": doubts(experiment),
    }


def _sentence(slowdowns: list[Row], experiment: Row, beside_pct: Row) -> str:
    if KINDS[experiment["kind"]].fills_lanes:
        return sentence(slowdowns, experiment)
    return overlap_sentence(slowdowns, beside_pct)  # lanes rest between bursts, so their gain says nothing


def overlapped_pct(folder: Path, kind: str) -> dict[str, dict[str, float]]:
    """Return by experiment and tenant the mean part of an execution (main, whole) that others ran beside, in %."""
    columns = [*EXECUTION_COLUMNS, "kind"]
    kept = {key: _whole(rows) for key, rows in experiment_slices(folder, "executions", columns) if _is(rows, kind)}
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for key, rows in experiment_slices(folder, "overlaps", OVERLAP_COLUMNS):
        if key in kept:
            found[key] = dict(_means(kept[key], rows))
    return found


def _is(rows: pa.Table, kind: str) -> bool:
    return bool(rows["kind"][0].as_py() == kind)


def _whole(rows: pa.Table) -> pa.Table:
    wanted = {"role": "main", "censored": "none"}
    for column, word in wanted.items():
        rows = rows.filter(pc.equal(rows[column].cast(pa.string()), word))
    return rows


def _means(executions: pa.Table, overlaps: pa.Table) -> Iterator[tuple[str, float]]:
    beside = overlaps.filter(pc.greater(overlaps["co_count"], 0))
    ids: NDArray[np.int64] = beside["execution_id"].to_numpy()
    last = max(pc.max(table["execution_id"]).as_py() or 0 for table in (executions, beside))
    part = np.bincount(ids, weights=beside["fraction"].to_numpy(), minlength=last + 1)
    tenants = executions["tenant"].cast(pa.string()).to_numpy(zero_copy_only=False)
    own = part[executions["execution_id"].to_numpy()]
    for tenant in sorted(set(tenants)):
        yield tenant, 100 * float(own[tenants == tenant].mean())
