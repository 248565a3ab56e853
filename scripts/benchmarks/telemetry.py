"""What does telemetry cost, and does it move medians? Its own CPU time, and solo blocks with and without it in quads.

    python scripts/benchmarks/telemetry.py [--quads 32] [--block-s 1.5] [--cost-s 60] [--json]

(1) CPU time of the sampling as a part of one core, at the default interval and idle otherwise: of the host's source for
    real; of NVML with a stand-in in Python, since that needs no GPU: what a driver's getters cost is not in it.
(2) One engine alone on the onnxruntime-cpu runner, in ABBA quads of blocks without and with telemetry, interleaved.
    With must look like without: the interval of the ratio of medians holds 1.00, and its half width is at most 1 % or
    the noise floor, which the same blocks without telemetry in both arms give.

Ends with exit code 1 if telemetry costs 0.5 % of a core or more, or moves medians.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np

from cotenant.datasets.quads import QuadBlock, counted_spans, estimate_slowdown, is_narrow, noise_floor_ratio
from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.blocks import block_lead_in, hang_ns
from cotenant.profiler.experiments.closed_loop import run_for
from cotenant.profiler.quality.host import HostSource
from cotenant.profiler.quality.nvml_source import NvmlSource
from cotenant.profiler.quality.source import Source
from cotenant.profiler.quality.telemetry import Telemetry
from cotenant.profiler.quality.thresholds import ALPHA, TELEMETRY_S, Quality
from cotenant.runners.engine_cache import default_cache
from cotenant.runners.protocol import Lane
from cotenant.runners.registry import load

MODEL = "resnet18:image=96"
CORE_PCT_MAX = 0.5
HALF_WIDTH_MAX_RATIO = 0.01
ORDERS = ("abba", "baab")
Arms = dict[str, list[QuadBlock]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quads", type=int, default=32)
    parser.add_argument("--block-s", type=float, default=1.5)
    parser.add_argument("--cost-s", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    costs = [cost(HostSource(), arguments.cost_s), cost(stand_in(), arguments.cost_s)]
    result = {**quads(arguments.quads, arguments.block_s), "interval_s": TELEMETRY_S, "costs": costs}
    costly = [each for each in costs if each["core_pct"] >= CORE_PCT_MAX]
    moved = not result["holds_one"] or not result["narrow"]
    report(result, arguments.json)
    sys.exit(1 if costly or moved else 0)


def cost(source: Source, seconds: float) -> dict[str, Any]:
    """Sample for a while beside nothing; what it costs is the CPU time of thread and outer samples."""
    with Telemetry(source, TELEMETRY_S) as telemetry:
        time.sleep(seconds)
    taken_ns = sorted(row["sample_ns"] for row in telemetry.rows)
    return {
        "source": source.name if isinstance(source, HostSource) else f"{source.name} (stand-in, no driver)",
        "seconds": seconds,
        "sample_count": len(taken_ns),
        "cpu_ns": telemetry.cpu_ns,
        "core_pct": 100 * telemetry.cpu_ns / (seconds * 1e9),
        "sample_p50_ns": taken_ns[len(taken_ns) // 2],
        "sample_max_ns": taken_ns[-1],
        "getter_cpu_ns": getters_ns(source),
    }


def getters_ns(source: Source, times: int = 50) -> dict[str, float]:
    """Return the median cost of each question of a snapshot."""
    taken: dict[str, list[int]] = {}
    for _ in range(times):
        for name, cost_ns in source.snapshot().cost_ns.items():
            taken.setdefault(name, []).append(cost_ns)
    return {name: float(np.median(costs)) for name, costs in sorted(taken.items())}


def stand_in() -> NvmlSource:
    """Return a source over answers in Python: the cost of our own side of NVML."""
    from types import SimpleNamespace

    rates = SimpleNamespace(gpu=0, memory=0)
    answers = {"nvmlDeviceGetUtilizationRates": rates, "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=1, free=1)}
    lists = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetMPSComputeRunningProcesses")

    class Answers:
        def __getattr__(self, name: str) -> Any:
            return lambda *asked: answers.get(name, [] if name in lists else 0)

    return NvmlSource(Answers(), "GPU-stand-in")


def quads(count: int, block_s: float) -> dict[str, Any]:
    """Run quads with and without telemetry, and as many without it in both arms, in turns."""
    compared: Arms = {"telemetry": [], "nothing": []}
    with placed() as (bench, tenant):
        for quad_index in range(count):
            for what, blocks in compared.items():
                for letter in ORDERS[quad_index % 2]:
                    watched = letter == "b" and what == "telemetry"
                    blocks.append(block(bench, tenant, quad_index, letter == "b", watched, block_s))
    found = {what: estimate_slowdown(blocks, ALPHA) for what, blocks in compared.items()}
    seen, null = found["telemetry"], found["nothing"]
    bounds = [(null.lower, null.upper)] if null.lower is not None and null.upper is not None else []
    floor = noise_floor_ratio(bounds)
    allowed = max(HALF_WIDTH_MAX_RATIO, (floor or 1.0) - 1)
    device = load("onnxruntime-cpu").device(None)
    return {
        "device": device.device_type,
        "model": MODEL,
        "quads": count,
        "block_s": block_s,
        "ratio": seen.ratio,
        "lower_ratio": seen.lower,
        "upper_ratio": seen.upper,
        "half_width_ratio": seen.half_width_ratio,
        "null_ratio": null.ratio,
        "null_lower_ratio": null.lower,
        "null_upper_ratio": null.upper,
        "noise_floor_ratio": floor,
        "sample_count": seen.sample_count,
        "span_p50_ns": seen.solo_p50_ns,
        "holds_one": seen.lower is not None and seen.upper is not None and seen.lower <= 1.0 <= seen.upper,
        "narrow": is_narrow(seen, allowed),
    }


@contextmanager
def placed() -> Iterator[tuple[Bench, Tenant]]:
    """One engine on one lane, warm."""
    runner = load("onnxruntime-cpu")
    device = runner.device(None)
    engine = runner.build(MODEL, 1, "fp32", runner.target(device), default_cache())
    with ExitStack() as stack:
        session = stack.enter_context(runner.open(device, [Lane()], None, 0))
        bench = Bench(session, Quality().resolved("cpu", device.sm_count))
        (tenant,) = bench.place([engine])
        yield bench, tenant


def block(bench: Bench, tenant: Tenant, quad_index: int, second: bool, watched: bool, block_s: float) -> QuadBlock:
    """Run one block; the second arm is called `null` because nothing runs beside the tenant in either."""
    telemetry = Telemetry(HostSource(), TELEMETRY_S, now_ns=bench.session.now_ns) if watched else nullcontext()
    with telemetry:
        run = run_for(
            bench.session, [tenant], block_lead_in(bench.quality, settled=True), int(block_s * 1e9), [0], hang_ns(bench)
        )
    stamps: Sequence[Any] = [sample.done for sample in run.samples]
    start_ns = np.array([done.start_ns for done in stamps], np.int64)
    end_ns = np.array([done.end_ns for done in stamps], np.int64)
    spans_ns = counted_spans(start_ns, end_ns, run.window_start_ns, run.window_end_ns)
    return QuadBlock(quad_index, "null" if second else "solo", spans_ns)


def report(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    for each in result["costs"]:
        print(f"{each['source']}: {each['core_pct']:.3f} % of a core, a sample {each['sample_p50_ns'] / 1e3:.0f} us")
    ratio, lower, upper = result["ratio"], result["lower_ratio"], result["upper_ratio"]
    print(f"with telemetry over without: {ratio:.4f} [{lower:.4f}, {upper:.4f}], {result['quads']} quads")
    null_lower, null_upper = result["null_lower_ratio"], result["null_upper_ratio"]
    print(f"without over without: {result['null_ratio']:.4f} [{null_lower:.4f}, {null_upper:.4f}]")


if __name__ == "__main__":
    main()
