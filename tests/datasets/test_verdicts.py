"""Verdicts say what the facts say: each reason has its own fact, and the worst of them decides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from raw_campaign import QUALITY, SELF_TEST, Maker

from cotenant.datasets.build import build_dataset
from cotenant.datasets.read import read_table
from cotenant.datasets.verdicts import REASONS, Facts, ServingFacts, TenantFacts, judge
from cotenant.datasets.words import GATE_MARKS, KINDS

SLOWED = TenantFacts(ratio=1.3, lower=1.2, upper=1.4, within_noise=False, stop_reason="narrow")
NO_BOUNDS = replace(SLOWED, lower=None, upper=None)
UNTOUCHED = replace(SLOWED, ratio=1.0, lower=0.99, upper=1.01, within_noise=True)
SOUND = Facts(
    kind="pair",
    oversubscribed=False,
    host_has_own_core=True,
    self_test_passed=True,
    gain_ratio=1.6,
    gain_min_ratio=1.05,
    canary_drift_ratio=1.02,
    canary_drift_max_ratio=0.1,
    enqueue_bound_ratio=0.01,
    enqueue_bound_max_ratio=0.05,
    tenants=[SLOWED, SLOWED],
)
CALM = ServingFacts(
    offered_load=0.8,
    concurrency=2,
    stationary=True,
    generator_lag_p99_ns=900,
    generator_lag_limit_ns=1000,
    lone_lower=0.99,
    lone_upper=1.01,
)
SERVED = replace(SOUND, kind="serving", tenants=[], gain_ratio=None, enqueue_bound_ratio=None, serving=CALM)
BY_SERVING_FACT: dict[str, dict[str, Any]] = {
    "overload": {"offered_load": 1.0},
    "not_stationary": {"stationary": False},
    "generator_lag": {"generator_lag_p99_ns": 1001},
    "solo_not_representative": {"lone_lower": 1.001, "lone_upper": 1.02},
    "too_few_samples": {"lone_lower": None, "lone_upper": None},
}
BY_FACT: dict[str, dict[str, Any]] = {
    "oversubscribed": {"oversubscribed": True},
    "no_core_for_host": {"host_has_own_core": False},
    "self_test_missing": {"self_test_passed": None},
    "self_test_failed": {"self_test_passed": False},
    "saturated": {"gain_ratio": 1.04},
    "canary_drift": {"canary_drift_ratio": 1.11},
    "cap_reached": {"tenants": [SLOWED, replace(SLOWED, stop_reason="cap")]},
    "too_few_samples": {"tenants": [SLOWED, NO_BOUNDS]},
    "within_noise": {"tenants": [UNTOUCHED, UNTOUCHED]},
    "null_control_off": {"kind": "null", "tenants": [SLOWED]},
    "enqueue_bound": {"enqueue_bound_ratio": 0.051},
    "device_not_idle": {"started_busy": True},
    **{word: {"gate_marks": [word]} for word in GATE_MARKS},
}


def test_a_sound_pair_has_nothing_against_it() -> None:
    assert judge(SOUND) == ("ok", [])


@pytest.mark.parametrize("reason", BY_FACT)
def test_each_fact_has_its_reason_and_that_its_weight(reason: str) -> None:
    weight = {"note": "ok", "mark": "marked", "fail": "failed"}[REASONS[reason].severity]
    assert judge(replace(SOUND, **BY_FACT[reason])) == (weight, [reason])


def test_turns_are_serialised_where_the_self_test_failed_too() -> None:
    facts = replace(SOUND, self_test_passed=False, gain_ratio=1.0)
    assert judge(facts) == ("failed", ["self_test_failed", "serialised"])
    assert set(BY_FACT) | set(BY_SERVING_FACT) | {"serialised"} == set(REASONS)


def test_lanes_that_ran_dry_are_not_called_saturated() -> None:
    facts = replace(SOUND, gain_ratio=0.3, enqueue_bound_ratio=0.9)
    assert judge(facts) == ("marked", ["enqueue_bound"])
    assert judge(replace(facts, self_test_passed=False))[1] == ["enqueue_bound", "self_test_failed", "serialised"]


def test_calm_serving_has_nothing_against_it() -> None:
    assert judge(SERVED) == ("ok", [])


@pytest.mark.parametrize("reason", BY_SERVING_FACT)
def test_each_fact_of_serving_has_its_reason(reason: str) -> None:
    facts = replace(SERVED, serving=replace(CALM, **BY_SERVING_FACT[reason]))
    assert judge(facts) == ("marked", [reason])


@pytest.mark.parametrize(
    "facts",
    [
        {"offered_load": 0.999},
        {"offered_load": None},
        {"stationary": None},
        {"generator_lag_p99_ns": 1000},
        {"generator_lag_p99_ns": None},
        {"generator_lag_limit_ns": None},
        {"lone_lower": 1.0, "lone_upper": 1.2},
        {"lone_lower": 0.8, "lone_upper": 1.0},
    ],
)
def test_up_to_its_limit_no_fact_of_serving_is_a_reason(facts: dict[str, Any]) -> None:
    assert judge(replace(SERVED, serving=replace(CALM, **facts))) == ("ok", [])


@pytest.mark.parametrize(("concurrency", "reasons"), [(2, ["self_test_failed"]), (1, [])])
def test_one_batch_at_a_time_needs_no_self_test(concurrency: int, reasons: list[str]) -> None:
    facts = replace(SERVED, self_test_passed=False, serving=replace(CALM, concurrency=concurrency))
    assert judge(facts)[1] == reasons


@pytest.mark.parametrize("kind", ["offset_sweep", "chain"])
def test_where_lanes_pause_by_plan_no_gain_is_no_fault(kind: str) -> None:
    facts = replace(SOUND, kind=kind, gain_ratio=1.0)
    assert judge(facts) == ("ok", [])
    assert judge(replace(facts, self_test_passed=False)) == ("marked", ["self_test_failed"])


@pytest.mark.parametrize("kind", [name for name, facts in KINDS.items() if facts.quads])
def test_every_kind_with_quads_needs_estimates(kind: str) -> None:
    assert "too_few_samples" in judge(replace(SOUND, kind=kind, tenants=[SLOWED, NO_BOUNDS]))[1]
    assert "cap_reached" in judge(replace(SOUND, kind=kind, tenants=[replace(SLOWED, stop_reason="cap")]))[1]


@pytest.mark.parametrize(
    "facts",
    [
        {"gain_ratio": 1.05},
        {"gain_ratio": None},
        {"canary_drift_ratio": 1.09},
        {"canary_drift_ratio": None},
        {"enqueue_bound_ratio": 0.05},
        {"enqueue_bound_ratio": None},
        {"tenants": [SLOWED, UNTOUCHED]},
        {"tenants": [SLOWED, replace(SLOWED, within_noise=None)]},
        {"kind": "null", "tenants": [UNTOUCHED], "gain_ratio": None},
        {"kind": "solo", "tenants": [], "self_test_passed": None, "gain_ratio": None},
    ],
)
def test_up_to_its_threshold_nothing_is_a_reason_nor_what_does_not_apply(facts: dict[str, Any]) -> None:
    assert judge(replace(SOUND, **facts)) == ("ok", [])


def test_reasons_are_sorted_and_the_worst_decides() -> None:
    facts = replace(SOUND, oversubscribed=True, host_has_own_core=False, self_test_passed=False, gain_ratio=0.9)
    assert judge(facts) == ("failed", ["no_core_for_host", "oversubscribed", "self_test_failed", "serialised"])


def test_a_self_test_that_failed_marks_itself() -> None:
    facts = replace(SOUND, kind="self_test", self_test_passed=False, tenants=[], gain_ratio=None)
    assert judge(facts) == ("marked", ["self_test_failed"])


@pytest.mark.parametrize(
    ("slowdown", "facts", "verdict", "reasons"),
    [
        (1.2, {}, "ok", []),
        (2.0, {}, "ok", ["saturated"]),
        (2.0, {"self_test": SELF_TEST | {"passed": False}}, "failed", ["self_test_failed", "serialised"]),
        (1.2, {"self_test": None}, "marked", ["self_test_missing"]),
        (2.0, {"oversubscribed": True}, "marked", ["oversubscribed", "saturated"]),
        (1.2, {"stops": [{"tenant": "a", "stop_reason": "cap"}]}, "marked", ["cap_reached"]),
        (1.2, {"quality": QUALITY | {"gain_min_ratio": 1.7}}, "ok", ["saturated"]),
    ],
)
def test_raw_facts_lead_to_verdicts(
    tmp_path: Path, slowdown: float, facts: dict[str, Any], verdict: str, reasons: list[str]
) -> None:
    Maker(tmp_path, slowdown=slowdown, quads=3).pair("resnet18@1", "vit_ti_16@1", **facts)
    build_dataset(tmp_path)
    (row,) = read_table(tmp_path, "experiments").to_pylist()
    assert (row["verdict"], row["verdict_reasons"]) == (verdict, reasons)
