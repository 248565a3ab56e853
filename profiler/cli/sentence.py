"""The plain sentence that a pair ends with: who slows whom by how much, and how far that can be trusted."""

from pathlib import Path
from typing import Any

Row = dict[str, Any]

TRUST = {  # what a verdict or one of its reasons asks the reader to do next
    "serialised": "they took turns instead of running at once: this isolation mode does not co-locate on this device",
    "saturated": "running together gained nothing: both want all of one resource",
    "oversubscribed": "lanes shared cores: this is time slicing, use no more lanes than cores",
    "drift": "the machine drifted meanwhile: run it again when it is quiet",
    "cap": "the interval is still wide at the cap: run it again, or allow more quads in a spec",
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
    told = [f"{', '.join(parts)}; {_together(experiment)}", *_advice(slowdowns, experiment)]
    return ". ".join(told)


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
    if "serialised" in (experiment["verdict_reasons"] or []):
        return f"they did not run concurrently (gain {gain:.1f})"
    return f"they ran concurrently (gain {gain:.1f})"


def _advice(slowdowns: list[Row], experiment: Row) -> list[str]:
    reasons = [*(experiment["verdict_reasons"] or []), *(row["stop_reason"] for row in slowdowns)]
    return [TRUST[reason] for reason in dict.fromkeys(reasons) if reason in TRUST]


def _rows(table: Any) -> list[Row]:
    rows: list[Row] = table.to_pylist()
    return rows
