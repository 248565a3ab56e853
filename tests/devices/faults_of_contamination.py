"""Faults that make no single number wrong: copies under other keys, other units, stepped clocks, other versions."""

from datetime import timedelta
from typing import Any

from damaged_dataset import Row
from planting import Fault, values, where, whole

from cotenant.models.digest import digest_id


def repeated(table: str, copied: tuple[str, ...], **own: Any) -> Any:
    """The second row that has a number takes over those of the first."""

    def change(rows: list[Row]) -> list[Row]:
        first, second, *_ = [index for index, row in enumerate(rows) if all(row[name] is not None for name in copied)]
        rows[second] = {**rows[second], **{name: rows[first][name] for name in copied}, **own}
        return rows

    return whole(table, change)


def measured_by(version: str) -> Any:
    def change(rows: list[Row]) -> list[Row]:
        return [{**rows[0], "versions": [("cotenant", version)]}, *rows[1:]]

    return whole("provenance", change)


def as_ratios(rows: list[Row]) -> list[Row]:
    """Percentages of two engines by Nsight Compute, as someone who divided by 100 would store them."""
    found = []
    for label in ENGINES:
        row = {**rows[0], "engine_id": digest_id(label), "counter_source": "ncu", "counter_set": "paper"}
        unknown = [column for column, value in row.items() if value is None]
        row |= {"sm_pct": 0.7, "l2_pct": 0.2, "dram_pct": 0.4}
        found.append({**row, "null_reasons": [(name, "not_measured") for name in sorted(unknown) if row[name] is None]})
    return sorted([*rows, *found], key=lambda row: [row[name] for name in KEY])


def told(column: str) -> Any:
    return lambda row: [(name, why) for name, why in row["null_reasons"] if name != column]


def in_turns_too(rows: list[Row]) -> list[Row]:
    return [rows[0], {**rows[0], "pattern": "interleaved"}, *rows[1:]]


def over_in_no_time(rows: list[Row]) -> list[Row]:
    return [{**row, "finished_at": row["started_at"] + timedelta(milliseconds=1)} for row in rows]


def all_imported(rows: list[Row]) -> list[Row]:
    return [{**row, "source": "imported", "solo_p50_ns": 10, "co_run_p50_ns": 12} for row in rows]


def reasoned(column: str) -> Any:
    """As if the column of another tool's row were not known."""
    return lambda row: sorted([*row["null_reasons"], (column, "not_reported")])


SLOWDOWN = ("slowdown_ratio", "slowdown_lower_ratio", "slowdown_upper_ratio", "solo_p50_ns", "co_run_p50_ns")
KEY = ("engine_id", "device_id", "counter_source", "counter_set")
ENGINES = ("resnet18@1", "vit_ti_16@1")
CHECKS = {
    "duplicates": {
        r"repeats experiment_id \w+, tenant a to the last digit": repeated("slowdowns", SLOWDOWN),
        "repeats engine_id": whole("solo_profiles", in_turns_too),
        "imported rows repeat another": whole("slowdowns", all_imported),
    },
    "units": {
        "dram_bytes .* another unit": values("devices", dram_bytes=16 << 20),
        "peak_dram_bytes_per_s .* another unit": values("devices", peak_dram_bytes_per_s=10.0),
        "sm_clock_mhz .* another unit": values("throughputs", sm_clock_mhz=1.41e9, null_reasons=told("sm_clock_mhz")),
        "solo_p50_ns .* beside a solo profile": values(
            "slowdowns", where(engine_id=digest_id(ENGINES[0])), solo_p50_ns=lambda row: row["solo_p50_ns"] // 1000
        ),
        "no percentage of ncu paper exceeds 1 over 2 engines": whole("throughputs", as_ratios),
    },
    "versions": {"several versions of cotenant: 0.1.0 .*, 0.9.0": measured_by("0.9.0")},
    "unreported": {
        f"{column} is null, which only another tool's may be": values(
            table, **{column: None}, null_reasons=reasoned(column)
        )
        for table, column in (
            ("engines", "precision"),
            ("experiments", "clock_error_ns"),
            ("slowdowns", "sample_count"),
        )
    }
    | {"was measured, but its engine": values("engines", engine_kind="imported")},
    "imported": {
        "source is imported in an experiment of kind": values("slowdowns", source="imported"),
        "mean_ratio is told, which only another tool does": values(
            "slowdowns", mean_ratio=1.5, null_reasons=told("mean_ratio")
        ),
    },
    "clock steps": {"a clock stepped": whole("provenance", over_in_no_time)},
}
FAULTS = [Fault(check, says, plant) for check, faults in CHECKS.items() for says, plant in faults.items()]
