"""The throughputs table: an analytic row per engine and device with a solo profile, and what others measured.

A measured row whose wall time is not known takes the median span of the engine's solo profile, and says so by naming
the profile's isolation; bytes of one execution become a rate over the same span.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cotenant.datasets.analytic import Peaks, Work, dram_throughput, l2_throughput, sm_throughput
from cotenant.datasets.columns import THROUGHPUTS
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.solo import SoloProfiles

Row = dict[str, Any]
ANALYTIC = {"counter_source": "analytic", "counter_set": "analytic", "aggregation": "range", "marks": []}
COMPUTED = ("analytic", "probe")  # sources whose rows are made here and in derive/probe_throughputs.py
BYTE_RATES = {"l2_bytes_per_s": "l2_moved_bytes", "dram_bytes_per_s": "dram_moved_bytes"}


def throughput_rows(engines: Sequence[Row], devices: Sequence[Row], profiles: Sequence[Row]) -> list[Row]:
    """Return the analytic rows of all engines with a solo profile, from the rows of the other tables."""
    engine_by_id = {row["engine_id"]: row for row in engines}
    device_by_id = {row["device_id"]: row for row in devices}
    chosen = SoloProfiles(profiles).best()
    return [_row(engine_by_id[engine], device_by_id[device], row) for (engine, device), row in chosen.items()]


def completed(rows: Sequence[Row], profiles: Sequence[Row]) -> list[Row]:
    """Return measured rows with what only a solo profile tells."""
    chosen = SoloProfiles(profiles).best()
    return [_completed(row, chosen.get((row["engine_id"], row["device_id"]))) for row in rows]


def _completed(row: Row, profile: Mapping[str, Any] | None) -> Row:
    moved = {rate: row[amount] for rate, amount in BYTE_RATES.items() if row[rate] is None and row[amount] is not None}
    if row["wall_ns"] is not None and not moved:
        return row
    reasons = dict(row["null_reasons"])
    if profile is None or profile["span_p50_ns"] is None:
        unknown = [*moved, *(["wall_ns"] if row["wall_ns"] is None and reasons["wall_ns"] != "not_applicable" else [])]
        return row_of(THROUGHPUTS, row, {**reasons, **dict.fromkeys(unknown, "no_profile")})
    span_ns = profile["span_p50_ns"]
    found = {rate: amount / (span_ns * 1e-9) for rate, amount in moved.items()}
    wall_ns = span_ns if row["wall_ns"] is None else row["wall_ns"]
    return row_of(THROUGHPUTS, {**row, **found, "wall_ns": wall_ns, "isolation": profile["isolation"]}, reasons)


def _row(engine: Row, device: Row, profile: Mapping[str, Any]) -> Row:
    work = Work(engine["flop_count"], engine["read_bytes"], engine["write_bytes"])
    peaks = Peaks(
        device["peak_flop_per_s"],
        device["peak_cache_bytes_per_s"],
        device["peak_dram_bytes_per_s"],
        device["l2_bytes"],
    )
    span_ns = profile["span_p50_ns"]
    found = {
        ("sm_pct", "flop_per_s"): sm_throughput(work, span_ns, peaks, engine["precision"]),
        ("l2_pct", "l2_bytes_per_s"): l2_throughput(work, span_ns, peaks),
        ("dram_pct", "dram_bytes_per_s"): dram_throughput(work, span_ns, peaks),
    }
    values: dict[str, Any] = {
        "engine_id": engine["engine_id"],
        "device_id": device["device_id"],
        "isolation": profile["isolation"],
        "wall_ns": span_ns,
        **ANALYTIC,
    }
    reasons: dict[str, str | None] = {c.name: "not_measured" for c in THROUGHPUTS.columns if c.nullable}
    reasons["wall_ns"] = "no_profile"
    for (pct, per_s), throughput in found.items():
        values |= {pct: throughput.pct, per_s: throughput.per_s}
        reasons |= {pct: throughput.pct_reason, per_s: throughput.per_s_reason}
    return row_of(THROUGHPUTS, values, reasons)
