"""Do null co-locations show nothing? Runs many through the ordinary campaign and counts intervals that hold 1.00.

    python scripts/benchmarks/null_colocations.py [--count 40] [--out FOLDER] [--json]

Each interval has a confidence of 95 %, so a sound protocol gives about 38 of 40. Fewer than 35 of 40 ends with exit
code 1.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from cotenant.datasets.read import read_table
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec
from cotenant.runners.engine_cache import default_cache

HOLDING_PART_MIN = 35 / 40
MODELS = ["resnet18:image=96", "vit_s_32:image=96", "roberta_small:seq=32"]  # the quickstart's


def spec(count: int) -> dict[str, object]:
    return {
        "name": "nulls",
        "engines": {"models": MODELS, "batch_sizes": [1]},
        "experiments": [{"kind": "null", "count": count}],
        "quality": {"look_quads": [8]},
    }


def measure(count: int, out: Path) -> dict[str, Any]:
    run_campaign(parse_spec(spec(count), "null_colocations"), out, default_cache(), QuietProgress())
    slowdowns = read_table(out, "slowdowns").to_pylist()
    experiments = {row["experiment_id"]: row for row in read_table(out, "experiments").to_pylist()}
    rows = [row for row in slowdowns if experiments[row["experiment_id"]]["kind"] == "null"]
    holding = sum(row["slowdown_lower_ratio"] <= 1.0 <= row["slowdown_upper_ratio"] for row in rows)
    widths = sorted((row["slowdown_upper_ratio"] - row["slowdown_lower_ratio"]) / 2 for row in rows)
    return {
        "device": read_table(out, "devices")["device_type"][0].as_py(),
        "models": MODELS,
        "nulls": len(rows),
        "holding_one": holding,
        "half_width_ratio_median": widths[len(widths) // 2],
        "half_width_ratio_max": widths[-1],
        "slowdown_ratio_min": min(row["slowdown_ratio"] for row in rows),
        "slowdown_ratio_max": max(row["slowdown_ratio"] for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(arguments.count, arguments.out or Path(temporary) / "nulls")
    report(result, arguments.json)
    sys.exit(0 if result["holding_one"] >= HOLDING_PART_MIN * result["nulls"] else 1)


def report(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    print(f"{result['holding_one']} of {result['nulls']} null intervals hold 1.00")
    print(f"half width: median {result['half_width_ratio_median']:.4f}, largest {result['half_width_ratio_max']:.4f}")
    print(f"slowdowns from {result['slowdown_ratio_min']:.4f} to {result['slowdown_ratio_max']:.4f}")


if __name__ == "__main__":
    main()
