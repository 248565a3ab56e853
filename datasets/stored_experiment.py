"""A stored experiment as the derivation sees a measured one: so that what follows from rows can be derived again.

Whatever is not in the tables is not in here either: siblings and wall-clock facts are left out, an idle tenant has no
lane, and neither has one of an open loop.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

from cotenant.datasets.derive.experiments import OF_SERVING
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.raw import RAW_EXECUTIONS
from cotenant.datasets.words import KINDS

Row = dict[str, Any]
IDLE_LANE = -1  # no lane that executes
COPIED = (
    *("experiment_id", "cell_id", "kind", "seed", "repeat", "condition", "runner", "lane_share_pct"),
    *("isolation_requested", "isolation_observed", "clock_error_ns", "weights_shared", "oversubscribed"),
    *("host_has_own_core", "started_busy"),
)


def stored_experiment(
    experiment: Row,
    thresholds: Row,
    device: Row,
    engines: dict[str, Row],
    blocks: Sequence[Row],
    slowdowns: Sequence[Row],
    executions: pa.Table,
) -> Measured:
    """Put an experiment together again from its rows, which `faults_of_tenants` must have nothing against.

    Args:
        device: Its row of the devices table.
        engines: Rows of the engines table by engine_id.
        blocks, slowdowns: Its own rows, by block_index and tenant.
    """
    told = [row for row in slowdowns if row["stop_reason"] is not None]
    passed, makespan_ratio = (experiment[f"self_test_{name}"] for name in ("passed", "makespan_ratio"))
    metadata: Row = {
        **{name: experiment[name] for name in COPIED},
        "spec": json.loads(experiment["spec"]),
        "lane_count": experiment["lanes"],
        "quality": thresholds,
        "device": {name: device[name] for name in ("device_id", "kind")},
        "engines": [engines[engine_id] for engine_id in dict.fromkeys(experiment["deployed_engine_ids"])],
        "tenants": stored_tenants(experiment, executions),
        "blocks": list(blocks),
        "stops": [{"tenant": row["tenant"], "stop_reason": row["stop_reason"]} for row in told],
        "serving": _serving(experiment),
        "self_test": None if passed is None else {"passed": passed, "makespan_ratio": makespan_ratio},
    }
    return Measured(metadata, pa.table({name: executions[name] for name in RAW_EXECUTIONS.names}))


def _serving(experiment: Row) -> Row | None:
    """Return what only the run itself could tell of serving, as it is stored."""
    if not KINDS[experiment["kind"]].open_loop:
        return None
    changes = ("stationary", "load_changes") in experiment["null_reasons"]
    return {**{name: experiment[name] for name in OF_SERVING}, "pieces": [None] * (2 if changes else 1)}


def stored_tenants(experiment: Row, executions: pa.Table) -> list[Row]:
    """Return the tenants with their engines and, where each has one of its own, their lanes."""
    lanes = {row["tenant"]: row["lane"] for row in _executed(executions)}
    ends = list(accumulate(experiment["tenant_engine_count"], initial=0))
    is_open = KINDS[experiment["kind"]].open_loop
    return [
        {
            "tenant": name,
            "lane": None if is_open else lanes.get(name, IDLE_LANE),
            "engine_ids": experiment["deployed_engine_ids"][first:last],
        }
        for name, first, last in zip(experiment["tenants"], ends, ends[1:], strict=False)
    ]


def faults_of_tenants(experiment: Row, engines: dict[str, Row], executions: pa.Table) -> Iterator[tuple[str, str]]:
    """Yield (table, what is wrong) with an experiment's tenants, their engines and their lanes."""
    names, counts = experiment["tenants"], experiment["tenant_engine_count"]
    shares = experiment["lane_share_pct"]
    if shares is not None and len(shares) != experiment["lanes"]:
        yield "experiments", f"lane_share_pct has {len(shares)} shares for {experiment['lanes']} lanes"
    if len(set(names)) != len(names):
        yield "experiments", f"tenants has a name twice: {names}"
    if not len(names) == len(counts) == len(experiment["deployed_models"]):
        yield "experiments", "tenants, tenant_engine_count and deployed_models differ in length"
    if sum(counts) != len(experiment["deployed_engine_ids"]):
        yield "experiments", "tenant_engine_count does not sum to the number of deployed_engine_ids"
        return
    tenants = {row["tenant"]: row["engine_ids"] for row in stored_tenants(experiment, executions)}
    lanes: dict[str, set[int]] = {}
    for row in _executed(executions):
        if row["engine_id"] not in tenants.get(row["tenant"], ()):
            yield "executions", f"tenant {row['tenant']} executes engine {row['engine_id']}, which is not its own"
        lanes.setdefault(row["tenant"], set()).add(row["lane"])
    for name, model in zip(names, experiment["deployed_models"], strict=False):
        if {engines[engine_id]["model"] for engine_id in tenants.get(name, ())} != {model}:
            yield "experiments", f"deployed_models has {model} for tenant {name}, whose engines are not of it"
    for engine_id in sorted(set(experiment["deployed_engine_ids"])):
        if engines[engine_id]["runner"] != experiment["runner"]:
            yield (
                "experiments",
                f"runner is {experiment['runner']}, engine {engine_id} is of {engines[engine_id]['runner']}",
            )
    if not KINDS[experiment["kind"]].open_loop:
        for name in sorted(name for name, own in lanes.items() if len(own) > 1):
            yield "executions", f"tenant {name} executes on lanes {sorted(lanes[name])}; it has one"


def _executed(executions: pa.Table) -> list[Row]:
    """Return each tenant, engine and lane that executed together."""
    names = ["tenant", "engine_id", "lane"]
    found = pa.table({name: executions[name] for name in names}).group_by(names, use_threads=False).aggregate([])
    return list(found.to_pylist())
