"""What is said of a serving run, and what a tenant got, from rows as the tables hold them."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.datasets.verdicts import REASONS
from cotenant.profiler.cli.serve_tenant import Window, of_executions, of_requests
from cotenant.profiler.cli.serve_text import SERVE_STEPS, TOLD_IN_SENTENCE, serve_sentence, serve_text

Row = dict[str, Any]
MS = 1_000_000
WINDOW = Window(10 * MS, 100 * MS)


def request(arrival_ms: float, latency_ms: float | None, outcome: str = "served", deadline_ms: float = 5) -> Row:
    arrival = round(arrival_ms * MS)
    latency = None if latency_ms is None else round(latency_ms * MS)
    return {
        "intended_arrival_ns": arrival,
        "done_ns": None if latency is None else arrival + latency,
        "latency_ns": latency,
        "blocked_ns": None if outcome == "dropped" else 1 * MS,
        "deadline_ns": arrival + round(deadline_ms * MS),
        "outcome": outcome,
    }


COLUMNS = list(request(0, 1))


def requests(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def test_what_a_tenant_got_by_hand() -> None:
    found = of_requests(
        requests(
            [
                request(5, 50),  # before the window: counted, and in nothing else
                request(10, 2),
                request(20, 6),
                request(30, None, "dropped"),
                request(94, None, "unfinished"),
                request(96, None, "unfinished"),  # its deadline lies after the end
            ]
        ),
        WINDOW,
        "seed",
    )
    assert [found[f"{word}_count"] for word in ("request", "served", "unfinished", "dropped")] == [6, 3, 2, 1]
    assert (found["window_request_count"], found["window_served_count"]) == (5, 2)
    assert found["arrival_items_per_s"] == pytest.approx(5 / 0.09)
    assert found["deadline_judged_count"] == 4
    assert found["deadline_missed_pct"] == 75
    assert found["blocked_pct"] == 25
    assert found["latency_p50_ns"] is None
    assert found["null_reasons"]["latency_p50_ns"] == "too_few_samples"


def test_a_tenant_that_nobody_asked_says_why_it_has_no_numbers() -> None:
    found = of_requests(requests([]), WINDOW, "seed")
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == set(found["null_reasons"])
    assert set(found["null_reasons"].values()) <= {"no_samples", "not_applicable"}
    columns = ["role", "censored", "co_censored", "request_count", "interference_ratio"]
    ran = of_executions(pd.DataFrame([], columns=columns), "seed")
    assert {name for name, value in ran.items() if value is None} == set(ran["null_reasons"])


@given(
    st.lists(
        st.tuples(
            st.integers(0, 99),
            st.sampled_from(["served", "unfinished", "dropped"]),
            st.integers(1, 40),
            st.integers(1, 40),
        ),
        max_size=60,
    )
)
def test_requests_are_conserved_and_deadlines_judged_as_one_by_one(drawn: list[tuple[int, str, int, int]]) -> None:
    rows = [
        request(arrival, latency if outcome == "served" else None, outcome, deadline)
        for arrival, outcome, latency, deadline in drawn
    ]
    found = of_requests(requests(rows), WINDOW, "seed")
    assert found["request_count"] == len(rows)
    assert sum(found[f"{word}_count"] for word in ("served", "unfinished", "dropped")) == len(rows)
    verdicts = []
    for arrival, outcome, latency, deadline in drawn:
        if arrival < 10 or (outcome == "unfinished" and arrival + deadline > 100):
            continue
        verdicts.append(outcome != "served" or latency > deadline)
    assert found["deadline_judged_count"] == len(verdicts)
    if verdicts:
        assert found["deadline_missed_pct"] == pytest.approx(100 * sum(verdicts) / len(verdicts))


@given(st.lists(st.integers(1, 1000), min_size=400, max_size=600))
def test_percentiles_lie_between_their_neighbours(latencies: list[int]) -> None:
    found = of_requests(requests([request(20, latency) for latency in latencies]), WINDOW, "seed")
    ordered = sorted(latency * MS for latency in latencies)
    for pct in (50, 95, 99):
        rank = (len(ordered) - 1) * pct // 100
        assert ordered[rank] <= found[f"latency_p{pct}_ns"] <= ordered[rank + 1]
        assert found[f"latency_p{pct}_lower_ns"] <= found[f"latency_p{pct}_upper_ns"]


def test_only_whole_main_executions_tell_interference() -> None:
    row = {"role": "main", "censored": "none", "co_censored": "none", "request_count": 2, "interference_ratio": 1.0}
    slow = row | {"interference_ratio": 9.0, "request_count": 8}
    rows = [row] * 250 + [slow | {"role": "solo"}] * 250 + [slow | {"censored": "left"}] * 50
    found = of_executions(pd.DataFrame([*rows, *[slow | {"co_censored": "right"}] * 50]), "seed")
    assert found["interference_p95_ratio"] == found["interference_p95_upper_ratio"] == 1.0
    assert found["interference_count"] == 250
    assert found["batch_count"] == 350
    assert found["batch_size_mean"] == pytest.approx((250 * 2 + 100 * 8) / 350)


def tenant(name: str, served: int = 500, p95_ms: float | None = 12.5, interference: float | None = 1.25) -> Row:
    return {
        "tenant": name,
        "model": "resnet50",
        "window_request_count": 500,
        "window_served_count": served,
        "latency_p95_ns": None if p95_ms is None else p95_ms * MS,
        "interference_p95_ratio": interference,
    }


def run(*reasons: str, tenants: tuple[Row, ...] = (tenant("a"), tenant("b")), **changes: Any) -> Row:
    facts = {
        "offered_load": 0.5,
        "concurrency": 2,
        "stationary": True,
        "generator_lag_p99_ns": 2_500_000,
        "generator_lag_limit_ns": 1_000_000,
        "verdict_reasons": list(reasons),
        "asked_items_per_s": None,
        "request_count": 1000,
        "served_count": 998,
        "unfinished_count": 2,
        "dropped_count": 0,
        "tenants": list(tenants),
    }
    return facts | changes


def test_a_quiet_run_in_one_sentence() -> None:
    assert serve_sentence(run()) == (
        "at load 0.50, up to 2 batches at once: 998 of 1,000 requests served (2 unfinished); "
        "p95 of latency 12.500 ms (a), 12.500 ms (b); p95 of interference 1.25x (a), 1.25x (b); the run had settled"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("overload", "overload: more work arrived than the lanes can do"),
        ("generator_lag", "generator lag: the host noticed arrivals 2.500 ms late at p99, 1.000 ms are allowed"),
        ("not_stationary", "not stationary: the run had not settled"),
    ],
)
def test_what_is_wrong_with_the_load_is_said_in_plain_words(reason: str, words: str) -> None:
    assert words in serve_sentence(run(reason))
    assert words not in serve_sentence(run())


def test_a_run_that_did_not_settle_is_not_said_to_have_settled() -> None:
    assert not serve_sentence(run("not_stationary", stationary=False)).endswith("the run had settled")
    assert serve_sentence(run(stationary=None)).endswith("whether the run had settled is unknown")


def test_requests_without_a_latency_are_told() -> None:
    told = serve_sentence(run(tenants=(tenant("a", served=300), tenant("b"))))
    assert "40 % of a's requests were not served, and no latency speaks of them" in told
    assert "b's" not in told


def test_lanes_that_fall_behind_below_load_1_are_told() -> None:
    behind = {"served_count": 600, "stationary": False}
    assert "the lanes fell behind at a load below 1" in serve_sentence(run("not_stationary", **behind))
    assert "fell behind" not in serve_sentence(run("not_stationary", "overload", **behind))


def test_one_batch_at_a_time_has_no_interference_to_tell() -> None:
    told = serve_sentence(run(concurrency=1, asked_items_per_s=[40.0, 2.5]))
    assert told.startswith("at 40 (a), 2.5 (b) requests/s (load 0.50), one batch at a time: ")
    assert "interference" not in told


def test_unknown_is_said_and_what_to_do() -> None:
    some = serve_sentence(run(tenants=(tenant("a", p95_ms=None), tenant("b"))))
    assert "p95 of latency unknown (a), 12.500 ms (b)" in some
    none = serve_sentence(run(tenants=(tenant("a", interference=None),)))
    assert "p95 of interference unknown (too few samples: serve longer with --seconds)" in none


def test_no_run_is_no_text() -> None:
    assert serve_text({"runs": [], "noise_floor_ratio": None}) == []


def test_reasons_are_those_that_there_are() -> None:
    assert TOLD_IN_SENTENCE.keys() | SERVE_STEPS.keys() <= REASONS.keys()
    assert not TOLD_IN_SENTENCE.keys() & SERVE_STEPS.keys()
