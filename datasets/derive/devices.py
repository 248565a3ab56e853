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
Told = tuple[str, Mapping[str, Any]]  # where a device is told of, and its fields
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


def device_rows(
    summaries: Sequence[Summary], floors: Mapping[str, NoiseFloor], others: Sequence[Told] = ()
) -> list[dict[str, Any]]:
    """Return one row per device; WorkError if experiments disagree on what a device is.

    Args:
        others: Devices that are told elsewhere too, or only there.
    """
    told: dict[str, list[Told]] = {}
    by_device: dict[str, list[Summary]] = {}
    for summary in summaries:
        by_device.setdefault(_device_id(summary), []).append(summary)
        where = f"experiment {summary.metadata['experiment_id']}"
        told.setdefault(_device_id(summary), []).append((where, summary.metadata["device"]))
    for where, device in others:
        told.setdefault(str(device["device_id"]), []).append((where, device))
    return [
        _row(device_id, found, by_device.get(device_id, []), floors.get(device_id, NoiseFloor(None, 0)))
        for device_id, found in told.items()
    ]


def _row(device_id: str, told: list[Told], summaries: list[Summary], floor: NoiseFloor) -> dict[str, Any]:
    values: dict[str, Any] = {}
    reasons = dict.fromkeys(MAY_DIFFER, "not_reported") | dict.fromkeys(PEAKS, "no_peak")
    for name in told[0][1]:
        distinct = list(dict.fromkeys(device.get(name) for _, device in told))
        if len(distinct) == 1:
            values[name] = distinct[0]
        elif name in MAY_DIFFER:
            reasons[name] = "differs"
        else:
            raise WorkError(_disagreement(device_id, name, told, distinct))
    measured = [summary.metadata["peaks"] for summary in summaries if summary.metadata["peaks"]]
    for name, key in PEAKS.items():
        values[name] = max((peaks[key] for peaks in measured if peaks.get(key) is not None), default=None)
    values["noise_floor_ratio"] = floor.ratio
    values["null_experiment_count"] = floor.null_experiment_count
    return row_of(DEVICES, values, {**reasons, "noise_floor_ratio": "no_null_experiment"})


def _disagreement(device_id: str, name: str, told: list[Told], distinct: list[Any]) -> str:
    first, second = (next(where for where, device in told if device.get(name) == value) for value in distinct[:2])
    return (
        f"device {device_id} has {name} {distinct[0]!r} in {first} and {distinct[1]!r} in {second}; "
        "keep their raw files in separate folders"
    )


def _device_id(summary: Summary) -> str:
    return str(summary.metadata["device"]["device_id"])
