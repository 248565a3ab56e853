"""The plain sentence that a pair ends with: who slows whom by how much, and how far that can be trusted."""

from pathlib import Path
from typing import Any

Row = dict[str, Any]

NEXT_STEPS = {  # reason of a verdict -> what to do about it
    "serialised": "choose another --isolation",
    "self_test_failed": "choose another --isolation",
    "canary_drift": "measure again in a new --out when the machine is quiet",
    "cap_reached": "allow more quads (`look_quads`) in a spec",
    "too_few_samples": "allow longer blocks (`block_s`) in a spec",
    "oversubscribed": "use no more --lanes than there are cores",
    "enqueue_bound": "measure longer executions (a larger --batch)",
    "no_core_for_host": "use fewer --lanes, so that a core is left",
}


def pair_results(folder: Path) -> list[Row]:
    """Return each pair of a dataset with its slowdowns and its sentence."""
    from cotenant.datasets.read import read_table

    labels = {row["engine_id"]: f"{row['model']}@{row['batch_size']}" for row in _rows(read_table(folder, "engines"))}
    slowdowns = _rows(read_table(folder, "slowdowns"))
    results = []
    for experiment in _rows(read_table(folder, "experiments")):
        if experiment["kind"] != "pair":
            continue
        mine = [row for row in slowdowns if row["experiment_id"] == experiment["experiment_id"]]
        mine.sort(key=lambda row: str(row["tenant"]))
        results.append(
            {
                "experiment_id": experiment["experiment_id"],
                "tenants": {row["tenant"]: labels[row["engine_id"]] for row in mine},
                "slowdowns": mine,
                "concurrency_gain_ratio": experiment["concurrency_gain_ratio"],
                "verdict": experiment["verdict"],
                "verdict_reasons": experiment["verdict_reasons"],
                "sentence": sentence(mine, experiment),
                "doubts": doubts(experiment),
            }
        )
    return results


def sentence(slowdowns: list[Row], experiment: Row) -> str:
    """Return e.g. `b slows a 1.32x [1.29, 1.35], a slows b 1.08x [1.06, 1.10]; they ran concurrently (gain 1.6)`."""
    tenants = [str(row["tenant"]) for row in slowdowns]
    parts = []
    for row in slowdowns:
        others = " and ".join(tenant for tenant in tenants if tenant != row["tenant"])
        parts.append(f"{others} slows {row['tenant']} {_ratio(row)}")
    return f"{', '.join(parts)}; {_together(experiment)}"


def doubts(experiment: Row) -> list[str]:
    """Return one line for each reason of the verdict: what it means and what to do about it."""
    from cotenant.datasets.verdicts import REASONS

    lines = []
    for reason in experiment["verdict_reasons"]:
        next_step = f"; {NEXT_STEPS[reason]}" if reason in NEXT_STEPS else ""
        lines.append(f"{reason}: {REASONS[reason].meaning}{next_step}")
    return lines


def _ratio(row: Row) -> str:
    ratio = row["slowdown_ratio"]
    if ratio is None:
        return "by an unknown factor (too few samples)"
    told = f"{ratio:.2f}x [{row['slowdown_lower_ratio']:.2f}, {row['slowdown_upper_ratio']:.2f}]"
    return f"{told} (within noise)" if row["within_noise"] else told


def _together(experiment: Row) -> str:
    gain = experiment["concurrency_gain_ratio"]
    if gain is None:
        return "whether they ran concurrently is unknown"
    if "serialised" in experiment["verdict_reasons"]:
        return f"they did not run concurrently (gain {gain:.1f})"
    if "enqueue_bound" in experiment["verdict_reasons"]:
        return f"their lanes waited for the host, so the gain ({gain:.1f}) says nothing of the device"
    return f"they ran concurrently (gain {gain:.1f})"


def _rows(table: Any) -> list[Row]:
    rows: list[Row] = table.to_pylist()
    return rows
