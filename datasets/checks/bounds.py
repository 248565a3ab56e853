"""Bounds lie around their values."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables

HALVES = tuple(f"{name}_p95_{half}_half" for name in ("latency", "span") for half in ("first", "second"))
BOUNDED = {
    "experiments": (
        ("concurrency_gain_lower_ratio", "concurrency_gain_ratio", "concurrency_gain_upper_ratio"),
        ("lone_slowdown_lower_ratio", "lone_slowdown_ratio", "lone_slowdown_upper_ratio"),
        *((f"{name}_lower_ns", f"{name}_ns", f"{name}_upper_ns") for name in HALVES),
    ),
    "slowdowns": tuple((f"{n}_lower_ratio", f"{n}_ratio", f"{n}_upper_ratio") for n in ("slowdown", "p95", "cpu")),
    "sensitivities": tuple((f"{n}_lower_ratio", f"{n}_ratio", f"{n}_upper_ratio") for n in ("slowdown", "pressure")),
    "agreements": (("median_lower_ratio", "median_ratio", "median_upper_ratio"),),
    "solo_profiles": (
        ("span_p50_lower_ns", "span_p50_ns", "span_p50_upper_ns"),
        ("span_p95_lower_ns", "span_p95_ns", "span_p95_upper_ns"),
        ("span_min_ns", "span_p50_ns", "span_p95_ns", "span_p99_ns"),
        ("span_min_ns", "span_mean_ns"),
    ),
    "blocks": (("window_start_ns", "window_end_ns"),),
}


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Look at every small table that has such numbers."""
    for name, groups in BOUNDED.items():
        for index, row in enumerate(small.rows[name]):
            for group in groups:
                values = [row[column] for column in group if row[column] is not None]
                if values != sorted(values):
                    yield name, f"row {index}: {' <= '.join(group)} does not hold: {values}"


CHECK = DatasetCheck("bounds", run)
