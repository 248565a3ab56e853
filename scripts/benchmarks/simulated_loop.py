"""How fast is the simulated GPU, in its compiled loop and through submit and wait, and is its memory flat?

    python scripts/benchmarks/simulated_loop.py [--models NAME NAME] [--batch N] [--kernels N] [--executions N] [--json]

One process on one core, two lanes that are never idle: a closed loop two deep, in which the host collects every
execution and submits the next. The loop alone runs the kernel lists of two networks, as many executions of each as end
together, in one call; a kernel event is a kernel that ended, and the gaps before kernels come on top (they are events
too). The same networks run in a closed loop with all that the host does, and so do executions of one kernel. Memory is
looked at after a run and after one ten times as long.
"""

import argparse
import json
import os
import resource
import sys
import time
from importlib.metadata import version
from statistics import median
from typing import Any

LOOP_TARGET_PER_S = 10_000_000
HOST_TARGET_PER_S = 200_000
FLAT_BYTES = 4 << 20  # what ten times as long a run may add: less than a byte an execution
DEVICE = "l4"
LANES = 2
FAR_NS = 10**17


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def loop_alone(session: Any, loaded: list[Any], per_lane: list[int], kernels: int) -> dict[str, Any]:
    """Run queues that both last to the end, in one call of the loop each, until so many kernels have ended."""
    begun, spent_ns, ended = session.phase_counts(), 0, (0, 0)
    while ended[0] < kernels:
        for engine, count in zip(loaded, per_lane, strict=True):
            for _ in range(count):
                session.submit(engine.lane, engine)
        begin_ns = time.perf_counter_ns()
        session.drain()
        spent_ns += time.perf_counter_ns() - begin_ns
        now = session.phase_counts()
        ended = (now[0] - begun[0], now[1] - begun[1])
    return {"kernels": ended[0], "gaps": ended[1], "time_ns": spent_ns, "kernels_per_s": ended[0] / spent_ns * 1e9}


def closed_loop(session: Any, loaded: list[Any], executions: int) -> dict[str, Any]:
    """Keep every lane two deep until so many executions have ended; all that the host does counts."""
    begun, count, per_lane = session.phase_counts(), 0, [0] * len(loaded)
    begin_ns = time.perf_counter_ns()
    for engine in loaded * 2:
        session.submit(engine.lane, engine)
    while count < executions:
        for completion in session.wait(FAR_NS):
            count += 1
            per_lane[completion.lane] += 1
            session.submit(completion.lane, loaded[completion.lane])
    spent_ns = time.perf_counter_ns() - begin_ns
    kernels, gaps = (now - before for now, before in zip(session.phase_counts(), begun, strict=True))
    session.drain()
    return {
        "kernels": kernels,
        "gaps": gaps,
        "time_ns": spent_ns,
        "kernels_per_s": kernels / spent_ns * 1e9,
        "executions_per_s": count / spent_ns * 1e9,
        "per_lane": per_lane,
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    from cotenant.runners.engine_cache import default_cache
    from cotenant.runners.protocol import Lane
    from cotenant.runners.simulated import RUNNER
    from cotenant.runners.simulated.kernel_list import kernel_list

    device = RUNNER.device(DEVICE)
    with RUNNER.open(device, [Lane()] * LANES) as session:
        engines = [
            RUNNER.build(model, arguments.batch, "fp16", RUNNER.target(device), default_cache())
            for model in arguments.models
        ]
        networks = [session.load(lane, engine) for lane, engine in enumerate(engines)]
        counts = closed_loop(session, networks, 1_000)["per_lane"]  # compiles, too
        per_lane = [round(count * 1_000 / max(counts)) for count in counts]
        runs = [loop_alone(session, networks, per_lane, arguments.kernels) for _ in range(arguments.runs)]
        hosted = [closed_loop(session, networks, 10 * sum(per_lane)) for _ in range(arguments.runs)]
    half = {"sm": [1 << 19], "l2": [1 << 19], "dram": [1 << 20], "spill": [0], "footprint_bytes": [0]}
    small = kernel_list(["one"], gap_ns=[1_000], duration_ns=[9_000], **half)
    with RUNNER.open(device, [Lane()] * LANES) as session:
        ones = [session.load_kernels(lane, "one", small) for lane in range(LANES)]  # type: ignore[attr-defined]
        speeds = [closed_loop(session, ones, arguments.executions)["executions_per_s"] for _ in range(arguments.runs)]
        before = peak_bytes()
        closed_loop(session, ones, 10 * arguments.executions)
        added = peak_bytes() - before
    per_s = median(run["kernels_per_s"] for run in runs)
    return {
        "core": core,
        "versions": {name: version(name) for name in ("numba", "numpy")},
        "models": arguments.models,
        "batch_size": arguments.batch,
        "loop": runs,
        "kernels_per_s": per_s,
        "hosted_kernels_per_s": median(run["kernels_per_s"] for run in hosted),
        "executions_per_s": median(speeds),
        "executions": arguments.executions,
        "added_bytes": added,
        "loop_fast_enough": per_s >= LOOP_TARGET_PER_S,
        "host_fast_enough": median(speeds) >= HOST_TARGET_PER_S,
        "flat": added <= FLAT_BYTES,
    }


def report(result: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    run = result["loop"][0]
    models = " beside ".join(result["models"])
    lines = [
        f"one core ({result['core']}), {versions}; {models}, batch {result['batch_size']}, on {DEVICE}",
        f"compiled loop      {result['kernels_per_s'] / 1e6:6.2f} million kernels a second, and "
        f"{run['gaps'] / run['kernels']:.2f} gaps a kernel on top ({run['kernels']:,} kernels a run)",
        f"with its host      {result['hosted_kernels_per_s'] / 1e6:6.2f} million kernels a second",
        f"submit and wait    {result['executions_per_s'] / 1e3:6.0f} thousand executions of one kernel a second",
        f"memory             {result['added_bytes'] / 2**20:6.2f} MiB more after {10 * result['executions']:,} "
        f"executions than after {result['executions']:,}",
        f"loop fast enough: {result['loop_fast_enough']} (10 million), host fast enough: "
        f"{result['host_fast_enough']} (200 thousand), flat: {result['flat']} ({FLAT_BYTES >> 20} MiB)",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs=LANES, default=["resnet50", "roberta_base"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--kernels", type=int, default=10_000_000, help="in each run of the loop")
    parser.add_argument("--executions", type=int, default=200_000, help="in each run through submit and wait")
    parser.add_argument("--runs", type=int, default=5, help="the median counts")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments)
    print(json.dumps(result) if arguments.json else report(result))
    sys.exit(0 if all(result[name] for name in ("loop_fast_enough", "host_fast_enough", "flat")) else 1)


if __name__ == "__main__":
    main()
