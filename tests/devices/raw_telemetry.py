"""Telemetry put beside raw files as a campaign would have sampled it: of a quiet device, but for what is changed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from raw_campaign import DEVICE, MS, QUALITY

from cotenant.datasets import raw
from cotenant.datasets.raw_siblings import RAW_TELEMETRY

Row = dict[str, Any]
SINCE_BEFORE = ("steal_pct", "foreign_cpu_pct", "quota_throttled_ns")
HOST = {"load_average_count": 1.5, "steal_pct": 0.0, "foreign_cpu_pct": 0.4, "quota_throttled_ns": 0}
GPU = {
    "sm_clock_mhz": 1980, "memory_clock_mhz": 2619, "power_mw": 310_000, "power_limit_mw": 700_000,
    "temperature_c": 52, "temperature_margin_c": 35, "throttle_mask": 0, "utilization_pct": 97.0,
    "foreign_process_count": 0,
}  # fmt: skip
GPU_DEVICE = {**DEVICE, "device_id": "GPU-0", "device_type": "Test GPU", "kind": "gpu", "name": "Test GPU"}
GPU_QUALITY = {**QUALITY, "canary_drift_max_ratio": 0.01}


def samples(times_ns: Sequence[int], quiet: Mapping[str, Any], changes: Mapping[int, Row] | None = None) -> pa.Table:
    """One sample at each time; `changes` are by sample_index."""
    rows = []
    for index, time_ns in enumerate(times_ns):
        row = {**quiet, "sample_index": index, "t_ns": time_ns, "sample_ns": 40_000}
        row |= dict.fromkeys(SINCE_BEFORE) if index == 0 else {}
        rows.append(row | (changes or {}).get(index, {}))
    return pa.Table.from_pylist(rows, schema=RAW_TELEMETRY)


def raw_files(folder: Path) -> list[Path]:
    return [folder / "raw" / f"{name}.parquet" for name in sorted(raw.finished(folder / "raw"))]


def watch(
    folder: Path,
    quiet: Mapping[str, Any],
    changed: Callable[[int, Row], Row] = lambda time_ns, metadata: {},
    period_ns: int = 50 * MS,
    kinds: Sequence[str] = (),
    **facts: Any,
) -> None:
    """Put telemetry beside every experiment of these kinds (none = all), from before its first to after its last end.

    Args:
        changed: What a sample at a time tells otherwise, given the experiment's metadata.
        facts: More of the metadata.
    """
    for path in raw_files(folder):
        found = raw.read_raw(path)
        if kinds and found.metadata["kind"] not in kinds:
            continue
        starts, ends = (found.executions[f"{end}_ns"].to_pylist() for end in ("start", "end"))
        times = range(min(starts) - MS, max(ends) + period_ns, period_ns)
        changes = {index: changed(time_ns, found.metadata) for index, time_ns in enumerate(times)}
        siblings = {"telemetry": samples(times, quiet, changes)}
        raw.write_raw(path.parent, path.stem, found.executions, {**found.metadata, **facts}, siblings)
