"""What one tenant got in one serving run, from its rows of `requests` and `executions`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cotenant.datasets.figures import ALPHA, BLOCKS, P95_SAMPLES_MIN, P99_SAMPLES_MIN
from cotenant.datasets.statistics import quantile_bounds, seed_of
from cotenant.datasets.words import OUTCOMES

Row = dict[str, Any]
Values = NDArray[np.int64] | NDArray[np.float64]

REQUEST_COLUMNS = [
    *("experiment_id", "tenant", "intended_arrival_ns", "done_ns", "latency_ns", "blocked_ns", "deadline_ns"),
    "outcome",
]
EXECUTION_COLUMNS = [
    *("experiment_id", "tenant", "role", "censored", "co_censored", "request_count", "interference_ratio"),
]
PERCENTILES = {50: BLOCKS, 95: P95_SAMPLES_MIN, 99: P99_SAMPLES_MIN}  # percentile -> the fewest values it needs
NS_PER_S = 1e9


@dataclass(frozen=True)
class Window:
    """The part of a run that counts: [start_ns, end_ns); it ends with the arrivals, and nothing is dispatched after."""

    start_ns: int
    end_ns: int


def of_requests(rows: pd.DataFrame, window: Window, seed_part: str) -> Row:
    """Return what became of a tenant's requests.

    `request_count` and its parts by outcome are those of the whole run; all else is of requests that arrived in the
    window, latencies and `blocked_pct` (time blocked in latency) of the served ones among them.
    """
    arrived = rows[rows.intended_arrival_ns >= window.start_ns]
    served = arrived[arrived.outcome == "served"]
    latencies_ns = served.latency_ns.to_numpy(np.int64)
    found = {f"latency_p{pct}": _percentile(latencies_ns, pct, seed_part) for pct in PERCENTILES}
    facts: Row = {
        "request_count": len(rows),
        **{f"{outcome}_count": int((rows.outcome == outcome).sum()) for outcome in OUTCOMES},
        "window_request_count": len(arrived),
        "window_served_count": len(served),
        "arrival_items_per_s": NS_PER_S * len(arrived) / (window.end_ns - window.start_ns),
        **{
            f"{name}{end}_ns": None if value is None else round(value)
            for name, own in found.items()
            for end, value in own.items()
        },
        **_deadlines(arrived, window),
        "blocked_pct": 100 * float(served.blocked_ns.sum()) / float(latencies_ns.sum()) if len(served) else None,
    }
    reasons = {name: "no_samples" if not len(served) else "too_few_samples" for name in facts if facts[name] is None}
    if not facts["deadline_judged_count"]:
        reasons["deadline_missed_pct"] = "not_applicable" if rows.deadline_ns.isna().all() else "no_samples"
    return {**facts, "null_reasons": reasons}


def of_executions(rows: pd.DataFrame, seed_part: str) -> Row:
    """Return what a tenant's batches held and how much the others slowed them; of role main alone."""
    main = rows[rows.role == "main"]
    whole = main[(main.censored == "none") & (main.co_censored == "none")].interference_ratio.dropna()
    found = _percentile(whole.to_numpy(np.float64), 95, f"{seed_part}/interference")
    facts: Row = {
        "batch_count": len(main),
        "batch_size_mean": float(main.request_count.mean()) if len(main) else None,
        "interference_count": len(whole),
        **{f"interference_p95{end}_ratio": value for end, value in found.items()},
    }
    least = {"batch_size_mean": len(main)}
    reasons = {
        name: "too_few_samples" if least.get(name, len(whole)) else "no_samples"
        for name in facts
        if facts[name] is None
    }
    return {**facts, "null_reasons": reasons}


def _deadlines(arrived: pd.DataFrame, window: Window) -> Row:
    """Return the part of the requests that missed their deadline; those still queued before it are not judged."""
    asked = arrived[arrived.deadline_ns.notna()]
    is_open = (asked.outcome == "unfinished") & (asked.deadline_ns > window.end_ns)
    judged = asked[~is_open]
    missed = (judged.outcome != "served") | (judged.done_ns > judged.deadline_ns)
    return {
        "deadline_judged_count": len(judged),
        "deadline_missed_pct": 100 * float(missed.mean()) if len(judged) else None,
    }


def _percentile(values: Values, pct: int, seed_part: str) -> dict[str, float | None]:
    """Return a percentile with its bounds, by end of name; neighbours are alike, so blocks of them are resampled."""
    if len(values) < PERCENTILES[pct]:
        return dict.fromkeys(("", "_lower", "_upper"))
    bounds = quantile_bounds(np.array_split(values, BLOCKS), pct / 100, ALPHA, seed_of(seed_part, pct))
    lower, upper = bounds or (None, None)
    return {"": float(np.quantile(values, pct / 100)), "_lower": lower, "_upper": upper}
