"""Faults that show in the small tables alone, or in the raw files beside them."""

import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from damaged_dataset import Row
from planting import Fault, known, plus, raw_file, reason, sibling, times, values, where, whole

PAIR = where(kind="pair")


def because(row: Row) -> Any:
    return [(column, "because") for column, _ in row["null_reasons"]]


def replaced(column: str, old: str, new: str) -> Callable[[Row], str]:
    return lambda row: str(row[column]).replace(old, new)


def without(column: str) -> Callable[[Row], Any]:
    return lambda row: [entry for entry in row["null_reasons"] if entry[0] != column]


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
    "sm_pct goes up to 110.5; the most": values("throughputs", sm_pct=110.5),
    "weight_bytes goes down to -1; the least": values("engines", weight_bytes=-1),
    "lanes goes down to 0": values("experiments", lanes=0),
    "peak_flop_per_s holds NaN or infinity": values("devices", peak_flop_per_s=math.inf),
    "slowdown_ratio holds NaN or infinity": values("slowdowns", slowdown_ratio=math.nan),
}
VERDICTS = {
    "says failed": values("experiments", verdict="failed"),
    "its facts say marked": values("experiments", oversubscribed=True),
    "its facts say marked .*device_not_idle": values(
        "experiments", PAIR, started_busy=True, null_reasons=without("started_busy")
    ),
    "its facts say ok": values("experiments", PAIR, gate_marks=[]),
}
WITHOUT_ALPHA = ('"alpha":0.05,', "")
WITH_STEAL, WITH_MASK, WITH_BOOST = (
    ('"self_test_max_ratio":1.5', f'"self_test_max_ratio":1.5,"{name}":{value}')
    for name, value in (("steal_max_pct", '"x"'), ("throttle_mask", "-1"), ("sync_boost_throttles", "1"))
)
THRESHOLDS = {
    "holds no thresholds: it lacks alpha": values("experiments", quality=replaced("quality", *WITHOUT_ALPHA)),
    "alpha is 2, which lies not": values("experiments", quality=replaced("quality", "0.05", "2")),
    "gain_min_ratio is 'x'": values("experiments", quality=replaced("quality", "1.05", '"x"')),
    r"look_quads is \[\]": values("experiments", quality=replaced("quality", "[8]", "[]")),
    "steal_max_pct is 'x'": values("experiments", quality=replaced("quality", *WITH_STEAL)),
    "throttle_mask is -1": values("experiments", quality=replaced("quality", *WITH_MASK)),
    "sync_boost_throttles is 1": values("experiments", quality=replaced("quality", *WITH_BOOST)),
    "no thresholds: Expecting": values("experiments", quality="{"),
}
JSON = {
    "quality is no JSON object": values("experiments", quality=replaced("quality", ",", ", ")),
    "spec is no JSON object": values("experiments", spec="[]"),
    "input_shapes is no JSON object": values("engines", input_shapes="[" * 100_000),
}
DIVISORS = {
    "span_mean_ns is 0": values("solo_profiles", span_mean_ns=0),
    "peak_flop_per_s is 0.0": values("devices", peak_flop_per_s=0.0),
    "noise_floor_ratio is 0.5, below 1": values("devices", noise_floor_ratio=0.5),
}
IDS = {
    "are both of cell": whole(
        "experiments", lambda rows: [rows[0], *({**r, "cell_id": rows[0]["cell_id"]} for r in rows[1:])]
    ),
    "cell_id is not the digest": values("experiments", cell_id="c"),
    "experiment_id is not the digest": values("experiments", seed=plus("seed", 1)),
    "kind is": values("experiments", PAIR, kind="set"),
}
PROVENANCE = {
    "has no row": whole("provenance", lambda rows: rows[1:]),
    "is none of experiments": values("provenance", subject_id="0"),
    "is no SHA-256": values("provenance", raw_sha256="ab"),
    "finished_at is before": values("provenance", finished_at=lambda row: row["started_at"] - timedelta(seconds=1)),
}
SELF_TESTS = {
    "self_test_passed is False at": values("experiments", self_test_passed=False),
    "no self-test here has": values("experiments", PAIR, self_test_makespan_ratio=1.03),
}
SOLO_PROFILES = {
    f"{name} of .* its executions say": values("solo_profiles", known(name), **{name: plus(name, 1)})
    for name in ("sample_count", "block_count", "span_min_ns", "span_p50_lower_ns", "span_p95_upper_ns", "span_std_ns")
} | {
    "throughput_items_per_s of": values("solo_profiles", throughput_items_per_s=times("throughput_items_per_s", 1.001)),
    "marks of": values("solo_profiles", marks=[]),
    "is missing": whole("solo_profiles", lambda rows: rows[1:]),
}
NOISE_FLOORS = {
    "noise_floor_ratio of device": values("devices", noise_floor_ratio=1.5),
    "null_experiment_count of device": values("devices", null_experiment_count=7),
}
THROUGHPUTS = {
    "sm_pct of": values("throughputs", known("sm_pct"), sm_pct=times("sm_pct", 0.99)),
    "is missing": whole("throughputs", lambda rows: []),
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
    "divisors": DIVISORS,
    "ids": IDS,
    "json": JSON,
    "noise floors": NOISE_FLOORS,
    "provenance": PROVENANCE,
    "self-tests": SELF_TESTS,
    "solo profiles": SOLO_PROFILES,
    "thresholds": THRESHOLDS,
    "throughputs": THROUGHPUTS,
    "keys": KEYS,
    "null reasons": NULL_REASONS,
    "references": REFERENCES,
    "values": VALUES,
    "verdicts": VERDICTS,
    "raw files": RAW_FILES,
}
FAULTS = [Fault(check, says, plant) for check, faults in CHECKS.items() for says, plant in faults.items()]
