"""A serving campaign's runs as a person reads them: tables of tenants, and one plain sentence for each run."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cotenant.profiler.cli.columns import as_columns, milliseconds
from cotenant.profiler.cli.sentence import doubt_lines

Row = dict[str, Any]

SERVE_STEPS = {  # reason of a verdict -> what to do about it
    "self_test_failed": "choose another --isolation",
    "canary_drift": "serve again in a new --out when the machine is quiet",
    "too_few_samples": "batches that nobody runs beside are too few: serve longer (--seconds) or at a lower load",
    "oversubscribed": "use no more --lanes than there are cores",
    "no_core_for_host": "use fewer --lanes, so that a core is left",
}
# reason -> how the sentence says it, and what to do about it
TOLD_IN_SENTENCE = {
    "overload": "overload: more work arrived than the lanes can do, and queues grow as long as it lasts"
    " (lower the load, or open more --lanes)",
    "generator_lag": "generator lag: the host noticed arrivals {lag} ms late at p99, {limit} ms are allowed, so the"
    " load was not what was drawn (lower the load, or leave a core to the host)",
    "not_stationary": "not stationary: the run had not settled, so its numbers depend on how long it took"
    " (lower the load, or serve longer with --seconds)",
}
UNKNOWN = "unknown"
UNSERVED_TOLD_PCT = 1.0
FELL_BEHIND_PCT = 5.0  # of all requests left over, at a load below 1
ROUNDED = {"deadline_missed_pct": 1, "batch_size_mean": 2, "blocked_pct": 1}  # column -> digits shown
RUN_HEADER = ("load", "in flight", "tenant")
COUNT_HEADER = (*RUN_HEADER, "requests", "served", "unfinished", "dropped", "missed %", "batch", "blocked %")
BOUNDED = ("p50 ms", "p95 ms", "p99 ms", "interference p95")
BOUNDED_HEADER = (*RUN_HEADER, *(cell for name in BOUNDED for cell in (name, "bounds")))


def serve_text(results: Row) -> list[str]:
    """Return tenants, tables, doubts and sentences of all runs."""
    runs: list[Row] = results["runs"]
    if not runs:
        return []
    rows = [(run, tenant) for run in runs for tenant in run["tenants"]]
    floor = results["noise_floor_ratio"]
    return [
        *(f"{tenant['tenant']} = {tenant['model']}" for tenant in runs[0]["tenants"]),
        as_columns(COUNT_HEADER, [_count_cells(*row) for row in rows]),
        as_columns(BOUNDED_HEADER, [_bounded_cells(*row) for row in rows]),
        *([] if floor is None else [f"noise floor: a slowdown up to {floor:.3f}x can be chance"]),
        *doubt_lines([(f"at {_demand(run)}, {_in_flight(run)}", run) for run in runs]),
        *(run["sentence"] for run in runs),
    ]


def serve_sentence(run: Row) -> str:
    """Return one run in plain words: how much was served, how fast, how disturbed, and how far that can be trusted."""
    tenants = run["tenants"]
    clauses = [_served(run), f"p95 of latency {_each(tenants, _latency)}"]
    if run["concurrency"] > 1:
        clauses.append(f"p95 of interference {_each(tenants, _interference)}")
    clauses += [*_unserved(tenants), *_fell_behind(run), *_trust(run)]
    return f"at {_demand(run)}, {_in_flight(run)}: {'; '.join(clauses)}"


def _demand(run: Row) -> str:
    load = f"load {run['offered_load']:.2f}"
    rates = run["asked_items_per_s"]
    if rates is None:
        return load
    told = (f"{rate:g} ({tenant['tenant']})" for rate, tenant in zip(rates, run["tenants"], strict=True))
    return f"{', '.join(told)} requests/s ({load})"


def _served(run: Row) -> str:
    left = [f"{run[f'{word}_count']:,} {word}" for word in ("unfinished", "dropped") if run[f"{word}_count"]]
    told = f" ({', '.join(left)})" if left else ""
    return f"{run['served_count']:,} of {run['request_count']:,} requests served{told}"


def _in_flight(run: Row) -> str:
    count = run["concurrency"]
    return "one batch at a time" if count == 1 else f"up to {count} batches at once"


def _each(tenants: Sequence[Row], told: Callable[[Row], str | None]) -> str:
    found = {tenant["tenant"]: told(tenant) for tenant in tenants}
    if all(value is None for value in found.values()):
        return f"{UNKNOWN} (too few samples: serve longer with --seconds)"
    return ", ".join(f"{value or UNKNOWN} ({name})" for name, value in found.items())


def _latency(tenant: Row) -> str | None:
    found = tenant["latency_p95_ns"]
    return None if found is None else f"{milliseconds(found)} ms"


def _interference(tenant: Row) -> str | None:
    found = tenant["interference_p95_ratio"]
    return None if found is None else f"{found:.2f}x"


def _unserved(tenants: Sequence[Row]) -> Iterator[str]:
    """Yield what latencies do not show: requests that have none."""
    parts = {
        tenant["tenant"]: 100 * (1 - tenant["window_served_count"] / tenant["window_request_count"])
        for tenant in tenants
        if tenant["window_request_count"]
    }
    told = [f"{pct:.0f} % of {name}'s" for name, pct in parts.items() if pct >= UNSERVED_TOLD_PCT]
    if told:
        yield f"{', '.join(told)} requests were not served, and no latency speaks of them"


def _fell_behind(run: Row) -> Iterator[str]:
    """Yield what explains queues that grow though the load is below 1."""
    left_pct = 100 * (1 - run["served_count"] / run["request_count"]) if run["request_count"] else 0.0
    if left_pct >= FELL_BEHIND_PCT and run["stationary"] is False and "overload" not in run["verdict_reasons"]:
        yield "the lanes fell behind at a load below 1, which counts batches as if they were full and alone"


def _trust(run: Row) -> Iterator[str]:
    found = [reason for reason in TOLD_IN_SENTENCE if reason in run["verdict_reasons"]]
    lag, limit = (milliseconds(run[f"generator_lag_{each}_ns"]) for each in ("p99", "limit"))
    yield from (TOLD_IN_SENTENCE[reason].format(lag=lag, limit=limit) for reason in found)
    if run["stationary"] is None:
        yield "whether the run had settled is unknown"
    elif run["stationary"]:
        yield "the run had settled"


def _count_cells(run: Row, tenant: Row) -> tuple[str, ...]:
    return (
        *_run_cells(run, tenant),
        *(f"{tenant[f'{word}_count']:,}" for word in ("request", "served", "unfinished", "dropped")),
        *(_number(tenant[name], digits) for name, digits in ROUNDED.items()),
    )


def _bounded_cells(run: Row, tenant: Row) -> tuple[str, ...]:
    latencies = [_bounded(tenant, f"latency_{each}", "_ns", milliseconds) for each in ("p50", "p95", "p99")]
    beside = _bounded(tenant, "interference_p95", "_ratio", lambda ratio: _number(ratio, 2))
    return (*_run_cells(run, tenant), *(cell for cells in (*latencies, beside) for cell in cells))


def _run_cells(run: Row, tenant: Row) -> tuple[str, ...]:
    return f"{run['offered_load']:.2f}", str(run["concurrency"]), tenant["tenant"]


def _bounded(tenant: Row, name: str, unit: str, told: Callable[[float | None], str]) -> tuple[str, str]:
    value, lower, upper = (tenant[f"{name}{end}{unit}"] for end in ("", "_lower", "_upper"))
    if value is None:
        return "-", tenant["null_reasons"][f"{name}{unit}"].replace("_", " ")
    return told(value), "-" if lower is None else f"[{told(lower)}, {told(upper)}]"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
