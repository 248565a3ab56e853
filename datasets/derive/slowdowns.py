"""The slowdowns table: one row per tenant of an experiment with quads."""

from collections.abc import Mapping, Sequence
from typing import Any

from cotenant.datasets.columns import SLOWDOWNS
from cotenant.datasets.derive.devices import NoiseFloor
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary, TenantSummary
from cotenant.datasets.quads import is_within_noise


def slowdown_rows(summaries: Sequence[Summary], floors: Mapping[str, NoiseFloor]) -> list[dict[str, Any]]:
    """Return one row per tenant that ran in quads."""
    return [
        _row(summary, tenant, floors[summary.metadata["device"]["device_id"]].ratio)
        for summary in summaries
        for tenant in summary.tenants
    ]


def _row(summary: Summary, tenant: TenantSummary, floor_ratio: float | None) -> dict[str, Any]:
    slowdown, p95, cpu, cycles = tenant.slowdown, tenant.p95, tenant.cpu, tenant.cycles
    within = None
    if slowdown.ratio is not None:
        within = is_within_noise(slowdown.ratio, slowdown.lower, slowdown.upper, floor_ratio)
    values = {
        "experiment_id": summary.metadata["experiment_id"],
        "device_id": summary.metadata["device"]["device_id"],
        "kind": summary.metadata["kind"],
        "tenant": tenant.tenant,
        "lane": tenant.lane,
        "engine_id": tenant.engine_id,
        "co_engine_ids": tenant.co_engine_ids,
        "slowdown_ratio": slowdown.ratio,
        "slowdown_lower_ratio": slowdown.lower,
        "slowdown_upper_ratio": slowdown.upper,
        "p95_ratio": p95.value,
        "p95_lower_ratio": p95.lower,
        "p95_upper_ratio": p95.upper,
        "cpu_ratio": cpu and cpu.ratio,
        "cpu_lower_ratio": cpu and cpu.lower,
        "cpu_upper_ratio": cpu and cpu.upper,
        "cycle_ratio": cycles and cycles.ratio,
        "cycle_lower_ratio": cycles and cycles.lower,
        "cycle_upper_ratio": cycles and cycles.upper,
        "solo_p50_ns": slowdown.solo_p50_ns,
        "co_run_p50_ns": slowdown.co_run_p50_ns,
        "quad_count": slowdown.quad_count,
        "sample_count": slowdown.sample_count,
        "solo_sample_count": slowdown.solo_sample_count,
        "stop_reason": tenant.stop_reason,
        "noise_floor_ratio": floor_ratio,
        "within_noise": within,
        "source": "measured",
    }
    return row_of(SLOWDOWNS, values, _reasons(tenant, floor_ratio))


def _reasons(tenant: TenantSummary, floor_ratio: float | None) -> dict[str, str]:
    few = "too_few_blocks" if tenant.slowdown.quad_count else "no_samples"
    cpu = tenant.cpu_reason or few
    return {
        **{f"slowdown{end}_ratio": few for end in ("", "_lower", "_upper")},
        **{f"cpu{end}_ratio": cpu for end in ("", "_lower", "_upper")},
        **{f"cycle{end}_ratio": few if tenant.cycles else "not_measured" for end in ("", "_lower", "_upper")},
        "p95_ratio": "too_few_samples",
        "p95_lower_ratio": "too_few_samples",
        "p95_upper_ratio": "too_few_samples",
        "solo_p50_ns": few,
        "co_run_p50_ns": few,
        **dict.fromkeys(("mean_ratio", "solo_mean_ns", "co_run_mean_ns"), "not_applicable"),
        "stop_reason": "not_reported",
        "noise_floor_ratio": "no_null_experiment",
        "within_noise": few if floor_ratio is not None else "no_null_experiment",
    }
