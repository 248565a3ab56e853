"""A campaign with every kind of experiment on the simulated device, as small as its estimates allow.

But for `sensitivity`, whose probes last as long as a hundred executions of these networks: its rows are like a pair's.
"""

from pathlib import Path
from typing import Any

from tiny_campaign import write_net

from cotenant.datasets.build import build_dataset
from cotenant.datasets.raw import read_metadata
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec

QUALITY = {
    "look_quads": [3], "block_s": 2e-4, "block_executions_min": 3, "lead_in_s": 2e-5, "lead_in_executions": 1,
    "settle_s": 4e-5, "settle_executions": 2, "rest_s": 2e-5, "hang_s": 1.0,
}  # fmt: skip


def run_every_kind(folder: Path) -> Path:
    """Run it and return the campaign folder, dataset included."""
    nets = [write_net(folder / f"net{i}.onnx", seed=i, channels=16 << i, side=32) for i in range(2)]
    first, second = (f"file:{net}@1" for net in nets)
    waits = {"max_batch": 2, "wait_us": 20, "queue_bound": 3}
    deployment = [{"model": f"file:{net}", **waits} for net in nets]
    deployment[0]["deadline_ms"] = 0.05
    serving = {"deployment": deployment, "seconds": 4e-3, "turns": 2}
    experiments: list[dict[str, Any]] = [
        {"kind": "solo", "repeats": 2, "executions": 13},
        {"kind": "pair", "pairs": [[first, second]]},
        {"kind": "set", "sets": [[second, first]]},
        {"kind": "offset_sweep", "pairs": [[first, second]], "offsets": [0.6]},
        {"kind": "chain", "chains": [[first, second, first]]},
        {"kind": "sequential", "sets": [[first, second]], "repeats": 1, "rounds": 3},
        {"kind": "null", "count": 1},
        {"kind": "serving", "loads": [2.0], **serving},
    ]
    spec = {
        "name": "every kind", "runner": "simulated", "device": "l4", "lanes": 2, "seed": 5, "quality": QUALITY,
        "engines": {"models": [f"file:{net}" for net in nets], "batch_sizes": [1, 2]}, "experiments": experiments,
    }  # fmt: skip
    run_campaign(parse_spec(spec, "every kind"), folder / "out", folder / "cache", QuietProgress())
    for path in (folder / "out" / "raw").glob("*.parquet"):
        facts = read_metadata(path) if "." not in path.name.removesuffix(".parquet") else None
        if facts and facts["kind"] == "sequential" and facts["repeat"] > 1:
            path.unlink()  # two of each are enough
    build_dataset(folder / "out")
    return folder / "out"
