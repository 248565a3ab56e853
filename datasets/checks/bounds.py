"""Bounds lie around their values, and numbers that follow from others of the row do."""

import math
from collections.abc import Iterator
from typing import Any

from cotenant.datasets.check_subjects import DatasetCheck, SmallTables
from cotenant.datasets.quads import is_within_noise

Row = dict[str, Any]
BOUNDED = {
    "experiments": (("concurrency_gain_lower_ratio", "concurrency_gain_ratio", "concurrency_gain_upper_ratio"),),
    "slowdowns": tuple((f"{n}_lower_ratio", f"{n}_ratio", f"{n}_upper_ratio") for n in ("slowdown", "p95", "cpu")),
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
    yield from _blocks(small)
    yield from _profiles(small)
    yield from _noise(small)


def _blocks(small: SmallTables) -> Iterator[tuple[str, str]]:
    for index, row in enumerate(small.rows["blocks"]):
        if row["window_ns"] != row["window_end_ns"] - row["window_start_ns"]:
            yield "blocks", f"row {index}: window_ns is not window_end_ns - window_start_ns"


def _profiles(small: SmallTables) -> Iterator[tuple[str, str]]:
    sizes = {row["engine_id"]: row["batch_size"] for row in small.rows["engines"]}
    for index, row in enumerate(small.rows["solo_profiles"]):
        if row["throughput_items_per_s"] is None or row["engine_id"] not in sizes:
            continue
        expected = sizes[row["engine_id"]] / (row["span_mean_ns"] * 1e-9)
        if not math.isclose(row["throughput_items_per_s"], expected, rel_tol=1 / row["span_mean_ns"]):
            yield "solo_profiles", f"row {index}: throughput_items_per_s is not batch_size over span_mean_ns"


def _noise(small: SmallTables) -> Iterator[tuple[str, str]]:
    floors = {row["device_id"]: row["noise_floor_ratio"] for row in small.rows["devices"]}
    for index, row in enumerate(small.rows["slowdowns"]):
        if row["noise_floor_ratio"] != floors.get(row["device_id"]):
            yield "slowdowns", f"row {index}: noise_floor_ratio is not its device's"
        if row["slowdown_ratio"] is None or row["slowdown_ratio"] <= 0:
            continue
        bounds = row["slowdown_lower_ratio"], row["slowdown_upper_ratio"]
        if row["within_noise"] != is_within_noise(row["slowdown_ratio"], *bounds, row["noise_floor_ratio"]):
            yield "slowdowns", f"row {index}: within_noise does not follow from the slowdown and the noise floor"


CHECK = DatasetCheck("bounds", run)
