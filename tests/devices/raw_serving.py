"""Raw files of serving and of turns, written by hand: who runs alone, who beside whom, and who is queued is known.

serving   |-a-|   |--b--|   |--a--|      each group: a alone, b alone, then both at once on two lanes
                            |---b---|
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from raw_campaign import MS, SPANS_NS, Maker, Row

from cotenant.datasets.raw_siblings import RAW_DISPATCHES, RAW_REQUESTS
from cotenant.datasets.stationarity import p95_halves
from cotenant.models.digest import digest_id

LEAD_IN_ROUNDS = 3
HALVES = [
    f"{name}_p95_{half}_half{end}_ns"
    for name in ("latency", "span")
    for half in ("first", "second")
    for end in ("", "_lower", "_upper")
]
FACTS: dict[str, Any] = {
    "offered_load": 0.6,
    "concurrency": 2,
    "generator_lag_p99_ns": 20_000,
    "generator_lag_limit_ns": 1_000_000,
    "stationary": True,
    "pieces": [{}],
}
KERNEL = {
    "counter_source": "simulated", "counter_set": "law", "name": "conv", "duration_ns": 1000, "sm_pct": 50.0,
    "l2_pct": 20.0, "dram_pct": 10.0,
}  # fmt: skip
COUNTERS = {
    "counter_source": "simulated", "counter_set": "law", "aggregation": "kernel_wmean", "sm_pct": 50.0, "l2_pct": 20.0,
    "dram_pct": 10.0, "busy_ns": 2000, "kernel_count": 2,
}  # fmt: skip


def kernels_of(labels: Sequence[str]) -> pa.Table:
    """Two kernels of each engine."""
    rows = [{**KERNEL, "engine_id": digest_id(label), "kernel_index": k} for label in labels for k in range(2)]
    return pa.Table.from_pylist(rows)


def counters_of(labels: Sequence[str]) -> list[dict[str, Any]]:
    return [{**COUNTERS, "engine_id": digest_id(label)} for label in labels]


class Turns(Maker):
    """Adds experiments with turns: each engine `turn_ratio` times as long as back to back."""

    turn_ratio = 1.1
    late_ratio = 1.0  # how much longer the turns after serving take than those before it
    lone_ratio = 1.1  # of the span back to back, of serving executions that nobody runs beside

    def span(self, label: str, ratio: float) -> int:
        return int(SPANS_NS[label] * ratio * np.exp(self.noise * self.rng.normal()))

    def turns(self, rows: list[Row], labels: Sequence[str], rounds: int, index: int) -> dict[str, Any]:
        """Add one block in which the engines take turns on lane 0."""
        own: list[tuple[str, str, int, int]] = []
        for turn in range(LEAD_IN_ROUNDS + rounds):
            for place, label in enumerate(labels):
                start = self.now_ns
                self.now_ns += self.span(label, self.turn_ratio)
                own.append(("abcd"[place], label, start, self.now_ns))
                self.now_ns += 1000
                if turn == LEAD_IN_ROUNDS - 1:
                    begin = self.now_ns - 1000
        for name, label, start, end in own:
            rows.append((name, 0, digest_id(label), "warmup" if end <= begin else "solo", index, start, end))
        self.now_ns += 5 * MS
        return {
            "block_index": index,
            "quad_index": None,
            "arm": "sequential",
            "window_start_ns": begin,
            "tenants": list("abcd"[: len(labels)]),
            "window_end_ns": own[-1][3],
            "offsets_ns": None,
        }

    def sequential(self, labels: Sequence[str], rounds: int = 40, **changes: Any) -> str:
        rows: list[Row] = []
        blocks = [self.turns(rows, labels, rounds, 0)]
        return self._write("sequential", list(labels), rows, blocks, **changes)

    def serving(
        self, labels: Sequence[str], groups: int = 80, served: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """Turns, then serving of tenants a and b for so many groups, then turns again."""
        rows: list[Row] = []
        blocks = [self.turns(rows, labels, 20, 0)]
        first = len(rows)
        self.now_ns += MS
        opened = self.now_ns
        runs: list[list[tuple[int, int]]] = []  # per group: tenant and lane of each execution
        for _ in range(groups):
            for group in ([(0, 0)], [(1, 0)], [(0, 0), (1, 1)]):
                start, ends = self.now_ns, []
                for tenant, lane in group:
                    label = labels[tenant]
                    end = start + self.span(
                        label, self.lone_ratio if len(group) == 1 else self.slowdown * self.lone_ratio
                    )
                    rows.append(("ab"[tenant], lane, digest_id(label), "main", 1, start, end))
                    ends.append(end)
                runs.append(group)
                self.now_ns = max(ends) + MS
        closed = self.now_ns + MS
        window = (opened + (self.now_ns - opened) // 10, closed)
        for place in range(first, len(rows)):
            row = rows[place]
            rows[place] = (*row[:3], "warmup" if row[6] <= window[0] else "main", *row[4:])
        blocks.append(
            {
                "block_index": 1,
                "quad_index": None,
                "arm": "serving",
                "tenants": ["a", "b"],
                "window_start_ns": window[0],
                "window_end_ns": closed,
                "offsets_ns": None,
            }
        )
        last = len(rows)
        self.now_ns = closed + MS
        before, self.turn_ratio = self.turn_ratio, self.turn_ratio * self.late_ratio
        blocks.append(self.turns(rows, labels, 20, 2))
        self.turn_ratio = before
        requests = requests_table(rows[first:last], first, labels, closed, window[0])
        siblings = {"requests": requests, "dispatches": dispatches_table(rows[first:last], first, runs)}
        facts = {"serving": {**FACTS, **halves(rows[first:last], *window), **(served or {})}, **changes}
        return self._write("serving", list(labels), rows, blocks, siblings, any_lane=True, **facts)


def halves(rows: Sequence[Row], begin: int, end: int) -> dict[str, int | None]:
    """What a run says of its halves: latency counts from 200 us before dispatch."""
    start, done = np.array([row[5] for row in rows]), np.array([row[6] for row in rows])
    arrived = np.array(dispatched(rows)) - 200_000
    parts = [p95_halves(at, done - at, begin, end, 0.05) for at in (arrived, start)]
    intervals = [half for part in parts for half in (part.first, part.second)]
    values = [value for each in intervals for value in (each.value, each.lower, each.upper)]
    return {name: None if v is None else max(0, round(v)) for name, v in zip(HALVES, values, strict=True)}


def dispatched(rows: Sequence[Row]) -> list[int]:
    return [row[5] - MS for row in rows]


def requests_table(rows: Sequence[Row], first: int, labels: Sequence[str], closed: int, begin: int) -> pa.Table:
    """One request a batch, queued for 200 us; then one that is dropped and one that stays queued."""
    batched = dispatched(rows)
    found = [
        {
            "tenant": row[0],
            "intended_arrival_ns": at - 200_000,
            "batched_ns": at,
            "execution_id": first + place,
            "done_ns": row[6],
            "latency_ns": row[6] - at + 200_000,
            "blocked_ns": 0,
            "outcome": "served",
        }
        for place, (row, at) in enumerate(zip(rows, batched, strict=True))
    ]
    found += [
        {"tenant": "a", "intended_arrival_ns": closed - 2, "outcome": "dropped"},
        {"tenant": "b", "intended_arrival_ns": closed - 1, "blocked_ns": 0, "outcome": "unfinished"},
    ]
    models = {name: label.partition("@")[0] for name, label in zip("ab", labels, strict=False)}
    for index, row in enumerate(found):
        arrived = int(str(row["intended_arrival_ns"]))
        row |= {
            "request_id": index,
            "model": models[str(row["tenant"])],
            "deadline_ns": arrived + 10**9 if row["tenant"] == "b" else None,
            "marks": ["warmup"] if arrived < begin else [],
        }
    return pa.Table.from_pylist(found, schema=RAW_REQUESTS)


def dispatches_table(rows: Sequence[Row], first: int, runs: Sequence[Sequence[tuple[int, int]]]) -> pa.Table:
    """What was known: of a pair, the first finds the other's request queued, and the second the first one in flight."""
    batched, found, place = dispatched(rows), [], 0
    for group in runs:
        for turn in range(len(group)):
            waits = turn + 1 < len(group)
            found.append(
                {
                    "execution_id": first + place,
                    "batched_ns": batched[place],
                    "co_execution_ids": [first + place - 1] if turn else [],
                    "remaining_solo_ns": [7 * MS] if turn else [],
                    "queued_count": [0, int(waits)],
                    "queue_age_ns": [None, 200_000 if waits else None],
                    "arrival_rate_per_s": [50.0, None if place == 0 else 40.0],
                }
            )
            place += 1
    return pa.Table.from_pylist(found, schema=RAW_DISPATCHES)
