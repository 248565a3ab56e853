"""What others divide by, or take the logarithm of, is no zero: unknown is null, and 0 would be an answer."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import FORM, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables

LEAST = {  # table -> column -> what it must exceed; for the noise floor, what it must reach
    "devices": dict.fromkeys(("peak_flop_per_s", "peak_cache_bytes_per_s", "peak_dram_bytes_per_s"), 0),
    "engines": {"batch_size": 0},
    "solo_profiles": dict.fromkeys(
        (
            *("span_min_ns", "span_p50_ns", "span_p50_lower_ns", "span_p50_upper_ns", "span_mean_ns"),
            *("span_p95_ns", "span_p95_lower_ns", "span_p95_upper_ns", "span_p99_ns"),
        ),
        0,
    ),
    "slowdowns": dict.fromkeys(("slowdown_ratio", "slowdown_lower_ratio", "slowdown_upper_ratio"), 0),
}
FLOOR_MIN = 1.0  # a slowdown of nothing looks like at least 1.0


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Look at every such column."""
    for table, columns in LEAST.items():
        for index, row in enumerate(small.rows[table]):
            for name, least in columns.items():
                if row[name] is not None and row[name] <= least:
                    yield table, f"row {index}: {name} is {row[name]}; it must be above {least}"
    for row in small.rows["devices"]:
        if row["noise_floor_ratio"] is not None and row["noise_floor_ratio"] < FLOOR_MIN:
            yield "devices", f"device {row['device_id']}: noise_floor_ratio is {row['noise_floor_ratio']}, below 1"


CHECK = DatasetCheck("divisors", run, FORM)
