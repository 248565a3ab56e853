"""Does a lane measure what a bare ONNX Runtime loop measures?

    python scripts/benchmarks/bare_loop.py [--model NAME] [--batch N] [--rounds N] [--executions N] [--json]

Two bare processes and one lane take turns on the same core in short blocks, mirrored so that drift cancels:

    round   | bare | lane | other bare | other bare | lane | bare |
    pairs   lane / bare and other bare / bare (the A/A), twice a round

The lane agrees if the median of its ratios is within 2 %, or within the band that the same median of bare against bare
has (95 % of bootstrap resamples of its pairs).

The bare loop shares nothing with the runner: plain `session.run` with one thread, its own inputs, its own process.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from cotenant.runners.engine_cache import default_cache
from cotenant.runners.onnxruntime_cpu import RUNNER
from cotenant.runners.onnxruntime_cpu.cores import allowed_cores, lane_order
from cotenant.runners.protocol import Completion, Engine, Lane, Loaded, Session

TOLERANCE = 0.02
RESAMPLES = 2000
ORDER = ("bare", "lane", "other", "other", "lane", "bare")
HANG_NS = 60_000_000_000


def bare_worker(folder: Path, core: int) -> None:
    """Run blocks of as many executions as each line of stdin says; answer with their spans and CPU times."""
    os.sched_setaffinity(0, {core})
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "graph.onnx"), options, providers=["CPUExecutionProvider"])
    rng, feeds = np.random.default_rng(), {}
    for tensor in json.loads((folder / "meta.json").read_text())["inputs"]:
        draw = rng.integers(0, tensor["high"] or 1, tensor["shape"]) if "int" in tensor["dtype"] else None
        feeds[tensor["name"]] = (rng.standard_normal(tensor["shape"]) if draw is None else draw).astype(tensor["dtype"])
    print("ready", flush=True)
    for line in sys.stdin:
        samples = []
        for _ in range(int(line)):
            cpu_ns, start_ns = time.process_time_ns(), time.monotonic_ns()
            session.run(None, feeds)
            end_ns, cpu_end_ns = time.monotonic_ns(), time.process_time_ns()
            samples.append((end_ns - start_ns, cpu_end_ns - cpu_ns))
        print(json.dumps(samples), flush=True)


class Bare:
    """A bare process and the pipe to it."""

    def __init__(self, engine: Engine, core: int) -> None:
        command = [sys.executable, __file__, "--worker", str(engine.folder), str(core)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def block(self, executions: int) -> tuple[float, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{executions}\n")
        self.process.stdin.flush()
        return medians(json.loads(self._read()))

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline() or sys.exit("a bare process has died")

    def close(self) -> None:
        self.process.communicate()


def lane_block(session: Session, loaded: Loaded, executions: int) -> tuple[float, float]:
    with session.gate():
        for _ in range(executions):
            session.submit(0, loaded)
    done: list[Completion] = []
    while len(done) < executions:
        done += session.wait(session.now_ns() + HANG_NS) or sys.exit("the lane hangs")
    return medians([(c.end_ns - c.start_ns, c.cpu_ns or 0) for c in done])


def medians(samples: list[tuple[int, int]]) -> tuple[float, float]:
    """Median span and CPU time; the first execution of a block meets cold caches and does not count."""
    return median(span for span, _ in samples[1:]), median(cpu for _, cpu in samples[1:])


def measure(engine: Engine, rounds: int, executions: int) -> dict[str, Any]:
    core = lane_order(allowed_cores())[0]
    bare = {name: Bare(engine, core) for name in ("bare", "other")}
    blocks: dict[str, list[tuple[float, float]]] = {"bare": [], "other": [], "lane": []}
    with RUNNER.open(RUNNER.device(None), [Lane()]) as session:
        loaded = session.load(0, engine)
        for round_index in range(-1, rounds):  # the first round warms everything up
            for who in ORDER:
                block = lane_block(session, loaded, executions) if who == "lane" else bare[who].block(executions)
                if round_index >= 0:
                    blocks[who].append(block)
    for process in bare.values():
        process.close()
    return summary(engine, blocks, executions)


def summary(engine: Engine, blocks: dict[str, list[tuple[float, float]]], executions: int) -> dict[str, Any]:
    def ratios(who: str, part: int) -> list[float]:
        return [block[part] / base[part] for block, base in zip(blocks[who], blocks["bare"], strict=True)]

    span, cpu, same, same_cpu = ratios("lane", 0), ratios("lane", 1), ratios("other", 0), ratios("other", 1)
    band = median_band(same)
    result: dict[str, Any] = {
        "model": engine.model,
        "batch_size": engine.batch_size,
        "device": RUNNER.device(None).device_type,
        "pairs": len(span),
        "executions_per_block": executions,
        "bare_span_ns": median(block[0] for block in blocks["bare"]),
        "lane_span_ns": median(block[0] for block in blocks["lane"]),
        "span_ratio": median(span),
        "same_span_ratio": median(same),
        "same_span_band": list(band),
        "cpu_ratio": median(cpu),
        "same_cpu_ratio": median(same_cpu),
    }
    within = abs(result["span_ratio"] - 1) <= TOLERANCE or band[0] <= result["span_ratio"] <= band[1]
    return {**result, "span_agrees": within, "cpu_agrees": abs(result["cpu_ratio"] - 1) <= TOLERANCE}


def median_band(ratios: list[float]) -> tuple[float, float]:
    """Where the median of as many pairs lies in 95 % of resamples."""
    rng = random.Random(0)
    medians_ = sorted(median(rng.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return medians_[RESAMPLES // 40], medians_[-RESAMPLES // 40]


def report(result: dict[str, Any]) -> str:
    low, high = result["same_span_band"]
    lines = [
        f"{result['model']} batch {result['batch_size']} on {result['device']}: {result['pairs']} pairs of blocks",
        f"bare loop       {result['bare_span_ns'] / 1e6:.3f} ms    lane {result['lane_span_ns'] / 1e6:.3f} ms",
        f"lane / bare     span {result['span_ratio']:.4f}   cpu {result['cpu_ratio']:.4f}   (median of paired ratios)",
        f"bare / bare     span {result['same_span_ratio']:.4f}   cpu {result['same_cpu_ratio']:.4f}"
        f"   its median lies in [{low:.4f}, {high:.4f}] (95 %)",
        f"span agrees: {result['span_agrees']} (2 % or the band)    cpu agrees: {result['cpu_agrees']} (2 %)",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18:image=96")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=24, help="two pairs each")
    parser.add_argument("--executions", type=int, default=16, help="in one block")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        bare_worker(Path(arguments.worker[0]), int(arguments.worker[1]))
        return
    target = RUNNER.target(RUNNER.device(None))
    engine = RUNNER.build(arguments.model, arguments.batch, "fp32", target, default_cache())
    result = measure(engine, arguments.rounds, arguments.executions)
    print(json.dumps(result) if arguments.json else report(result))
    sys.exit(0 if result["span_agrees"] and result["cpu_agrees"] else 1)


if __name__ == "__main__":
    main()
