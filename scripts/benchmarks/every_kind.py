"""Every kind of experiment once, from one spec, on a real or a simulated device; what each shows, and whether it may.

    python scripts/benchmarks/every_kind.py [--runner NAME] [--device NAME] [--out FOLDER] [--json]

The spec is the ready campaign `every-kind`; only runner and device change. Ends with exit code 1 if a check of the
dataset fails, if slowdown does not grow with overlap, or if lone rows show a slowdown that the run does not explain.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cotenant.datasets.check import check_dataset
from cotenant.datasets.read import read_table
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import load_spec
from cotenant.runners.engine_cache import default_cache

SPEC = "every-kind"
Z95 = 1.959964  # half width of an interval of 95 % in standard errors
SHOWN = ("pair", "set", "chain", "sensitivity", "null")

Row = dict[str, Any]


def measure(runner: str | None, device: str | None, out: Path) -> Row:
    changes = {"runner": runner, "device": device} if runner else {}
    spec = load_spec(SPEC).model_copy(update=changes)
    outcome = run_campaign(spec, out, default_cache(), QuietProgress())
    tables = {name: read_table(out, name).to_pylist() for name in ("experiments", "slowdowns", "engines", "devices")}
    experiments = {row["experiment_id"]: row for row in tables["experiments"]}
    labels = {row["engine_id"]: f"{row['model']}@{row['batch_size']}" for row in tables["engines"]}
    sweep = sweep_rows(out, experiments, tables["slowdowns"])
    return {
        "device": tables["devices"][0]["device_type"],
        "runner": spec.runner,
        "experiments": outcome.done_count,
        "failed": outcome.failed_count,
        "findings": len(check_dataset(out).findings),
        "slowdowns": [
            shown(row, experiments[row["experiment_id"]], labels) for row in tables["slowdowns"] if row["kind"] in SHOWN
        ],
        "sweep": sweep,
        "sweep_slope": slope(sweep),
        "servings": [serving(row) for row in experiments.values() if row["kind"] == "serving"],
    }


def shown(row: Row, experiment: Row, labels: dict[str, str]) -> Row:
    return {
        "kind": row["kind"],
        "lanes": experiment["lanes"],
        "engine": labels[row["engine_id"]],
        "beside": [labels[each] for each in row["co_engine_ids"]],
        "slowdown_ratio": [row[f"slowdown_{part}ratio"] for part in ("", "lower_", "upper_")],
        "noise_floor_ratio": row["noise_floor_ratio"],
        "within_noise": row["within_noise"],
        "gain_ratio": experiment["concurrency_gain_ratio"],
        "reasons": experiment["verdict_reasons"],
    }


def sweep_rows(out: Path, experiments: dict[str, Row], slowdowns: list[Row]) -> list[Row]:
    """Each offset with the mean slowdown of both tenants and the part of their spans that truly overlapped."""
    overlapped = overlapped_parts(out)
    rows = []
    for experiment_id, experiment in experiments.items():
        if experiment["kind"] != "offset_sweep":
            continue
        own = [row for row in slowdowns if row["experiment_id"] == experiment_id]
        logs = [math.log(row["slowdown_ratio"]) for row in own]
        errors = [math.log(row["slowdown_upper_ratio"] / row["slowdown_lower_ratio"]) / (2 * Z95) for row in own]
        rows.append(
            {
                "offset_ratio": json.loads(experiment["spec"])["options"]["offset_ratio"],
                "overlapped_ratio": overlapped[experiment_id],
                "slowdown_ratio": math.exp(sum(logs) / len(logs)),
                # tenants of one block share its noise: their errors add up as if they were one
                "standard_error": sum(errors) / len(errors),
                "reasons": experiment["verdict_reasons"],
            }
        )
    return sorted(rows, key=lambda row: float(row["offset_ratio"]))


def overlapped_parts(out: Path) -> dict[str, float]:
    executions = table_of(out, "executions", "role", "span_ns")
    overlaps = table_of(out, "overlaps", "co_count", "duration_ns")
    beside = overlaps[overlaps.co_count > 0].groupby(["experiment_id", "execution_id"]).duration_ns.sum()
    main = executions[executions.role == "main"].set_index(["experiment_id", "execution_id"])
    part = beside.reindex(main.index, fill_value=0) / main.span_ns
    return {str(key): float(value) for key, value in part.groupby("experiment_id").mean().items()}


def table_of(out: Path, name: str, *columns: str) -> pd.DataFrame:
    return read_table(out, name).select(["experiment_id", "execution_id", *columns]).to_pandas()


def slope(rows: list[Row]) -> Row:
    """Weighted least squares of log slowdown over the part that overlapped, with an interval of 95 %."""
    x = np.array([row["overlapped_ratio"] for row in rows])
    y = np.log([row["slowdown_ratio"] for row in rows])
    weights = 1 / np.maximum([row["standard_error"] for row in rows], 1e-6) ** 2
    centred = x - np.average(x, weights=weights)
    spread = float(np.sum(weights * centred**2))
    found = float(np.sum(weights * centred * y)) / spread
    residuals = y - np.average(y, weights=weights) - found * centred
    scatter = max(1.0, float(np.sum(weights * residuals**2)) / (len(rows) - 2))  # more scatter than the errors tell
    half = Z95 * math.sqrt(scatter / spread)
    return {"log_slope": found, "lower": found - half, "upper": found + half}


def serving(row: Row) -> Row:
    names = (
        *("offered_load", "stationary", "lone_execution_count", "lone_slowdown_ratio"),
        *("lone_slowdown_lower_ratio", "lone_slowdown_upper_ratio", "generator_lag_p99_ns", "verdict_reasons"),
    )
    return {name: row[name] for name in names}


def faults(result: Row) -> list[str]:
    found = []
    if result["findings"] or result["failed"]:
        found.append(f"{result['findings']} findings, {result['failed']} failed experiments")
    if result["sweep_slope"]["lower"] <= 0:
        found.append("slowdown does not grow with overlap")
    for row in result["servings"]:
        lower, upper = row["lone_slowdown_lower_ratio"], row["lone_slowdown_upper_ratio"]
        explained = "solo_not_representative" in row["verdict_reasons"] or row["lone_slowdown_ratio"] is None
        if not explained and not lower <= 1.0 <= upper:
            found.append(f"lone rows at load {row['offered_load']} are not 1.00 and the run does not say why")
    return found


def report(result: Row) -> None:
    print(f"{result['runner']} on {result['device']}: {result['experiments']} experiments, {result['failed']} failed")
    for row in sorted(result["slowdowns"], key=lambda each: SHOWN.index(each["kind"])):
        ratio, lower, upper = row["slowdown_ratio"]
        floor = "none" if row["noise_floor_ratio"] is None else f"{row['noise_floor_ratio']:.3f}"
        beside, reasons = " and ".join(row["beside"]) or "none", ", ".join(row["reasons"]) or "ok"
        print(
            f"{row['kind']:12} {row['engine']:26} {ratio:.3f} [{lower:.3f}, {upper:.3f}] floor {floor}"
            f" beside {beside}, {row['lanes']} lanes: {reasons}"
        )
    print("offset  overlapped  mean slowdown")
    for row in result["sweep"]:
        error = row["slowdown_ratio"] * row["standard_error"]
        print(
            f"{row['offset_ratio']:6.2f} {row['overlapped_ratio']:11.3f} {row['slowdown_ratio']:10.3f} +- {error:.3f}"
        )
    line = result["sweep_slope"]
    print(f"log slowdown over overlapped part: {line['log_slope']:.3f} [{line['lower']:.3f}, {line['upper']:.3f}]")
    for row in result["servings"]:
        print("serving " + ", ".join(f"{name} {value}" for name, value in row.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runner")
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, help="campaign folder; one that is there is gone on with")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(arguments.runner, arguments.device, arguments.out or Path(temporary) / SPEC)
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        report(result)
    found = faults(result)
    print(*(f"fault: {each}" for each in found), sep="\n", end="\n" if found else "", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
