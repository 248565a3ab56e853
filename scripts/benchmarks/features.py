"""How fast are overlap intervals and features of a large dataset, and against pandas and polars?

    python scripts/benchmarks/features.py [--executions N] [--compared N] [--lanes N] [--json]
    python scripts/benchmarks/features.py --streamed 100000000 --memory-limit-mib 3072

Every measurement is a process of its own on one core, libraries with one thread. Whole: read executions, sweep, write
overlaps, derive and write features, for N executions and for a tenth. Compared: features alone, where pandas and polars
are given the intervals; all three tables must be equal. Streamed: features of so many executions in one experiment
under a limit on memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

TARGET_NS = 25_000_000_000  # of 10 million executions, overlaps and features together
TARGET_BYTES = 8 << 30
TEN_MILLION = 10_000_000
PER_EXPERIMENT = 200_000
LINEAR_MAX_RATIO = 1.2
FASTER_MIN = {"pandas": 10.0, "polars": 3.0}
WARM_UP = 2_000
MIB = 1 << 20


def overlaps_of(dataset: Path) -> None:
    """Sweep the executions and write the overlaps table, as `dataset build` does."""
    from cotenant.datasets.columns import OVERLAPS
    from cotenant.datasets.derive.measured import Measured
    from cotenant.datasets.derive.overlaps import overlap_tables
    from cotenant.datasets.overlap import overlap_intervals
    from cotenant.datasets.read import experiment_slices, read_table
    from cotenant.datasets.table_writer import TableWriter

    engines = read_table(dataset, "engines").select(["engine_id"]).to_pylist()
    columns = ["experiment_id", "device_id", "kind", "engine_id", "start_ns", "end_ns"]
    with TableWriter(dataset, OVERLAPS) as writer:
        for experiment_id, rows in experiment_slices(dataset, "executions", columns):
            facts = {"experiment_id": experiment_id, "kind": "serving", "clock_error_ns": 100, "engines": engines}
            measured = Measured({**facts, "device": {"device_id": "gpu-0"}}, rows)
            for piece in overlap_tables(measured, overlap_intervals(measured.start_ns, measured.end_ns)):
                writer.write(piece)


def one(way: str, dataset: Path, target: Path) -> dict[str, Any]:
    """Measure one way in this process; what is compiled is compiled first, on a small dataset."""
    import pyarrow as pa
    from features_dataset import write_dataset
    from features_ways import WAYS

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory(dir=target.parent) as small:
        begin_ns = time.perf_counter_ns()
        warm = write_dataset(Path(small) / "dataset", WARM_UP, WARM_UP, 2)
        overlaps_of(warm)
        WAYS["cotenant" if way == "whole" else way](warm, Path(small) / "features.parquet")
        warm_ns = time.perf_counter_ns() - begin_ns
    begin_ns = time.perf_counter_ns()
    if way == "whole":
        overlaps_of(dataset)
    overlaps_ns = time.perf_counter_ns() - begin_ns
    path = WAYS["cotenant" if way == "whole" else way](dataset, target)
    return {
        "time_ns": time.perf_counter_ns() - begin_ns,
        "overlaps_ns": overlaps_ns if way == "whole" else None,
        "warm_up_ns": warm_ns,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "path": str(path),
        "size_bytes": path.stat().st_size,
    }


def apart(way: str, dataset: Path, target: Path, cache: Path, limit_bytes: int | None = None) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    threads = {"POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--way", way, "--dataset", str(dataset), "--target", str(target)]
    if limit_bytes is not None:
        threads["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # mimalloc reserves address space ahead, which a limit counts
        command += ["--memory-limit-mib", str(limit_bytes // MIB)]
    done = subprocess.run(
        command,
        env={**os.environ, **threads, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{way} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    from features_dataset import write_dataset
    from features_ways import differences

    whole = []
    for count in (arguments.executions // 10, arguments.executions):
        dataset = write_dataset(place / f"whole{count}", count, PER_EXPERIMENT, arguments.lanes)
        found = apart("whole", dataset, place / "whole.parquet", place)
        whole.append({"executions": count, **found})
        remove(dataset)
    dataset = write_dataset(place / "compared", arguments.compared, PER_EXPERIMENT, arguments.lanes)
    overlaps_of(dataset)
    compared: dict[str, dict[str, Any]] = {}
    for way in ("cotenant", *FASTER_MIN):
        runs = [apart(way, dataset, place / f"{way}.parquet", place) for _ in range(arguments.runs)]
        found = sorted(runs, key=lambda run: run["time_ns"])[len(runs) // 2]
        found["all_times_ns"] = [run["time_ns"] for run in runs]
        found["ratio"] = found["time_ns"] / compared.get("cotenant", found)["time_ns"]
        found["differing"] = differences(Path(compared.get("cotenant", found)["path"]), Path(found["path"]))
        compared[way] = found
    linear = whole[1]["time_ns"] / whole[0]["time_ns"] / (whole[1]["executions"] / whole[0]["executions"])
    return {
        "core": min(os.sched_getaffinity(0)),
        "lanes": arguments.lanes,
        "versions": {name: version(name) for name in ("numpy", "numba", "pyarrow", "pandas", "polars")},
        "whole": whole,
        "linear_ratio": linear,
        "compared_executions": arguments.compared,
        "compared": compared,
        "fast_enough": whole[1]["time_ns"] * TEN_MILLION <= TARGET_NS * whole[1]["executions"],
        "small_enough": whole[1]["peak_bytes"] <= TARGET_BYTES,
        "linear": linear <= LINEAR_MAX_RATIO,
        "faster": all(compared[way]["ratio"] >= least for way, least in FASTER_MIN.items()),
        "equal": not any(found["differing"] for found in compared.values()),
    }


def remove(dataset: Path) -> None:
    for path in sorted(dataset.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    dataset.rmdir()


def stream(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Derive features of one large experiment under a limit on memory."""
    from features_dataset import write_long_dataset

    dataset = write_long_dataset(place / "streamed", arguments.streamed, arguments.lanes)
    limit_bytes = arguments.memory_limit_mib * MIB
    found = apart("cotenant", dataset, place / "streamed.parquet", place, limit_bytes)
    return {
        "streamed_executions": arguments.streamed,
        "lanes": arguments.lanes,
        "limit_bytes": limit_bytes,
        **found,
        "streamed": True,
    }


def report(result: dict[str, Any]) -> str:
    if "streamed" in result:
        return (
            f"{result['streamed_executions']:,} executions of one experiment: {result['time_ns'] / 1e9:.1f} s, peak "
            f"{result['peak_bytes'] / 2**30:.2f} GiB under a limit of {result['limit_bytes'] / 2**30:.2f} GiB"
        )
    lines = [f"one core ({result['core']}), {result['lanes']} lanes, {result['versions']}"]
    lines += [
        f"{row['executions']:>11,} executions, overlaps and features: {row['time_ns'] / 1e9:6.2f} s (overlaps "
        f"{row['overlaps_ns'] / 1e9:.2f} s), peak {row['peak_bytes'] / 2**30:.2f} GiB"
        for row in result["whole"]
    ]
    lines.append(f"ten times as many take {10 * result['linear_ratio']:.1f} times as long")
    lines += [
        f"{result['compared_executions']:>11,} executions, features by {way:<9} {found['time_ns'] / 1e9:7.2f} s, "
        f"{found['ratio']:5.1f} x, peak {found['peak_bytes'] / 2**30:.2f} GiB, {found['size_bytes'] / 1e6:.0f} MB; "
        f"differing: {', '.join(found['differing']) or 'none'}"
        for way, found in result["compared"].items()
    ]
    words = ("fast_enough", "small_enough", "linear", "faster", "equal")
    return "\n".join([*lines, ", ".join(f"{word}: {result[word]}" for word in words)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=TEN_MILLION, help="these and a tenth of them, whole")
    parser.add_argument("--compared", type=int, default=1_000_000, help="executions that all ways derive features of")
    parser.add_argument("--runs", type=int, default=3, help="of each compared way; the median counts")
    parser.add_argument("--streamed", type=int, help="instead: executions of one experiment, under the limit")
    parser.add_argument("--memory-limit-mib", type=int, help="of writable memory (RLIMIT_DATA)")
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--place", type=Path, help="where datasets are written; a temporary folder by default")
    parser.add_argument("--json", action="store_true")
    for name in ("--way", "--dataset", "--target"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if arguments.way:
        if arguments.memory_limit_mib:
            resource.setrlimit(resource.RLIMIT_DATA, (arguments.memory_limit_mib * MIB,) * 2)
        print(json.dumps(one(arguments.way, Path(arguments.dataset), Path(arguments.target))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.place) as place:
        result = (stream if arguments.streamed else measure)(arguments, Path(place))
    print(json.dumps(result) if arguments.json else report(result))
    verdicts = [value for name, value in result.items() if name in ("linear", "faster", "equal", "fast_enough")]
    sys.exit(0 if all(verdicts) and result.get("small_enough", True) else 1)


if __name__ == "__main__":
    main()
