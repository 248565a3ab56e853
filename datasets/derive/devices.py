"""The devices table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.datasets.columns import DEVICES
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.quads import noise_floor_ratio
from cotenant.models.errors import WorkError

PEAKS = {
    "peak_flop_per_s": "flop_per_s",
    "peak_cache_bytes_per_s": "cache_bytes_per_s",
    "peak_dram_bytes_per_s": "dram_bytes_per_s",
}
MAY_DIFFER = ("l2_bytes", "dram_bytes", "datasheet_flop_per_s", "datasheet_dram_bytes_per_s")


@dataclass(frozen=True)
class NoiseFloor:
    """How far a slowdown of nothing may look from 1.00 on a device."""

    ratio: float | None
    null_experiment_count: int


def noise_floors(summaries: Sequence[Summary]) -> dict[str, NoiseFloor]:
    """Return every device's noise floor, from its null experiments with bounds and without a condition."""
    bounds: dict[str, list[tuple[float, float]]] = {_device_id(summary): [] for summary in summaries}
    for summary in summaries:
        is_null = summary.metadata["kind"] == "null" and summary.metadata["condition"] is None
        estimates = [tenant.slowdown for tenant in summary.tenants if is_null]
        bounds[_device_id(summary)] += [
            (estimate.lower, estimate.upper)
            for estimate in estimates
            if estimate.lower is not None and estimate.upper is not None
        ]
    return {device_id: NoiseFloor(noise_floor_ratio(found), len(found)) for device_id, found in bounds.items()}


def device_rows(summaries: Sequence[Summary], floors: Mapping[str, NoiseFloor]) -> list[dict[str, Any]]:
    """Return one row per device; WorkError if experiments disagree on what a device is."""
    by_device: dict[str, list[Summary]] = {}
    for summary in summaries:
        by_device.setdefault(_device_id(summary), []).append(summary)
    return [_row(device_id, found, floors[device_id]) for device_id, found in by_device.items()]


def _row(device_id: str, summaries: list[Summary], floor: NoiseFloor) -> dict[str, Any]:
    values: dict[str, Any] = {}
    reasons = dict.fromkeys(MAY_DIFFER, "not_reported") | dict.fromkeys(PEAKS, "no_peak")
    for name in summaries[0].metadata["device"]:
        distinct = list(dict.fromkeys(summary.metadata["device"][name] for summary in summaries))
        if len(distinct) == 1:
            values[name] = distinct[0]
        elif name in MAY_DIFFER:
            reasons[name] = "differs"
        else:
            raise WorkError(_disagreement(device_id, name, summaries, distinct))
    measured = [summary.metadata["peaks"] for summary in summaries if summary.metadata["peaks"]]
    for name, key in PEAKS.items():
        values[name] = max((peaks[key] for peaks in measured if peaks.get(key) is not None), default=None)
    values["noise_floor_ratio"] = floor.ratio
    values["null_experiment_count"] = floor.null_experiment_count
    return row_of(DEVICES, values, {**reasons, "noise_floor_ratio": "no_null_experiment"})


def _disagreement(device_id: str, name: str, summaries: list[Summary], distinct: list[Any]) -> str:
    first, second = (
        next(s.metadata["experiment_id"] for s in summaries if s.metadata["device"][name] == value)
        for value in distinct[:2]
    )
    return (
        f"device {device_id} has {name} {distinct[0]!r} in experiment {first} and {distinct[1]!r} in {second}; "
        "keep their raw files in separate folders"
    )


def _device_id(summary: Summary) -> str:
    return str(summary.metadata["device"]["device_id"])
