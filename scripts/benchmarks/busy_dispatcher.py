"""Does a busy dispatching process disturb a lane, where a core is left for it?

    python scripts/benchmarks/busy_dispatcher.py [--model NAME] [--batch N] [--rounds N] [--executions N] [--json]

One lane runs blocks while this process sleeps or computes in Python without pause, mirrored so that drift cancels:

    round   | idle | busy | idle again | idle again | busy | idle |
    pairs   busy / idle and idle again / idle (the A/A noise floor), twice a round
"""

import argparse
import json
import math
import random
import sys
import time
from typing import Any

import numpy as np

from cotenant.runners.engine_cache import default_cache
from cotenant.runners.onnxruntime_cpu import RUNNER
from cotenant.runners.protocol import Completion, Lane, Loaded, Session

ORDER = ("idle", "busy", "again", "again", "busy", "idle")
ALPHA = 0.05
RESAMPLES = 1000
TOLERANCE = 0.02
FLOOR_MAX = 0.05  # a machine noisier than that tells nothing
HANG_NS = 60_000_000_000
BUSY_SLICE_NS = 5_000_000


def run_block(session: Session, loaded: Loaded, executions: int, busy: bool) -> list[int]:
    """Return a block's spans; the first execution meets cold caches and does not count."""
    with session.gate():
        for _ in range(executions):
            session.submit(0, loaded)
    done: list[Completion] = []
    while len(done) < executions:
        if busy:
            burn(BUSY_SLICE_NS)
            done += session.wait(session.now_ns())
        else:
            done += session.wait(session.now_ns() + HANG_NS) or sys.exit("the lane hangs")
    return [c.end_ns - c.start_ns for c in done[1:]]


def burn(duration_ns: int) -> None:
    """Do what a busy dispatcher does: make and drop small Python objects."""
    end_ns = time.monotonic_ns() + duration_ns
    table: dict[int, tuple[int, str]] = {}
    index = 0
    while time.monotonic_ns() < end_ns:
        table[index % 1000] = (index, str(index))
        index += 1


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    device = RUNNER.device(None)
    engine = RUNNER.build(arguments.model, arguments.batch, "fp32", RUNNER.target(device), default_cache())
    blocks: dict[str, list[list[int]]] = {"idle": [], "busy": [], "again": []}
    with RUNNER.open(device, [Lane()]) as session:
        if not session.host_has_own_core:
            sys.exit("no core is left for the dispatching process on this machine; nothing to measure")
        loaded = session.load(0, engine)
        for round_index in range(-1, arguments.rounds):  # the first round warms everything up
            for who in ORDER:
                spans_ns = run_block(session, loaded, arguments.executions, who == "busy")
                if round_index >= 0:
                    blocks[who].append(spans_ns)
    return {"model": engine.model, "device": device.device_type, **summary(blocks)}


def summary(blocks: dict[str, list[list[int]]]) -> dict[str, Any]:
    rng = random.Random(0)
    count = len(blocks["idle"])

    def p95(who: str, chosen: list[int]) -> float:
        return float(np.quantile(np.concatenate([blocks[who][block] for block in chosen]), 0.95))

    def ratio(who: str) -> list[float]:
        """The p95 of all of a condition's executions over that of the idle ones; bounds resample pairs of blocks."""
        resampled = []
        for _ in range(RESAMPLES):
            chosen = rng.choices(range(count), k=count)
            resampled.append(p95(who, chosen) / p95("idle", chosen))
        every = list(range(count))
        lower, upper = np.quantile(resampled, [ALPHA / 2, 1 - ALPHA / 2])
        return [p95(who, every) / p95("idle", every), float(lower), float(upper)]

    busy, again = ratio("busy"), ratio("again")
    floor = max(abs(math.log(bound)) for bound in again[1:])
    undisturbed = floor <= FLOOR_MAX and (abs(busy[0] - 1) < TOLERANCE or abs(math.log(busy[0])) <= floor)
    return {
        "pairs": count,
        "idle_p95_ns": p95("idle", list(range(count))),
        "busy": busy,
        "again": again,
        "undisturbed": undisturbed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18:image=96")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12, help="two pairs each")
    parser.add_argument("--executions", type=int, default=41, help="in one block")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{result['model']} on {result['device']}: {result['pairs']} pairs of blocks")
        print(f"p95 beside an idle dispatcher   {result['idle_p95_ns'] / 1e6:.3f} ms")
        print("busy / idle                     {:.4f} [{:.4f}, {:.4f}]".format(*result["busy"]))
        print("idle / idle (noise)             {:.4f} [{:.4f}, {:.4f}]".format(*result["again"]))
        print(f"undisturbed: {result['undisturbed']} (2 % or the noise floor, which is to be at most 5 %)")
    sys.exit(0 if result["undisturbed"] else 1)


if __name__ == "__main__":
    main()
