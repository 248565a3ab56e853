"""Faults of counters: files beside the dataset, what probes say, and how far sources agree."""

from collections.abc import Callable
from pathlib import Path

from damaged_dataset import DamagedDataset
from planting import Fault, Plant, known, plus, times, values, where, whole

from cotenant.datasets.raw_counters import COUNTERS

PROBE, PAPER, SINGLE = (where(counter_set=name) for name in ("probe", "paper", "single"))


def counters_file(change: Callable[[Path], object]) -> Plant:
    """Do something to the campaign's first counters file."""

    def plant(dataset: DamagedDataset) -> None:
        change(sorted((dataset.folder.parent / COUNTERS).glob("*.parquet"))[0])

    return plant


def copied(path: Path) -> None:
    path.with_name("0123.parquet").write_bytes(path.read_bytes())


def extended(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b".")


COUNTER_FILES = {
    "0123.parquet is not in the dataset": counters_file(copied),
    "have no file any more": counters_file(Path.unlink),
    "is not the file that": counters_file(extended),
}
SENSITIVITIES = {
    "slowdown_ratio of .* its slowdowns say": values("sensitivities", slowdown_ratio=times("slowdown_ratio", 1.0001)),
    "pressure_upper_ratio of": values("sensitivities", pressure_upper_ratio=plus("pressure_upper_ratio", 0.1)),
    "quad_count of": values("sensitivities", quad_count=plus("quad_count", 1)),
    "verdict of": values("sensitivities", verdict="failed"),
    "experiment_ids of": values("sensitivities", experiment_ids=lambda row: row["experiment_ids"] * 2),
    "is missing": whole("sensitivities", lambda rows: rows[1:]),
}
AGREEMENTS = {
    "rank_correlation of .* throughputs say": values(
        "agreements", known("rank_correlation"), rank_correlation=plus("rank_correlation", -0.01)
    ),
    "median_ratio of": values("agreements", known("median_ratio"), median_ratio=times("median_ratio", 1.0001)),
    "engine_count of": values("agreements", engine_count=plus("engine_count", 1)),
    "is missing": whole("agreements", lambda rows: rows[1:]),
}
THROUGHPUTS = {
    "dram_pct of .* sensitivities say": values("throughputs", PROBE, dram_pct=plus("dram_pct", 1)),
    "wall_ns of .* its solo profile says": values("throughputs", PAPER, wall_ns=plus("wall_ns", 1)),
    "l2_bytes_per_s of .* over its solo span": values("throughputs", SINGLE, l2_bytes_per_s=1.0),
    "is of no solo profile": values("throughputs", PAPER, isolation="streams"),
    "2 of them were measured, throughputs says 3": values("throughputs", PAPER, replayed_kernel_count=3),
    "1 is of no kernel that was": values("kernels", measured_kernel_index=1),
    "kernel 0 carries the measurement of another": values("kernels", measured_kernel_index=2),
    "kernels, throughputs says 4": values("throughputs", PAPER, kernel_count=4),
}
VALUES = {"marks says 'odd'": values("throughputs", PAPER, marks=["odd"])}
BOUNDS = {
    "pressure_lower_ratio <=": values("sensitivities", pressure_lower_ratio=9.0),
    "median_lower_ratio <=": values("agreements", known("median_ratio"), median_lower_ratio=99.0),
}
REFERENCES = {
    "experiment_ids names 'e'": values("sensitivities", experiment_ids=["e"]),
    "engine_id names 'e'": values("kernels", engine_id="e"),
}
CHECKS = {
    "counter files": COUNTER_FILES,
    "sensitivities": SENSITIVITIES,
    "agreements": AGREEMENTS,
    "throughputs": THROUGHPUTS,
    "bounds": BOUNDS,
    "references": REFERENCES,
    "values": VALUES,
}
FAULTS = [Fault(check, says, plant) for check, faults in CHECKS.items() for says, plant in faults.items()]
