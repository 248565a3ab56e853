"""How fast is the overlap sweep, and against an interval join and an interval tree on the same input?

    python scripts/benchmarks/overlap_sweep.py [--executions N] [--runs N] [--json]

One process on one core; polars has one thread. Two lanes execute back to back with gaps of microseconds, as closed
loops do, so that about three intervals belong to each execution. All three ways end with the same table: every
execution's intervals and who ran beside it in each; what they find must be equal, row by row. The sweep runs on ten
times as many executions too, and on executions in random order, which no campaign writes.
"""

import argparse
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np
from overlap_ways import WAYS, Ints, Rows, by_sweep

TARGET_NS = 500_000_000  # of a million executions on two lanes
MILLION = 1_000_000
LINEAR_MAX_RATIO = 2.0  # time per execution, ten times as many over as they are: fresh memory costs page faults
SEED = 7


def schedule(executions: int) -> tuple[Ints, Ints]:
    """Return starts and ends of two lanes' executions in order of their start."""
    rng = np.random.default_rng(SEED)
    starts, ends = [], []
    for mean_ns, part in ((8_000_000, 11 / 19), (11_000_000, 8 / 19)):  # both lanes are busy to the end
        count = round(executions * part)
        steps = np.empty(2 * count, np.int64)
        steps[0::2] = rng.integers(1_000, 5_000, count)
        steps[1::2] = (mean_ns * np.exp(0.05 * rng.standard_normal(count))).astype(np.int64)
        stamps = np.cumsum(steps)
        starts.append(stamps[0::2])
        ends.append(stamps[1::2])
    order = np.argsort(np.concatenate(starts), kind="stable")
    return np.concatenate(starts)[order], np.concatenate(ends)[order]


def timed(work: Callable[[Ints, Ints], Any], stamps: tuple[Ints, Ints], runs: int) -> tuple[list[int], Any]:
    """Return the time of each run in ns, and what the last one found."""
    times: list[int] = []
    found = None
    for _ in range(runs):
        del found
        gc.collect()
        begin_ns = time.perf_counter_ns()
        found = work(*stamps)
        times.append(time.perf_counter_ns() - begin_ns)
    return times, found


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_sweep(executions: int, runs: int) -> list[dict[str, Any]]:
    """Time the sweep on so many executions and on ten times as many, in order of start and shuffled."""
    results = []
    for count in (executions, 10 * executions):
        stamps = schedule(count)
        places = np.random.default_rng(SEED).permutation(len(stamps[0]))
        for order, ordered in (("by start", stamps), ("shuffled", (stamps[0][places], stamps[1][places]))):
            times, found = timed(by_sweep, ordered, runs if order == "by start" else 1)
            results.append(
                {
                    "executions": count,
                    "order": order,
                    "intervals": len(found),
                    "time_ns": round(median(times)),
                    "first_ns": times[0],
                    "peak_bytes": peak_bytes(),
                }
            )
            del found
    return results


def compare(executions: int) -> dict[str, dict[str, Any]]:
    """Run all ways on the same input; equal rows or none of the times mean anything."""
    stamps = schedule(executions)
    compared: dict[str, dict[str, Any]] = {}
    expected: Rows | None = None
    for name, (work, rows_of) in WAYS.items():
        times, found = timed(work, stamps, 3 if name == "sweep" else 1)
        rows = rows_of(found)
        del found
        expected = expected or rows
        time_ns = round(median(times))
        compared[name] = {
            "executions": executions,
            "time_ns": time_ns,
            "ratio": time_ns / compared.get("sweep", {"time_ns": time_ns})["time_ns"],
            "equal": all(np.array_equal(one, other) for one, other in zip(expected, rows, strict=True)),
        }
    return compared


def measure(arguments: argparse.Namespace, cache: str) -> dict[str, Any]:
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    os.environ |= {"POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1", "NUMBA_CACHE_DIR": cache}  # before the imports
    import polars  # noqa: F401

    from cotenant.datasets import overlap  # noqa: F401

    (compile_ns,), _ = timed(by_sweep, schedule(100), 1)
    sweeps = measure_sweep(arguments.executions, arguments.runs)
    ordered = {row["executions"]: row["time_ns"] for row in sweeps if row["order"] == "by start"}
    first, tenfold = ordered[arguments.executions], ordered[10 * arguments.executions]
    compared = compare(arguments.executions)
    return {
        "core": core,
        "versions": {name: version(name) for name in ("numpy", "numba", "polars", "intervaltree")},
        "compile_ns": compile_ns,
        "sweep": sweeps,
        "linear_ratio": tenfold / first / 10,
        "compared": compared,
        "fast_enough": first * MILLION <= TARGET_NS * arguments.executions,
        "linear": tenfold / first / 10 <= LINEAR_MAX_RATIO,
        "equal": all(way["equal"] for way in compared.values()),
    }


def report(result: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    lines = [f"one core ({result['core']}), {versions}", f"compiled in {result['compile_ns'] / 1e9:.1f} s"]
    lines += [
        f"{row['executions']:>10,} executions {row['order']}: {row['time_ns'] / 1e9:6.3f} s, the first time "
        f"{row['first_ns'] / 1e9:.3f} s; {row['intervals']:,} intervals, peak {row['peak_bytes'] / 2**30:.1f} GiB"
        for row in result["sweep"]
    ]
    lines.append(f"ten times as many take {10 * result['linear_ratio']:.1f} times as long")
    lines += [
        f"{way['executions']:>10,} executions by {name:<12} {way['time_ns'] / 1e9:7.3f} s, "
        f"{way['ratio']:6.1f} x the sweep; equal rows: {way['equal']}"
        for name, way in result["compared"].items()
    ]
    verdicts = ", ".join(f"{name}: {result[name]}" for name in ("fast_enough", "linear", "equal"))
    return "\n".join([*lines, f"{verdicts} (at most {TARGET_NS / 1e9} s a million, {LINEAR_MAX_RATIO:g} x linear)"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=MILLION, help="the sweep runs on these and ten times as many")
    parser.add_argument("--runs", type=int, default=5, help="the median counts")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:  # nothing compiled earlier is found
        result = measure(arguments, cache)
    print(json.dumps(result) if arguments.json else report(result))
    sys.exit(0 if all(result[name] for name in ("fast_enough", "linear", "equal")) else 1)


if __name__ == "__main__":
    main()
