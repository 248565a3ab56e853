"""Slowdowns and gains follow from the executions and blocks."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from cotenant.datasets.check_subjects import ExperimentCheck, ExperimentRows
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.summary import Summary, summarise
from cotenant.datasets.raw import RAW_EXECUTIONS

CLOSE = 1e-9  # logarithms and quantiles of another machine's library may differ in the last bits


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Estimate again what slowdowns, blocks and experiments say."""
    experiment = rows.experiment
    quality = _quality(experiment["quality"])
    if quality is None:
        return
    summary = summarise(_measured(rows, quality), resamples=0)
    for column, value in _of_experiment(summary).items():
        if _differ(experiment[column], value):
            yield "experiments", f"{column} is {experiment[column]}, its executions say {value}"
    for block, gain in zip(rows.blocks, summary.block_gains, strict=True):
        if _differ(block["concurrency_gain_ratio"], gain):
            yield "blocks", f"concurrency_gain_ratio of block {block['block_index']} is not what its executions say"
    stored = {row["tenant"]: row for row in rows.small.slowdowns.get(experiment["experiment_id"], [])}
    told = _told(summary)
    for tenant in sorted(set(told) ^ set(stored)):
        yield "slowdowns", f"tenant {tenant} is in {'slowdowns' if tenant in stored else 'quads'} alone"
    for tenant in sorted(set(told) & set(stored)):
        for column, value in told[tenant].items():
            if _differ(stored[tenant][column], value):
                yield "slowdowns", f"{column} of tenant {tenant} is {stored[tenant][column]}, its quads say {value}"


def _of_experiment(summary: Summary) -> dict[str, float | None]:
    return {
        "concurrency_gain_ratio": summary.gain.value,
        "concurrency_gain_lower_ratio": summary.gain.lower,
        "concurrency_gain_upper_ratio": summary.gain.upper,
        "canary_drift_ratio": summary.canary_drift_ratio,
    }


def _told(summary: Summary) -> dict[str, dict[str, float | int | None]]:
    found: dict[str, dict[str, float | int | None]] = {}
    for tenant in summary.tenants:
        slowdown, cpu = tenant.slowdown, tenant.cpu
        found[tenant.tenant] = {
            "slowdown_ratio": slowdown.ratio,
            "slowdown_lower_ratio": slowdown.lower,
            "slowdown_upper_ratio": slowdown.upper,
            "p95_ratio": tenant.p95.value,
            "cpu_ratio": cpu.ratio if cpu else None,
            "cpu_lower_ratio": cpu.lower if cpu else None,
            "cpu_upper_ratio": cpu.upper if cpu else None,
            "solo_p50_ns": slowdown.solo_p50_ns,
            "co_run_p50_ns": slowdown.co_run_p50_ns,
            "quad_count": slowdown.quad_count,
            "sample_count": slowdown.sample_count,
            "solo_sample_count": slowdown.solo_sample_count,
        }
    return found


def _quality(text: str) -> dict[str, Any] | None:
    """Return the thresholds; None if there are none, which is the finding of another check."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"alpha", "look_quads"} <= set(found) else None


def _measured(rows: ExperimentRows, quality: dict[str, Any]) -> Measured:
    experiment = rows.experiment
    names = sorted({name for block in rows.blocks for name in block["tenants"]} | set(rows.words("tenant")))
    engine_of = dict(zip(rows.words("tenant"), rows.words("engine_id"), strict=True))
    metadata: dict[str, Any] = {
        "experiment_id": experiment["experiment_id"],
        "kind": experiment["kind"],
        "quality": quality,
        "blocks": rows.blocks,
        "tenants": [{"tenant": name, "lane": 0, "engine_id": engine_of.get(name, "")} for name in names],
        "stops": [],
    }
    return Measured(metadata, pa.table({name: rows.executions[name] for name in RAW_EXECUTIONS.names}))


def _differ(first: float | int | None, second: float | int | None) -> bool:
    if first is None or second is None:
        return first is not second
    return not math.isclose(first, second, rel_tol=CLOSE)


CHECK = ExperimentCheck("estimates", run)
