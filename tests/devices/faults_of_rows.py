"""Faults in executions and overlaps, and in what the small tables say of them."""

import math
from typing import Any

from damaged_dataset import Row
from planting import Fault, known, plus, times, values, where, whole

ALONE, ONE, TWO = (where(co_count=count) for count in (0, 1, 2))
MAIN, PAIR, SET = where(role="main"), where(kind="pair"), where(kind="set")
UNCUT = where(censored="none", co_censored="none", role="main")
NOBODY: dict[str, Any] = {"co_count": 0, "co_execution_ids": [], "co_engine_ids": []}


def reason_of(column: str, why: str = "not_applicable") -> Any:
    return lambda row: sorted([*row["null_reasons"], (column, why)])


def no_reason_of(column: str) -> Any:
    return lambda row: [entry for entry in row["null_reasons"] if entry[0] != column]


def other_reason(row: Row) -> Any:
    return [(column, "differs" if column == "condition" else why) for column, why in row["null_reasons"]]


def moved(rows: list[Row]) -> list[Row]:
    """Move the windows of all blocks by 20 us, as one."""
    return [
        {**row, **{f"window_{end}_ns": row[f"window_{end}_ns"] + 20_000 for end in ("start", "end")}} for row in rows
    ]


def own_start(row: Row) -> int:
    return int(row["start_ns"])


def earlier(rows: list[Row]) -> list[Row]:
    place = next(i for i in range(1, len(rows)) if rows[i]["execution_id"] == 1)
    return [*rows[:place], {**rows[place], "dispatched_ns": rows[place - 1]["dispatched_ns"] - 1}, *rows[place + 1 :]]


def is_later(row: Row) -> bool:
    return bool(row["interval_index"] == 1)


def is_stolen(row: Row) -> bool:
    return bool(row["marks"] == ["stolen"])


def repeated(rows: list[Row]) -> list[Row]:
    """Give the second interval of an execution the others of the first."""
    place = next(index for index, row in enumerate(rows) if is_later(row))
    others = {name: rows[place - 1][name] for name in NOBODY}
    return [*rows[:place], {**rows[place], **others}, *rows[place + 1 :]]


ORDER = {"come after rows of": whole("executions", lambda rows: rows[1:] + rows[:1])}
IDENTITY = {
    "rows, experiments says": values("experiments", execution_count=plus("execution_count", 1)),
    "kind is not the experiment's": values("executions", kind="chain"),
    "[0-9]+ rows, experiments says": whole("telemetry", lambda rows: rows[:-1]),
    "device_id is not the experiment's": values("overlaps", device_id="cpu-1"),
    "execution_id does not number": values("executions", execution_id=7),
    "end_ns is not after start_ns": values("executions", end_ns=own_start),
    "none of the deployed engines": values("executions", engine_id="e"),
    "does not number the experiment's blocks": values("experiments", block_count=plus("block_count", 1)),
    "no block of the experiment": values("executions", block_index=999),
    "block of a quad without quad_index": values("blocks", PAIR, quad_index=None, null_reasons=reason_of("quad_index")),
    "one of no quad with it": values(
        "blocks", where(kind="self_test"), quad_index=0, null_reasons=no_reason_of("quad_index")
    ),
    "no execution of the experiment": values("overlaps", execution_id=10**6),
    "not sorted by execution_id": whole("overlaps", lambda rows: [rows[1], rows[0], *rows[2:]]),
    "interval_index does not number": values("overlaps", interval_index=1),
    "have no interval": whole("overlaps", lambda rows: rows[1:]),
    "not the length of co_execution_ids": values("overlaps", ONE, co_count=2),
    "differ in length": values("overlaps", ONE, co_engine_ids=[]),
    "that the experiment does not have": values("overlaps", ONE, co_execution_ids=[10**6]),
}
VALUES = {
    "role says 'guest'": values("executions", role="guest"),
    "marks says 'odd'": values("executions", marks=["odd"]),
    "request_count goes down to -1": values("executions", request_count=-1),
    "fraction goes up to 1.5": values("overlaps", fraction=1.5),
    "steal_pct goes up to 100.5": values("telemetry", known("steal_pct"), steal_pct=100.5),
    "marks says 'cold'": values("telemetry", marks=["cold"]),
    "slowdown_ratio holds NaN or infinity": values("executions", MAIN, slowdown_ratio=math.inf),
}
NULL_REASONS = {
    "executions.cpu_ns holds nulls": values("executions", cpu_ns=None),
    "telemetry.load_average_count holds nulls": values("telemetry", load_average_count=None),
    "executions.lane, which holds no null": values("experiments", null_reasons=reason_of("executions.lane")),
}
LANES = {
    "before the one before it on its lane": values("executions", where(lane=1, role="main"), lane=0),
    "none of the experiment's lanes": values("executions", lane=9),
}
CONCURRENCY = {
    "more executions at once than lanes": values(
        "overlaps",
        TWO,
        **{name: lambda row, name=name: row[name] + row[name][:1] for name in NOBODY if name != "co_count"},
        co_count=3,
    ),
    "do not rise": values("overlaps", TWO, co_execution_ids=lambda row: row["co_execution_ids"][::-1]),
    "lists its own execution": values("overlaps", ONE, co_execution_ids=lambda row: [row["execution_id"]]),
    "are not the engines of": values("overlaps", TWO, co_engine_ids=lambda row: row["co_engine_ids"][::-1]),
}
SYMMETRY = {
    "lists another that does not list it": values("overlaps", ONE, **NOBODY),
    "differ seen from their two sides": values("overlaps", ONE, duration_ns=plus("duration_ns", 1)),
}
NEIGHBOURS = {"the same others as the row before": whole("overlaps", repeated)}
PARTITION = {
    "first start is not its own": values("overlaps", start_ns=plus("start_ns", -1)),
    "last end is not its own": values("overlaps", end_ns=plus("end_ns", 1)),
    "does not end where the next one starts": values("overlaps", is_later, start_ns=plus("start_ns", 1)),
    "end_ns is not after start_ns": values("overlaps", end_ns=own_start),
    "duration_ns is not": values("overlaps", duration_ns=plus("duration_ns", 1)),
    "do not sum to their span": values("overlaps", duration_ns=plus("duration_ns", 1)),
    "fraction is not": values("overlaps", fraction=lambda row: math.nextafter(row["fraction"], 0)),
    "below_clock_error does not follow": values("overlaps", below_clock_error=True),
}
REPLAY = {
    "did not run throughout": values("overlaps", ONE, end_ns=plus("end_ns", 10**9)),
    "ns beside others": values("overlaps", ONE, **NOBODY),
}
INPUT_ORDER = {
    "gives other intervals": values("overlaps", start_ns=plus("start_ns", -1)),
    "lists others": values(
        "overlaps", where(kind="pair", co_count=1), co_execution_ids=lambda row: [row["co_execution_ids"][0] + 2]
    ),
}
DERIVED = {
    "span_ns is not": values("executions", span_ns=plus("span_ns", 1)),
    "censored does not follow": values("executions", UNCUT, censored="left"),
    "co_censored is not": values("executions", UNCUT, co_censored="both"),
    "role does not follow": values("executions", MAIN, role="tail"),
    "the mark `cold`": values("executions", where(marks=["cold"]), marks=[]),
    "slowdown_ratio is not": values("executions", known("slowdown_ratio"), slowdown_ratio=times("slowdown_ratio", 1.1)),
    "interference_ratio is not": values("executions", known("interference_ratio"), interference_ratio=1.0),
    "executions, not": values("blocks", execution_count=plus("execution_count", 1)),
}
ESTIMATED = (
    *(f"{name}{end}_ratio" for name in ("slowdown", "cpu", "cycle") for end in ("", "_lower", "_upper")),
    *("p95_ratio", "solo_p50_ns", "co_run_p50_ns", "quad_count", "sample_count", "solo_sample_count"),
)
GAINS = tuple(f"concurrency_gain{end}_ratio" for end in ("", "_lower", "_upper"))
ESTIMATES = {
    **{f"{name} of tenant a is": values("slowdowns", known(name), **{name: plus(name, 1)}) for name in ESTIMATED},
    **{f"{name} is .*, its executions say": values("experiments", PAIR, **{name: plus(name, 0.001)}) for name in GAINS},
    "canary_drift_ratio is": values("experiments", PAIR, canary_drift_ratio=plus("canary_drift_ratio", 0.001)),
    "concurrency_gain_ratio of block index": values("blocks", where(arm="co_run"), concurrency_gain_ratio=1.0),
    "window_ns of block index": values("blocks", window_ns=plus("window_ns", 1)),
    "kind of block index": values("blocks", PAIR, kind="set"),
    "lane of tenant a": values("slowdowns", lane=1),
    "co_engine_ids of tenant": values("slowdowns", PAIR, co_engine_ids=[]),
    "p95_upper_ratio of tenant": values(
        "slowdowns", known("p95_upper_ratio"), p95_upper_ratio=plus("p95_upper_ratio", 0.001)
    ),
    "noise_floor_ratio of tenant": values("slowdowns", noise_floor_ratio=plus("noise_floor_ratio", 0.001)),
    "within_noise of tenant": values("slowdowns", PAIR, within_noise=True),
    "null_reasons is": values("experiments", null_reasons=other_reason),
    "watched_ratio is": values("experiments", PAIR, watched_ratio=0.5),
    "gate_marks is": values("experiments", PAIR, gate_marks=["hot"]),
    "tenant b is missing": whole("slowdowns", lambda rows: [row for row in rows if row["tenant"] != "b"]),
    "tenant z stands there": values("slowdowns", where(tenant="b"), tenant="z"),
}
TENANTS = {
    "tenants has a name twice": values("experiments", PAIR, tenants=["a", "a"]),
    "differ in length": values("experiments", PAIR, tenants=["a"]),
    "does not sum to": values("experiments", PAIR, tenant_engine_count=[1, 2]),
    "which is not its own": values(
        "experiments", PAIR, deployed_engine_ids=lambda row: row["deployed_engine_ids"][::-1]
    ),
    "whose engines are not of it": values(
        "experiments", PAIR, deployed_models=lambda row: row["deployed_models"][::-1]
    ),
    "runner is": values("engines", runner="other"),
    "executes on lanes": values("executions", where(kind="pair", lane=1), lane=0),
    "its executions are of": values("blocks", where(kind="pair", arm="solo"), tenants=["c"]),
    "of whom only": values("blocks", where(kind="pair", arm="solo"), tenants=["a", "b"]),
    "offsets_ns for": values("blocks", where(arm="co_run"), offsets_ns=[0]),
    "shares for": values("experiments", lane_share_pct=[50.0], null_reasons=no_reason_of("lane_share_pct")),
}
DISPATCH = {
    "dispatched_ns is after start_ns": values("executions", dispatched_ns=plus("start_ns", 1)),
    "dispatched before the execution before it": whole("executions", earlier),
}
TELEMETRY = {
    "sample_index does not number": values("telemetry", sample_index=7),
    "after that of the next sample": values("telemetry", where(sample_index=3), t_ns=plus("t_ns", 10**9)),
    "hours before or after": values("telemetry", where(sample_index=0), t_ns=plus("t_ns", -(10**15))),
}
CLOCKS = {
    "has sm_clock_mhz": values("blocks", PAIR, sm_clock_mhz=2000.0),
    "its telemetry says": values("telemetry", is_stolen, sm_clock_mhz=2399.0),
    "span_cycle_count is not": values("executions", known("span_cycle_count"), span_cycle_count=7),
}
GATES = {
    "the mark `stolen` does not follow": values("telemetry", where(marks=[]), marks=["stolen"]),
    "the mark `hot` does not follow": values("executions", is_stolen, marks=["hot", "stolen"]),
    "the mark `throttled` does not follow": values("telemetry", is_stolen, throttle_mask=0x40),
    "marks has a word twice": values("executions", is_stolen, marks=["stolen", "stolen"]),
    "the mark `clock_drop` does not follow": values("telemetry", is_stolen, sm_clock_mhz=3000.0),
    "marks are not sorted": values("executions", where(marks=["cold", "stolen"]), marks=["stolen", "cold"]),
}
WINDOWS = {
    "window_start_ns is no moment": whole("blocks", moved),
    "window_end_ns is no moment": whole("blocks", moved),
}
CHECKS = {
    "order": ORDER,
    "tenants": TENANTS,
    "dispatch": DISPATCH,
    "windows": WINDOWS,
    "telemetry": TELEMETRY,
    "gates": GATES,
    "clocks": CLOCKS,
    "identity": IDENTITY,
    "values of rows": VALUES,
    "null reasons of rows": NULL_REASONS,
    "lanes": LANES,
    "concurrency": CONCURRENCY,
    "symmetry": SYMMETRY,
    "neighbours": NEIGHBOURS,
    "partition": PARTITION,
    "replay": REPLAY,
    "input order": INPUT_ORDER,
    "derived columns": DERIVED,
    "estimates": ESTIMATES,
}
FAULTS = [Fault(check, says, plant) for check, faults in CHECKS.items() for says, plant in faults.items()]
