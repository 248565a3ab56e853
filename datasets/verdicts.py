"""How far an experiment can be trusted, decided from its stored facts alone (design section 6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cotenant.datasets.words import KINDS

Severity = Literal["note", "mark", "fail"]
OVERLOAD_MIN = 1.0  # design section 6: at 1 or more, more work arrives than the lanes can do
ENQUEUE_BOUND_MAX_RATIO = 0.05  # where `quality` has no other; medians hold with more, means and p95 do not


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
    "enqueue_bound": Reason("mark", "lanes ran dry and waited for the dispatching process"),
    "not_stationary": Reason("mark", "the run had not settled: its start could not be cut, or its halves differ"),
    "overload": Reason("mark", "more work arrived than the lanes can do: queues grow as long as it lasts"),
    "generator_lag": Reason("mark", "the host noticed arrivals later than allowed: the load was not what was drawn"),
    "solo_not_representative": Reason("mark", "executions beside nobody did not take what the solo profile says"),
    "device_not_idle": Reason("mark", "the device was not idle when measuring began, and it was told to go on"),
    "throttled": Reason("mark", "the driver held the clocks down while executions that count ran"),
    "clock_drop": Reason("mark", "the clock fell while executions that count ran; cycle ratios tell what that did"),
    "foreign_load": Reason("mark", "processes of others ran beside executions that count"),
    "stolen": Reason("mark", "other guests of the host took time of the cores from executions that count"),
    "quota_throttled": Reason("mark", "a quota on the cores' time held executions that count back"),
    "hot": Reason("note", "the device came within a few degrees of slowing down; whether it did, `throttled` says"),
}


@dataclass(frozen=True)
class TenantFacts:
    """What the slowdowns table says of one tenant."""

    ratio: float | None
    lower: float | None
    upper: float | None
    within_noise: bool | None
    stop_reason: str | None


@dataclass(frozen=True)
class ServingFacts:
    """What decides of an open-loop experiment; None where it is not known.

    Attributes:
        concurrency: Batches in flight at most.
        generator_lag_limit_ns: Most that the lag may be.
        lone_lower, lone_upper: Bounds of the slowdown of executions that nobody ran beside.
    """

    offered_load: float | None
    concurrency: int | None
    stationary: bool | None
    generator_lag_p99_ns: int | None
    generator_lag_limit_ns: int | None
    lone_lower: float | None
    lone_upper: float | None


@dataclass(frozen=True)
class Facts:
    """What decides a verdict; None where it is not known or does not apply.

    Attributes:
        gate_marks: Words of gates that mark an execution that counts.
    """

    kind: str
    oversubscribed: bool | None
    host_has_own_core: bool | None
    self_test_passed: bool | None
    gain_ratio: float | None
    gain_min_ratio: float
    canary_drift_ratio: float | None
    canary_drift_max_ratio: float
    enqueue_bound_ratio: float | None
    enqueue_bound_max_ratio: float
    tenants: Sequence[TenantFacts]
    serving: ServingFacts | None = None
    started_busy: bool | None = None
    gate_marks: Sequence[str] = ()


def judge(facts: Facts) -> tuple[str, list[str]]:
    """Return the verdict (ok, marked or failed) and its reasons, sorted."""
    found = {*_of_session(facts), *_of_co_running(facts), *_of_estimates(facts), *facts.gate_marks}
    if facts.serving is not None:
        found |= set(_of_serving(facts.serving))
    reasons = sorted(found)
    severities = {REASONS[reason].severity for reason in reasons}
    verdict = "failed" if "fail" in severities else "marked" if "mark" in severities else "ok"
    return verdict, reasons


def _of_session(facts: Facts) -> Iterator[str]:
    if facts.oversubscribed:
        yield "oversubscribed"
    if facts.host_has_own_core is False:
        yield "no_core_for_host"
    if facts.started_busy:
        yield "device_not_idle"
    if facts.canary_drift_ratio is not None and facts.canary_drift_ratio - 1 > facts.canary_drift_max_ratio:
        yield "canary_drift"
    if _ran_dry(facts):
        yield "enqueue_bound"


def _ran_dry(facts: Facts) -> bool:
    return facts.enqueue_bound_ratio is not None and facts.enqueue_bound_ratio > facts.enqueue_bound_max_ratio


def _of_co_running(facts: Facts) -> Iterator[str]:
    if facts.kind == "self_test" and facts.self_test_passed is False:
        yield "self_test_failed"
    kind = KINDS[facts.kind]
    if not kind.beside or (facts.serving is not None and facts.serving.concurrency == 1):
        return
    if facts.self_test_passed is None:
        yield "self_test_missing"
    if facts.self_test_passed is False:
        yield "self_test_failed"
    if kind.fills_lanes and facts.gain_ratio is not None and facts.gain_ratio < facts.gain_min_ratio:
        if facts.self_test_passed is False:
            yield "serialised"
        elif not _ran_dry(facts):  # then the host was the limit, and no resource of the device
            yield "saturated"


def _of_estimates(facts: Facts) -> Iterator[str]:
    if not KINDS[facts.kind].quads:
        return
    known = [tenant for tenant in facts.tenants if tenant.lower is not None and tenant.upper is not None]
    if len(known) < len(facts.tenants) or not facts.tenants:
        yield "too_few_samples"
    if any(tenant.stop_reason == "cap" for tenant in facts.tenants):
        yield "cap_reached"
    if facts.kind == "null":
        if any(not _holds_one(tenant.lower, tenant.upper) for tenant in known):
            yield "null_control_off"
    elif facts.tenants and all(tenant.within_noise for tenant in facts.tenants):
        yield "within_noise"


def _of_serving(facts: ServingFacts) -> Iterator[str]:
    if facts.offered_load is not None and facts.offered_load >= OVERLOAD_MIN:
        yield "overload"
    if facts.stationary is False:
        yield "not_stationary"
    lag_ns, limit_ns = facts.generator_lag_p99_ns, facts.generator_lag_limit_ns
    if lag_ns is not None and limit_ns is not None and lag_ns > limit_ns:
        yield "generator_lag"
    if facts.lone_lower is None or facts.lone_upper is None:
        yield "too_few_samples"
    elif not _holds_one(facts.lone_lower, facts.lone_upper):
        yield "solo_not_representative"


def _holds_one(lower: float | None, upper: float | None) -> bool:
    assert lower is not None
    assert upper is not None
    return lower <= 1.0 <= upper
