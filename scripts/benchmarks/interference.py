"""Is interference on this machine real, and is time slicing told apart from it?

    python scripts/benchmarks/interference.py [--load NAME ...] [--quads N] [--executions N] [--json]

A load (a model at batch size 1, or a probe) runs on lane 0 alone and beside a copy of itself on lane 1, in ABBA quads
of short blocks. On cores of their own, contention for cache and memory slows both down and costs CPU time in the same
ratio. The control puts two compute probes, which share nothing but the core, on one core: the span grows by time
slicing, and CPU time stays as it was.
"""

import argparse
import json
import math
import sys
from statistics import median
from typing import Any

from cotenant.datasets.statistics import Interval, mean_interval
from cotenant.runners.engine_cache import default_cache
from cotenant.runners.onnxruntime_cpu import RUNNER
from cotenant.runners.protocol import Completion, Engine, Lane, Loaded, Session

# models that do little with each of many weights, so that moving them is the work; then each level of the machine
LOADS = (
    "roberta_small:seq=8",
    "vit_s_32:image=32",
    "probe:dram:100",
    "probe:cache:100",
    "probe:compute:100",
)
CONTROL = "probe:compute:100"
ALPHA = 0.05
SLOWDOWN_MIN = 1.05
CPU_TOLERANCE = 0.05
SLICED_MIN = 1.5  # two lanes on one core should take about twice as long
QUADS = (("solo", "both", "both", "solo"), ("both", "solo", "solo", "both"))
BLOCK_NS = 150_000_000  # at least; shorter blocks of short executions scatter more
HANG_NS = 60_000_000_000
QUEUED_MAX = 1000  # a lane takes 1024 executions that were not collected

Medians = tuple[float, float]  # span, CPU time


def run_block(session: Session, loaded: list[Loaded], executions: int) -> Medians:
    """Run a block and return lane 0's medians while every lane was at work; its first execution does not count."""
    with session.gate():
        for lane, engine in enumerate(loaded):
            for _ in range(executions):
                session.submit(lane, engine)
    done: list[Completion] = []
    while len(done) < executions * len(loaded):
        done += session.wait(session.now_ns() + HANG_NS) or sys.exit("a lane hangs")
    window_end_ns = min(max(c.end_ns for c in done if c.lane == lane) for lane in range(len(loaded)))
    own = [c for c in done if c.lane == 0 and c.end_ns <= window_end_ns]
    kept = sorted(own, key=lambda c: c.start_ns)[1:]
    return median(c.end_ns - c.start_ns for c in kept), median(c.cpu_ns or 0 for c in kept)


def measure(engine: Engine, isolation: str, quads: int, executions: int) -> dict[str, Any]:
    """Return slowdown and CPU ratio of lane 0 with their intervals over quads."""
    spans: list[float] = []
    cpus: list[float] = []
    solo_ns: list[float] = []
    with RUNNER.open(RUNNER.device(None), [Lane(), Lane()], isolation) as session:
        loaded = [session.load(lane, engine) for lane in (0, 1)]
        marks = {"isolation_observed": session.isolation_observed, "oversubscribed": session.oversubscribed}
        warm_ns, _ = run_block(session, loaded[:1], executions)
        executions = min(QUEUED_MAX, max(executions, math.ceil(BLOCK_NS / warm_ns)))
        for quad in range(-1, quads):  # the first quad warms everything up
            arms: dict[str, list[Medians]] = {"solo": [], "both": []}
            for arm in QUADS[quad % 2]:
                arms[arm].append(run_block(session, loaded[: 1 if arm == "solo" else 2], executions))
            if quad >= 0:
                spans.append(log_ratio(arms, 0))
                cpus.append(log_ratio(arms, 1))
                solo_ns.append(median(block[0] for block in arms["solo"]))
    slowdown, cpu = bounds(spans), bounds(cpus)
    agreement = math.exp(mean_interval(cpus, ALPHA).value - mean_interval(spans, ALPHA).value)  # type: ignore[operator]
    return {
        **marks,
        "quads": quads,
        "solo_ns": median(solo_ns),
        "slowdown": slowdown,
        "cpu": cpu,
        "agreement": agreement,
    }


def log_ratio(arms: dict[str, list[Medians]], part: int) -> float:
    both, solo = (sum(math.log(block[part]) for block in arms[arm]) / 2 for arm in ("both", "solo"))
    return both - solo


def bounds(logs: list[float]) -> list[float]:
    interval: Interval = mean_interval(logs, ALPHA)
    return [math.exp(value) for value in (interval.value, interval.lower, interval.upper) if value is not None]


def show(name: str, result: dict[str, Any]) -> str:
    slowdown, cpu = ("{:.3f} [{:.3f}, {:.3f}]".format(*result[key]) for key in ("slowdown", "cpu"))
    marks = f"cpu / slowdown {result['agreement']:.3f}  {result['isolation_observed']}"
    return f"{name:<20} {result['solo_ns'] / 1e6:6.2f} ms alone  slowdown {slowdown}  cpu {cpu}  {marks}"


def judge(loads: dict[str, dict[str, Any]], control: dict[str, Any]) -> dict[str, bool]:
    contended = [own for own in loads.values() if own["slowdown"][1] > SLOWDOWN_MIN]
    return {
        "slowed": bool(contended),
        "cpu_grows_alike": all(abs(own["agreement"] - 1) <= CPU_TOLERANCE and own["cpu"][1] > 1 for own in contended),
        "control_flagged": control["oversubscribed"] and not any(own["oversubscribed"] for own in loads.values()),
        "control_is_time_slicing": control["slowdown"][1] > SLICED_MIN and abs(control["cpu"][0] - 1) <= CPU_TOLERANCE,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", nargs="+", default=list(LOADS))
    parser.add_argument("--quads", type=int, default=16)
    parser.add_argument("--executions", type=int, default=12, help="in one block, at least")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    device = RUNNER.device(None)
    own_cores, one_core = RUNNER.isolations()

    def run(load: str, isolation: str) -> dict[str, Any]:
        engine = RUNNER.build(load, 1, "fp32", RUNNER.target(device), default_cache())
        result = measure(engine, isolation, arguments.quads, arguments.executions)
        if not arguments.json:
            print(show(load, result), flush=True)
        return result

    if not arguments.json:
        print(f"{device.device_type}: a load beside a copy of itself, {arguments.quads} quads")
    loads = {load: run(load, own_cores) for load in arguments.load}
    control = run(CONTROL, one_core)
    verdict = judge(loads, control)
    if arguments.json:
        print(json.dumps({"device": device.device_type, "loads": loads, "control": control, "verdict": verdict}))
    else:
        print(", ".join(f"{name}: {holds}" for name, holds in verdict.items()))
    sys.exit(0 if all(verdict.values()) else 1)


if __name__ == "__main__":
    main()
