"""The experiments table, with the verdict and the null reasons of the large tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.datasets.columns import EXPERIMENTS
from cotenant.datasets.derive.lone import LoneSlowdown
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.verdicts import ENQUEUE_BOUND_MAX_RATIO, Facts, ServingFacts, TenantFacts, judge
from cotenant.datasets.words import ARMS, KINDS
from cotenant.models.digest import canonical_json

COPIED = (
    *("experiment_id", "cell_id", "kind", "seed", "repeat", "condition", "runner", "isolation_requested"),
    *("isolation_observed", "clock_error_ns", "weights_shared", "oversubscribed", "host_has_own_core"),
)
OF_IMPORTED = ("seed", "isolation_observed", "clock_error_ns", "oversubscribed", "host_has_own_core")  # may be unknown
HALVES = tuple(
    f"{name}_p95_{half}_half{end}_ns"
    for name in ("latency", "span")
    for half in ("first", "second")
    for end in ("", "_lower", "_upper")
)
OF_SERVING = ("offered_load", "concurrency", "generator_lag_p99_ns", "generator_lag_limit_ns", "stationary", *HALVES)
LONE = ("lone_slowdown_ratio", "lone_slowdown_lower_ratio", "lone_slowdown_upper_ratio", "lone_execution_count")


@dataclass(frozen=True)
class Written:
    """What was written of one experiment to the large tables, and what only shows there.

    Attributes:
        counts: Table -> rows.
        lone: Slowdown of executions that nobody ran beside; None for experiments without open-loop blocks.
        null_reasons: `table.column` -> reason, for each column with a null in this experiment's rows.
        gate_marks: Words of gates that mark an execution that counts; None without telemetry.
        watched_ratio: Part of the executions that count that ran between its first and last sample.
    """

    counts: Mapping[str, int]
    lone: LoneSlowdown | None
    null_reasons: Mapping[str, str]
    gate_marks: Sequence[str] | None = None
    watched_ratio: float | None = None


def experiment_row(summary: Summary, written: Written, slowdowns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an experiment's row; `slowdowns` are the rows of its tenants."""
    facts = summary.metadata
    models = {engine["engine_id"]: engine["model"] for engine in facts["engines"]}
    self_test = facts["self_test"]
    values = {
        **{name: facts[name] for name in COPIED},
        "device_id": facts["device"]["device_id"],
        "spec": canonical_json(facts["spec"]).decode(),
        "quality": canonical_json(facts["quality"]).decode(),
        "lanes": facts["lane_count"],
        "lane_share_pct": facts.get("lane_share_pct"),
        "tenants": [tenant["tenant"] for tenant in facts["tenants"]],
        "deployed_models": [models[tenant["engine_ids"][0]] for tenant in facts["tenants"]],
        "tenant_engine_count": [len(tenant["engine_ids"]) for tenant in facts["tenants"]],
        "deployed_engine_ids": [engine_id for tenant in facts["tenants"] for engine_id in tenant["engine_ids"]],
        "planned_offset_ratio": _planned_offset(facts["spec"]),
        **{name: (facts.get("serving") or {}).get(name) for name in OF_SERVING},
        **_lone(written.lone),
        "concurrency_gain_ratio": summary.gain.value,
        "concurrency_gain_lower_ratio": summary.gain.lower,
        "concurrency_gain_upper_ratio": summary.gain.upper,
        "canary_drift_ratio": summary.canary_drift_ratio,
        "enqueue_bound_ratio": summary.enqueue_bound_ratio,
        "self_test_passed": self_test and self_test["passed"],
        "self_test_makespan_ratio": self_test and self_test["makespan_ratio"],
        "block_count": len(facts["blocks"]),
        **{f"{table.removesuffix('s')}_count": count for table, count in written.counts.items()},
        "started_busy": facts.get("started_busy"),
        "gate_marks": written.gate_marks,
        "watched_ratio": written.watched_ratio,
    }
    values["verdict"], values["verdict_reasons"] = judge(facts_of(values, facts["quality"], slowdowns))
    row = row_of(EXPERIMENTS, values, _reasons(summary, written))
    row["null_reasons"] = sorted([*row["null_reasons"], *written.null_reasons.items()])
    return row


def _planned_offset(spec: Mapping[str, Any]) -> float | None:
    options = spec.get("options") or {}
    offset = options.get("offset_ratio")
    return None if offset is None else float(offset)


def _lone(lone: LoneSlowdown | None) -> dict[str, float | int | None]:
    if lone is None:
        return dict.fromkeys(LONE)
    return dict(zip(LONE, (lone.ratio, lone.lower, lone.upper, lone.execution_count), strict=True))


def facts_of(
    experiment: Mapping[str, Any], quality: Mapping[str, Any], slowdowns: Sequence[Mapping[str, Any]]
) -> Facts:
    """Return what decides a verdict, from the rows of the experiments and slowdowns tables."""
    return Facts(
        kind=experiment["kind"],
        oversubscribed=experiment["oversubscribed"],
        host_has_own_core=experiment["host_has_own_core"],
        self_test_passed=experiment["self_test_passed"],
        gain_ratio=experiment["concurrency_gain_ratio"],
        gain_min_ratio=quality["gain_min_ratio"],
        canary_drift_ratio=experiment["canary_drift_ratio"],
        canary_drift_max_ratio=quality["canary_drift_max_ratio"],
        enqueue_bound_ratio=experiment["enqueue_bound_ratio"],
        enqueue_bound_max_ratio=quality.get("enqueue_bound_max_ratio", ENQUEUE_BOUND_MAX_RATIO),
        tenants=[
            TenantFacts(
                ratio=row["slowdown_ratio"],
                lower=row["slowdown_lower_ratio"],
                upper=row["slowdown_upper_ratio"],
                within_noise=row["within_noise"],
                stop_reason=row["stop_reason"],
            )
            for row in slowdowns
        ],
        serving=_serving_facts(experiment) if KINDS[experiment["kind"]].open_loop else None,
        started_busy=experiment["started_busy"],
        gate_marks=experiment["gate_marks"] or (),
    )


def _serving_facts(experiment: Mapping[str, Any]) -> ServingFacts:
    return ServingFacts(
        offered_load=experiment["offered_load"],
        concurrency=experiment["concurrency"],
        stationary=experiment["stationary"],
        generator_lag_p99_ns=experiment["generator_lag_p99_ns"],
        generator_lag_limit_ns=experiment["generator_lag_limit_ns"],
        lone_lower=experiment["lone_slowdown_lower_ratio"],
        lone_upper=experiment["lone_slowdown_upper_ratio"],
    )


def _reasons(summary: Summary, written: Written) -> dict[str, str]:
    facts = summary.metadata
    kind = KINDS[facts["kind"]]
    together = any(ARMS[block["arm"]].together for block in facts["blocks"])
    gain = "no_samples" if together else "not_applicable"
    gain_bound = "too_few_blocks" if summary.gain.value is not None else gain
    drift_told = summary.tenants or kind.open_loop
    enqueued = "no_samples" if kind.fills_lanes else "not_applicable"
    return {
        "condition": "not_applicable",
        "isolation_requested": "not_applicable",
        **dict.fromkeys(OF_IMPORTED, "not_reported"),
        "lane_share_pct": "not_reported" if facts["kind"] == "imported" else "whole_device",
        "planned_offset_ratio": "not_applicable",
        **_reasons_of_serving(facts, written.lone),
        **{f"concurrency_gain{end}_ratio": why for end, why in (("", gain), ("_lower", gain_bound))},
        "concurrency_gain_upper_ratio": gain_bound,
        "canary_drift_ratio": "too_few_blocks" if drift_told else "not_applicable",
        "enqueue_bound_ratio": enqueued,
        "weights_shared": "not_reported",
        "self_test_passed": "not_measured",
        "self_test_makespan_ratio": "not_measured",
        **dict.fromkeys(("started_busy", "gate_marks", "watched_ratio"), _no_telemetry(facts)),
    }


def _no_telemetry(facts: Mapping[str, Any]) -> str:
    """Return why nothing is known of what the device did meanwhile."""
    if facts["kind"] == "imported":
        return "not_reported"
    return "not_applicable" if facts["device"]["kind"] == "simulated" else "not_measured"


def _reasons_of_serving(facts: Mapping[str, Any], lone: LoneSlowdown | None) -> dict[str, str]:
    if not KINDS[facts["kind"]].open_loop:
        return dict.fromkeys((*OF_SERVING, *LONE), "closed_loop")
    serving = facts.get("serving") or {}
    changes = len(serving.get("pieces") or ()) > 1
    known = lone is not None and lone.ratio is not None
    return {
        **dict.fromkeys(OF_SERVING, "not_reported"),
        "generator_lag_p99_ns": "no_samples",
        **dict.fromkeys(("stationary", *HALVES), "load_changes" if changes else "too_few_samples"),
        **dict.fromkeys(LONE, "too_few_blocks" if known else "no_samples"),
    }
