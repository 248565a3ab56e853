"""A device's noise floor follows from its null experiments."""

from collections.abc import Iterator, Sequence

from cotenant.datasets.check_kinds import PooledCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.derive.devices import NoiseFloor, noise_floors
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.differences import differences

UNKNOWN = NoiseFloor(None, 0)
NOT_KNOWN = ("noise_floor_ratio", "no_null_experiment")


def run(small: SmallTables, summaries: Sequence[Summary]) -> Iterator[tuple[str, str]]:
    """Compare each device with its null experiments."""
    again = [
        {
            "device_id": device_id,
            "noise_floor_ratio": floor.ratio,
            "null_experiment_count": floor.null_experiment_count,
        }
        for device_id, floor in {**dict.fromkeys(_devices(small), UNKNOWN), **noise_floors(summaries)}.items()
    ]
    yield from differences("devices", small.rows["devices"], again, ("device_id",), "its null experiments say")
    for row in small.rows["devices"]:
        if row["noise_floor_ratio"] is None and NOT_KNOWN not in row["null_reasons"]:
            yield "devices", f"device {row['device_id']}: noise_floor_ratio is null for another reason"


def _devices(small: SmallTables) -> list[str]:
    """Return all devices: one that only counters came from has no experiment."""
    return [row["device_id"] for row in small.rows["devices"]]


CHECK = PooledCheck("noise floors", run)
