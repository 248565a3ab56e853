"""Faults that show in the small tables alone, or in the raw files beside them."""

import math
from pathlib import Path
from typing import Any

from damaged_dataset import Row
from planting import Fault, known, plus, raw_file, reason, sibling, times, values, where, whole

PAIR = where(kind="pair")


def because(row: Row) -> Any:
    return [(column, "because") for column, _ in row["null_reasons"]]


def copied(path: Path) -> None:
    path.with_name("0123.parquet").write_bytes(path.read_bytes())


def extended(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b".")


def cut(path: Path) -> None:
    path.write_bytes(b"PAR1")


BOUNDS = {
    "concurrency_gain_lower_ratio <=": values("experiments", PAIR, concurrency_gain_lower_ratio=9.0),
    "slowdown_lower_ratio <=": values("slowdowns", slowdown_upper_ratio=0.5),
    "p95_lower_ratio <=": values("slowdowns", known("p95_lower_ratio"), p95_lower_ratio=9.0),
    "cpu_lower_ratio <=": values("slowdowns", cpu_lower_ratio=9.0),
    "span_p50_lower_ns <=": values("solo_profiles", span_p50_lower_ns=plus("span_p50_ns", 1)),
    "span_p95_lower_ns <=": values("solo_profiles", span_p95_upper_ns=plus("span_p95_ns", -1)),
    "span_min_ns <= span_p50_ns": values("solo_profiles", span_min_ns=plus("span_p50_ns", 1)),
    "span_min_ns <= span_mean_ns": values("solo_profiles", span_mean_ns=plus("span_min_ns", -1)),
    "window_start_ns <= window_end_ns": values("blocks", window_end_ns=plus("window_start_ns", -1)),
    "window_ns is not": values("blocks", window_ns=plus("window_ns", 1)),
    "not batch_size over": values("solo_profiles", throughput_items_per_s=times("throughput_items_per_s", 1.001)),
    "not its device's": values("slowdowns", noise_floor_ratio=plus("noise_floor_ratio", 0.001)),
    "within_noise does not follow": values("slowdowns", PAIR, within_noise=True),
}
KEYS = {
    "same key": whole("blocks", lambda rows: [rows[0], *rows]),
    "not sorted by": whole("engines", lambda rows: rows[::-1]),
}
NULL_REASONS = {
    "flop_count is null without": values("engines", flop_count=None),
    "null_reasons has sm_count": values("devices", null_reasons=reason("sm_count")),
}
REFERENCES = {
    "engine_id names 'e'": values("slowdowns", engine_id="e"),
    "co_engine_ids names 'e'": values("slowdowns", co_engine_ids=["e"]),
    "device_id names 'cpu-1'": values("experiments", device_id="cpu-1"),
    "which experiments does not have": whole("experiments", lambda rows: rows[1:]),
}
VALUES = {
    "kind says 'tpu'; it may say: cpu": values("devices", kind="tpu"),
    "null_reasons says 'because'": values("devices", null_reasons=because),
    "marks says 'odd'": values("solo_profiles", marks=["odd"]),
    "sm_pct goes up to 100.5; the most": values("throughputs", sm_pct=100.5),
    "weight_bytes goes down to -1; the least": values("engines", weight_bytes=-1),
    "lanes goes down to 0": values("experiments", lanes=0),
    "peak_flop_per_s holds NaN or infinity": values("devices", peak_flop_per_s=math.inf),
    "slowdown_ratio holds NaN or infinity": values("slowdowns", slowdown_ratio=math.nan),
}
VERDICTS = {
    "says failed": values("experiments", verdict="failed"),
    "its facts say marked": values("experiments", oversubscribed=True),
    "quality holds no thresholds": values("experiments", quality="{}"),
    r"no thresholds \(Expecting": values("experiments", quality="{"),
}
RAW_FILES = {
    "is not in the dataset": raw_file(copied),
    "has no raw file any more": raw_file(Path.unlink),
    "is not the file that": raw_file(extended),
    "is truncated": raw_file(cut),
    "telemetry.parquet is missing": sibling(Path.unlink),
    "telemetry.parquet has another digest": sibling(cut),
}
CHECKS = {
    "bounds": BOUNDS,
    "keys": KEYS,
    "null reasons": NULL_REASONS,
    "references": REFERENCES,
    "values": VALUES,
    "verdicts": VERDICTS,
    "raw files": RAW_FILES,
}
FAULTS = [Fault(check, says, plant) for check, faults in CHECKS.items() for says, plant in faults.items()]
