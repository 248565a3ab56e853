"""The throughputs table: one analytic row per engine and device with a solo profile."""

from collections.abc import Mapping, Sequence
from typing import Any

from cotenant.datasets.analytic import Peaks, Work, dram_throughput, l2_throughput, sm_throughput
from cotenant.datasets.columns import THROUGHPUTS
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.solo import SoloProfiles

ANALYTIC = {"counter_source": "analytic", "counter_set": "analytic", "aggregation": "range"}
NOT_MEASURED = ("memory_pct", "tensor_pct", "occupancy_pct", "busy_ns", "kernel_count", "replay_passes")
CLOCKS = ("sm_clock_mhz", "memory_clock_mhz")


def throughput_rows(
    engines: Sequence[dict[str, Any]], devices: Sequence[dict[str, Any]], profiles: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the analytic rows of all engines with a solo profile, from the rows of the other tables."""
    engine_by_id = {row["engine_id"]: row for row in engines}
    device_by_id = {row["device_id"]: row for row in devices}
    chosen = SoloProfiles(profiles).best()
    return [_row(engine_by_id[engine], device_by_id[device], row) for (engine, device), row in chosen.items()]


def _row(engine: dict[str, Any], device: dict[str, Any], profile: Mapping[str, Any]) -> dict[str, Any]:
    work = Work(engine["flop_count"], engine["read_bytes"], engine["write_bytes"])
    peaks = Peaks(
        device["peak_flop_per_s"],
        device["peak_cache_bytes_per_s"],
        device["peak_dram_bytes_per_s"],
        device["l2_bytes"],
    )
    found = {
        ("sm_pct", "flop_per_s"): sm_throughput(work, profile["span_p50_ns"], peaks),
        ("l2_pct", "l2_bytes_per_s"): l2_throughput(work, profile["span_p50_ns"], peaks),
        ("dram_pct", "dram_bytes_per_s"): dram_throughput(work, profile["span_p50_ns"], peaks),
    }
    values: dict[str, Any] = {
        "engine_id": engine["engine_id"],
        "device_id": device["device_id"],
        "isolation": profile["isolation"],
        **ANALYTIC,
    }
    reasons: dict[str, str | None] = dict.fromkeys((*NOT_MEASURED, *CLOCKS), "not_measured")
    for (pct, per_s), throughput in found.items():
        values |= {pct: throughput.pct, per_s: throughput.per_s}
        reasons |= {pct: throughput.pct_reason, per_s: throughput.per_s_reason}
    return row_of(THROUGHPUTS, values, reasons)
