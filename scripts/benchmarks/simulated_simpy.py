"""How fast is the simulated GPU against a SimPy model of the same law, on the same input, with the same stamps?

    python scripts/benchmarks/simulated_simpy.py [--executions N] [--runs N] [--lanes N ...] [--json]

Every lane runs executions back to back under `streams`; each engine is a list of 60 kernels of 2 to 60 us with gaps
around 1 us, and each execution has a noise factor of its own. A kernel event is the end of a kernel. Both run in this
process, on one core, from the submission of lists that are loaded to the last stamp; the compiled loop is warm. Exits
with 1 if a stamp differs by more than 1 ns or the loop is less than 100 times as fast.
"""

import argparse
import json
import random
import sys
import time
from importlib.metadata import version
from statistics import median
from typing import Any

import simpy_gpu
from simpy_gpu import ONE, Kernel

SEED = 7
KERNELS = 60
L2_BYTES = 40 * 2**20
TARGET_RATIO = 100.0
Lanes = list[list[tuple[list[Kernel], int]]]


def engine(rng: random.Random) -> list[Kernel]:
    """Draw a list of kernels: about half of them want most of the SMs, the others the memory."""
    kernels = []
    for _ in range(KERNELS):
        bound = rng.random() < 0.5
        high, low = rng.randrange(ONE // 2, ONE + 1), rng.randrange(ONE // 8, ONE // 2)
        kernels.append(
            Kernel(
                gap_ns=rng.randrange(800, 1_200),
                duration_ns=rng.randrange(2_000, 60_000),
                sm=high if bound else low,
                l2=rng.randrange(ONE // 2),
                dram=low if bound else high,
                spill=rng.randrange(ONE // 2),
                footprint_bytes=rng.randrange(1, L2_BYTES),
            )
        )
    return kernels


def workload(lane_count: int, executions: int) -> Lanes:
    """Return (kernel list, noise factor) of every execution of every lane."""
    rng = random.Random(SEED)
    engines = [engine(rng) for _ in range(lane_count)]
    return [[(own, max(1, round(ONE * rng.lognormvariate(0, 0.02)))) for _ in range(executions)] for own in engines]


def measure_model(lanes: Lanes, runs: int) -> tuple[dict[str, Any], dict[int, list[tuple[int, int]]]]:
    """Time the SimPy model; return what it took and its stamps by lane."""
    times = []
    for _ in range(runs):
        begin_ns = time.perf_counter_ns()
        gpu = simpy_gpu.run(lanes, L2_BYTES)
        times.append(time.perf_counter_ns() - begin_ns)
    rate = gpu.kernel_events / median(times) * 1e9
    found = {"way": f"simpy {version('simpy')}", "lane_count": len(lanes), "kernel_event_count": gpu.kernel_events}
    return found | {
        "rate_change_count": gpu.rate_changes,
        "time_ns": round(median(times)),
        "events_per_s": rate,
    }, gpu.stamps


def device_file() -> Any:
    """Return a device of the workload's cache size, for factors of its own."""
    from cotenant.runners.simulated.device_file import load_device

    return load_device("l4").model_copy(update={"l2_bytes": L2_BYTES})


def opened(lanes: Lanes) -> tuple[Any, list[Any]]:
    """Return a session with every lane's engine loaded, and what is loaded."""
    import numpy as np

    from cotenant.runners.simulated.kernel_list import LIMITS, kernel_list
    from cotenant.runners.simulated.session import SimulatedSession

    by_ticket = np.array([lane[i][1] for i in range(len(lanes[0])) for lane in lanes], np.int64)

    def factors(first: int, count: int) -> Any:
        return by_ticket[np.arange(first, first + count) % len(by_ticket)]

    depth = len(lanes[0])
    session = SimulatedSession(device_file(), "streams", [ONE] * len(lanes), 0, factors, max(1, depth))
    lists = [
        kernel_list([""] * KERNELS, **{column: [getattr(kernel, column) for kernel in lane[0][0]] for column in LIMITS})
        for lane in lanes
    ]
    return session, [session.load_kernels(lane, str(lane), kernels) for lane, kernels in enumerate(lists)]


def measure_loop(lanes: Lanes, runs: int) -> tuple[dict[str, Any], dict[int, list[tuple[int, int]]]]:
    """Time the compiled loop likewise."""
    times = []
    for run in range(runs + 1):  # the first one compiles
        session, loaded = opened(lanes)
        begin_ns = time.perf_counter_ns()
        for _ in lanes[0]:
            for lane, engine_of_lane in enumerate(loaded):
                session.submit(lane, engine_of_lane)
        done = session.drain()
        times += [time.perf_counter_ns() - begin_ns] if run else []
    kernel_events = session.phase_counts()[0]
    stamps: dict[int, list[tuple[int, int]]] = {lane: [] for lane in range(len(lanes))}
    for _, lane, start_ns, end_ns in done.tolist():
        stamps[lane].append((start_ns, end_ns))
    found = {"way": "compiled loop", "lane_count": len(lanes), "kernel_event_count": kernel_events}
    return found | {"time_ns": round(median(times)), "events_per_s": kernel_events / median(times) * 1e9}, stamps


def compare(lane_count: int, executions: int, runs: int) -> list[dict[str, Any]]:
    """Measure both ways; the loop's row says how much faster it is and how far stamps are apart at most."""
    lanes = workload(lane_count, executions)
    model, expected = measure_model(lanes, runs)
    loop, found = measure_loop(lanes, runs)
    apart = [
        max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        for lane in range(lane_count)
        for ours, theirs in zip(found[lane], expected[lane], strict=True)
    ]
    loop["speed_ratio"] = loop["events_per_s"] / model["events_per_s"]
    loop["stamps_apart_ns"] = max(apart)
    if loop["kernel_event_count"] != model["kernel_event_count"]:
        raise SystemExit(f"kernel events differ: {loop['kernel_event_count']} and {model['kernel_event_count']}")
    return [model, loop]


def report(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        figures = f"{row['kernel_event_count']:>10,} kernel events  {row['events_per_s']:>12,.0f} per second"
        beside = ""
        if "speed_ratio" in row:
            beside = f"  {row['speed_ratio']:,.0f} times the model, stamps {row['stamps_apart_ns']} ns apart at most"
        print(f"{row['lane_count']} lanes  {row['way']:<14} {figures}{beside}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=300, help="of each lane")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for lane_count in options.lanes for row in compare(lane_count, options.executions, options.runs)]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        report(rows)
    loops = [row for row in rows if "speed_ratio" in row]
    return int(any(row["speed_ratio"] < TARGET_RATIO or row["stamps_apart_ns"] > 1 for row in loops))


if __name__ == "__main__":
    sys.exit(main())
