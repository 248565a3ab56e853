"""How far an experiment can be trusted, decided from its stored facts alone (design section 6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "mark", "fail"]


@dataclass(frozen=True)
class Reason:
    """One word of a verdict: a note leaves it `ok`, a mark makes it `marked`, a fail makes it `failed`."""

    severity: Severity
    meaning: str


REASONS: dict[str, Reason] = {
    "serialised": Reason("fail", "tenants took turns: no gain from running together, and the self-test failed too"),
    "saturated": Reason("note", "no gain from running together though lanes do run side by side: a resource is full"),
    "self_test_failed": Reason("mark", "lanes did not run side by side in the self-test of this isolation mode"),
    "self_test_missing": Reason("mark", "no self-test says whether lanes run side by side in this isolation mode"),
    "null_control_off": Reason("mark", "an idle neighbour seems to change the span, which it cannot"),
    "canary_drift": Reason("mark", "solo spans drifted during the experiment"),
    "cap_reached": Reason("mark", "an interval was still wide when the last quad was done"),
    "within_noise": Reason("note", "no tenant's slowdown can be told from none"),
    "oversubscribed": Reason("mark", "lanes share cores: what is measured is time slicing, not contention"),
    "too_few_samples": Reason("mark", "too few executions count for an estimate with bounds"),
    "no_core_for_host": Reason("mark", "no core is left for the dispatching process, which disturbs the lanes"),
}
CO_RUN_KINDS = ("pair", "set", "offset_sweep", "chain", "sensitivity")
QUAD_KINDS = ("pair", "set", "null")


@dataclass(frozen=True)
class TenantFacts:
    """What the slowdowns table says of one tenant."""

    ratio: float | None
    lower: float | None
    upper: float | None
    within_noise: bool | None
    stop_reason: str | None


@dataclass(frozen=True)
class Facts:
    """What decides a verdict; None where it is not known or does not apply."""

    kind: str
    oversubscribed: bool
    host_has_own_core: bool
    self_test_passed: bool | None
    gain_ratio: float | None
    gain_min_ratio: float
    canary_drift_ratio: float | None
    canary_drift_max_ratio: float
    tenants: Sequence[TenantFacts]


def judge(facts: Facts) -> tuple[str, list[str]]:
    """Return the verdict (ok, marked or failed) and its reasons, sorted."""
    reasons = sorted({*_of_session(facts), *_of_co_running(facts), *_of_estimates(facts)})
    severities = {REASONS[reason].severity for reason in reasons}
    verdict = "failed" if "fail" in severities else "marked" if "mark" in severities else "ok"
    return verdict, reasons


def _of_session(facts: Facts) -> Iterator[str]:
    if facts.oversubscribed:
        yield "oversubscribed"
    if not facts.host_has_own_core:
        yield "no_core_for_host"
    if facts.canary_drift_ratio is not None and facts.canary_drift_ratio - 1 > facts.canary_drift_max_ratio:
        yield "canary_drift"


def _of_co_running(facts: Facts) -> Iterator[str]:
    if facts.kind == "self_test" and facts.self_test_passed is False:
        yield "self_test_failed"
    if facts.kind not in CO_RUN_KINDS:
        return
    if facts.self_test_passed is None:
        yield "self_test_missing"
    if facts.self_test_passed is False:
        yield "self_test_failed"
    if facts.gain_ratio is not None and facts.gain_ratio < facts.gain_min_ratio:
        yield "serialised" if facts.self_test_passed is False else "saturated"


def _of_estimates(facts: Facts) -> Iterator[str]:
    if facts.kind not in QUAD_KINDS:
        return
    known = [tenant for tenant in facts.tenants if tenant.lower is not None and tenant.upper is not None]
    if len(known) < len(facts.tenants) or not facts.tenants:
        yield "too_few_samples"
    if any(tenant.stop_reason == "cap" for tenant in facts.tenants):
        yield "cap_reached"
    if facts.kind == "null":
        if any(not _holds_one(tenant) for tenant in known):
            yield "null_control_off"
    elif facts.tenants and all(tenant.within_noise for tenant in facts.tenants):
        yield "within_noise"


def _holds_one(tenant: TenantFacts) -> bool:
    assert tenant.lower is not None
    assert tenant.upper is not None
    return tenant.lower <= 1.0 <= tenant.upper
