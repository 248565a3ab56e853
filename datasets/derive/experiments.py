"""The experiments table, with the verdict and the null reasons of the large tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.datasets.columns import EXPERIMENTS
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.verdicts import Facts, TenantFacts, judge
from cotenant.models.digest import canonical_json


@dataclass(frozen=True)
class Written:
    """What was written of one experiment to the large tables.

    Attributes:
        null_reasons: `table.column` -> reason, for each column with a null in this experiment's rows.
    """

    execution_count: int
    overlap_count: int
    null_reasons: dict[str, str]


def experiment_row(summary: Summary, written: Written, slowdowns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an experiment's row; `slowdowns` are the rows of its tenants."""
    facts = summary.metadata
    models = {engine["engine_id"]: engine["model"] for engine in facts["engines"]}
    engine_ids = [tenant["engine_id"] for tenant in facts["tenants"]]
    self_test = facts["self_test"]
    copied = "experiment_id cell_id kind seed repeat condition runner isolation_requested isolation_observed"
    copied += " clock_error_ns weights_shared oversubscribed host_has_own_core"
    values = {
        **{name: facts[name] for name in copied.split()},
        "device_id": facts["device"]["device_id"],
        "spec": canonical_json(facts["spec"]).decode(),
        "quality": canonical_json(facts["quality"]).decode(),
        "lanes": facts["lane_count"],
        "deployed_models": [models[engine_id] for engine_id in engine_ids],
        "deployed_engine_ids": engine_ids,
        "concurrency_gain_ratio": summary.gain.value,
        "concurrency_gain_lower_ratio": summary.gain.lower,
        "concurrency_gain_upper_ratio": summary.gain.upper,
        "canary_drift_ratio": summary.canary_drift_ratio,
        "self_test_passed": self_test and self_test["passed"],
        "self_test_makespan_ratio": self_test and self_test["makespan_ratio"],
        "block_count": len(facts["blocks"]),
        "execution_count": written.execution_count,
        "overlap_count": written.overlap_count,
    }
    values["verdict"], values["verdict_reasons"] = judge(facts_of(values, facts["quality"], slowdowns))
    row = row_of(EXPERIMENTS, values, _reasons(summary))
    row["null_reasons"] = sorted([*row["null_reasons"], *written.null_reasons.items()])
    return row


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
    )


def _reasons(summary: Summary) -> dict[str, str]:
    has_gains = any(block["arm"] == "co_run" for block in summary.metadata["blocks"])
    gain = "no_samples" if has_gains else "not_applicable"
    bound = "too_few_blocks" if summary.gain.value is not None else gain
    return {
        "condition": "not_applicable",
        "isolation_requested": "not_applicable",
        "offered_load": "closed_loop",
        "concurrency_gain_ratio": gain,
        "concurrency_gain_lower_ratio": bound,
        "concurrency_gain_upper_ratio": bound,
        "canary_drift_ratio": "too_few_blocks" if summary.tenants else "not_applicable",
        "weights_shared": "not_reported",
        "self_test_passed": "not_measured",
        "self_test_makespan_ratio": "not_measured",
    }
