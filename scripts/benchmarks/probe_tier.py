"""How well probes tell the demands of the zoo on the simulated device, where the kernel lists know them exactly.

    python scripts/benchmarks/probe_tier.py [--device l4] [--seeds 3] [--json]

For each precision, batch size and seed, over six models: Spearman's rank correlation of what the probes say and what
the lists say, and the median absolute difference in percent of the device; beside it that of either slowdown alone.
`beside a stream` is the demand on memory beside somebody who streams through the whole cache, which is what probes ask;
`dram_pct` alone is what a profiler reads.
"""

import argparse
import json
import tempfile
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

from cotenant.datasets.agreement import rank_correlation
from cotenant.datasets.read import read_table
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec
from cotenant.runners.simulated.device_file import load_device
from cotenant.runners.simulated.device_schema import DeviceFile
from cotenant.runners.simulated.kernel_list import ONE

ZOO = ("convnext_tiny", "resnet50", "roberta_base", "vgg16", "vit_b_16", "yolov8n")
BATCH_SIZES = (1, 4, 8)
QUALITY = {
    "look_quads": [8], "block_s": 0.02, "block_executions_min": 3, "lead_in_s": 5e-4, "lead_in_executions": 1,
    "settle_s": 1e-3, "settle_executions": 1, "rest_s": 1e-4,
}  # fmt: skip
METRICS = {"sm_pct": "sm_pct", "l2_pct": "l2_pct", "dram_pct": "dram_pct", "dram_pct beside a stream": "dram_pct"}
PROBES = {"sm_pct": "compute", "l2_pct": "cache", "dram_pct": "dram"}

Row = dict[str, Any]


def measured(device: str, precision: str, batch_size: int, seed: int, out: Path, cache: Path) -> None:
    spec = {
        "name": "probe tier", "runner": "simulated", "device": device, "lanes": 2, "precision": precision, "seed": seed,
        "engines": {"models": list(ZOO), "batch_sizes": [batch_size]}, "quality": QUALITY,
        "experiments": [{"kind": "sensitivity", "intensities_pct": [100]}],
    }  # fmt: skip
    run_campaign(parse_spec(spec, "probe tier"), out, cache, QuietProgress())


def true_pct(path: Path, device: DeviceFile) -> dict[str, float]:
    """Return an engine's mean demands by its kernel list, in percent of what kernels can reach."""
    kernel = json.loads(path.read_bytes())
    demands = {f"{name}_pct": [Fraction(part, ONE) for part in kernel[name]] for name in ("sm", "l2", "dram")}
    beside = []
    for dram, spill, footprint in zip(kernel["dram"], kernel["spill"], kernel["footprint_bytes"], strict=True):
        lost = Fraction(max(0, footprint - device.l2_bytes // 2), footprint) if footprint else Fraction(0)
        beside.append((dram + spill * lost) / Fraction(ONE))
    demands["dram_pct beside a stream"] = beside
    durations = kernel["duration_ns"]
    return {
        name: float(100 * sum(d * n for d, n in zip(parts, durations, strict=True)) / sum(durations))
        for name, parts in demands.items()
    }


def compared(out: Path, device: DeviceFile) -> dict[str, Row]:
    """Return metric -> how the probes' percentages compare with the truth."""
    models = {row["engine_id"]: row["model"] for row in read_table(out, "engines").to_pylist()}
    rows = {
        row["engine_id"]: row
        for row in read_table(out, "throughputs").to_pylist()
        if row["counter_source"] == "probe" and models[row["engine_id"]] in ZOO
    }
    truth = {engine_id: true_pct(out / "engines" / engine_id / "kernels.json", device) for engine_id in rows}
    full = {
        (row["engine_id"], row["probe"]): row
        for row in read_table(out, "sensitivities").to_pylist()
        if row["intensity_pct"] == 100
    }
    found = {}
    for name, column in METRICS.items():
        pairs = [(row[column], truth[engine_id][name]) for engine_id, row in rows.items()]
        told, true = zip(*pairs, strict=True)
        beside = [full[engine_id, PROBES[column]] for engine_id in rows]
        found[name] = {
            "rank_correlation": rank_correlation([value or 0.0 for value in told], true),
            "pressure_rank_correlation": rank_correlation([row["pressure_ratio"] for row in beside], true),
            "sensitivity_rank_correlation": rank_correlation([row["slowdown_ratio"] for row in beside], true),
            "median_difference_pct": median(abs(a - b) for a, b in pairs if a is not None),
            "unresolved_count": sum(value is None for value in told),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="l4")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    device, rows = load_device(given.device), []
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp16", "fp32"):
            for batch_size in BATCH_SIZES:
                for seed in range(1, given.seeds + 1):
                    out = Path(folder) / f"{precision}_{batch_size}_{seed}"
                    measured(given.device, precision, batch_size, seed, out, Path(folder) / "cache")
                    row = {"precision": precision, "batch_size": batch_size, "seed": seed}
                    rows.append({**row, "metrics": compared(out, device)})
    if given.json:
        print(json.dumps({"device": given.device, "models": ZOO, "rows": rows}, indent=1))
        return
    for row in rows:
        told = [f"{name} {each['rank_correlation']:.2f}" for name, each in row["metrics"].items()]
        print(f"{row['precision']} batch {row['batch_size']} seed {row['seed']}: " + ", ".join(told))


if __name__ == "__main__":
    main()
