"""The blocks table: arms, windows and drawn offsets of every experiment."""

from collections.abc import Sequence
from typing import Any

from cotenant.datasets.columns import BLOCKS
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.words import ARMS


def block_rows(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Return one row per block."""
    return [
        _row(summary, block, gain, count)
        for summary in summaries
        for block, gain, count in zip(
            summary.metadata["blocks"], summary.block_gains, summary.block_executions, strict=True
        )
    ]


def _row(summary: Summary, block: dict[str, Any], gain: float | None, count: int) -> dict[str, Any]:
    together = ARMS[block["arm"]].together
    window_ns = block["window_end_ns"] - block["window_start_ns"]
    values = {
        "experiment_id": summary.metadata["experiment_id"],
        "device_id": summary.metadata["device"]["device_id"],
        "kind": summary.metadata["kind"],
        "window_ns": window_ns,
        "concurrency_gain_ratio": gain,
        "execution_count": count,
        "sm_clock_mhz": block.get("sm_clock_mhz"),
        **{name: block[name] for name in ("block_index", "quad_index", "arm", "tenants", "offsets_ns")},
        **{name: block[name] for name in ("window_start_ns", "window_end_ns")},
    }
    reasons = {
        "quad_index": "not_applicable",
        "offsets_ns": "not_applicable",
        "sm_clock_mhz": "not_measured",
        "concurrency_gain_ratio": ("no_samples" if window_ns > 0 else "empty_window") if together else "not_applicable",
    }
    return row_of(BLOCKS, values, reasons)
