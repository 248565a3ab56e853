"""What does the serving loop itself cost, with a device that takes no time?

    python scripts/benchmarks/serving_loop.py [--seconds S] [--runs N] [--json]

Throughput: a session in virtual time whose executions take 0 or 1 ns, so that the wall time is the loop's own (waits,
arrivals, batching, snapshots; drawing arrivals and making tables come apart from it). Every request is served, once.

    wait returns |---- dispatch delay ----| submit      in wall time, p50 and p99; several batches of one pass each

Paced: the same on the wall clock, at 2,000 batches a second: how long after it was ready is a batch handed over?
One process on one core.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np

from cotenant.profiler.serving.arrivals import Arrivals, draw_arrivals
from cotenant.profiler.serving.batching import ready_ns
from cotenant.profiler.serving.deployment import Piece, TenantRules
from cotenant.profiler.serving.log import ServingLog
from cotenant.profiler.serving.loop import Service, serve
from cotenant.profiler.serving.orders import order_rule
from cotenant.profiler.serving.requests import RequestWindow, requests_table
from cotenant.profiler.serving.snapshot import dispatches_table
from cotenant.runners.protocol import Completion, Engine, Loaded

TARGET_PER_S = 20_000
LANES = 2
SIZES = (1, 2, 4, 8)
HANG_NS = 60_000_000_000
SEED = 11
CASES = {  # name -> tenants, requests per second of each, waiting time
    "no waiting, batches of 1": (4, 1_000, 0),
    "some waiting, batches of 4": (4, 3_000, 1_000_000),
    "full batches of 8": (4, 8_000, 10_000_000),
    "twelve tenants, batches of 4": (12, 3_000, 1_000_000),
}
PACED = (4, 1_500, 1_333_333)


class Instantaneous:
    """A session whose executions take 0 or 1 ns in turn; time moves in `wait` alone."""

    lane_count = LANES
    isolation_observed = "none"
    clock_error_ns = 0
    oversubscribed = False
    host_has_own_core = True
    weights_shared = None

    def __init__(self) -> None:
        self.time_ns = 0
        self.tickets = 0
        self.pending: deque[Completion] = deque()
        self.woken_ns = 0
        self.delays_ns: list[int] = []

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        raise NotImplementedError("engines are numbers here")

    def unload(self, loaded: Loaded) -> None:
        raise NotImplementedError("engines are numbers here")

    @contextmanager
    def gate(self) -> Iterator[None]:
        yield

    def now_ns(self) -> int:
        return self.time_ns

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        self.delays_ns.append(time.perf_counter_ns() - self.woken_ns)
        self.tickets += 1
        end_ns = self.now_ns() + (self.tickets & 1)
        self.pending.append(Completion(self.tickets, lane, self.now_ns(), end_ns, None, None, None))
        return self.tickets

    def wait(self, until_ns: int) -> list[Completion]:
        if self.pending:
            done = sorted(self.pending, key=lambda each: each.end_ns) if len(self.pending) > 1 else list(self.pending)
            self.pending.clear()
            self.time_ns = max(self.time_ns, done[0].end_ns)
            while len(done) > 1 and done[-1].end_ns > self.time_ns:
                self.pending.appendleft(done.pop())
        else:
            done, self.time_ns = [], until_ns
        self.woken_ns = time.perf_counter_ns()
        return done


class Paced(Instantaneous):
    """The same on the wall clock: `wait` watches it without sleeping."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def wait(self, until_ns: int) -> list[Completion]:
        while not self.pending and time.perf_counter_ns() < until_ns:
            pass
        done = list(self.pending)
        self.pending.clear()
        self.woken_ns = time.perf_counter_ns()
        return done


def service(tenants: int, wait_ns: int) -> Service:
    places = tuple(range(len(SIZES)))
    rules = [TenantRules(f"t{i}", f"m{i}", SIZES[-1], wait_ns, None, 1024, SIZES, places) for i in range(tenants)]
    loaded = [[Loaded(lane, str(size), place) for place, size in enumerate(SIZES)] for lane in range(LANES)]
    return Service(rules, loaded, [1] * len(SIZES), LANES, order_rule("fifo"))


def arrivals_of(tenants: int, rate_per_s: float, seconds: float) -> tuple[Arrivals, int]:
    piece = Piece(int(seconds * 1e9), (float(rate_per_s),) * tenants)
    seeds = np.random.SeedSequence(SEED).spawn(tenants)
    return draw_arrivals([piece], [np.random.default_rng(each) for each in seeds]), piece.length_ns


def one_case(tenants: int, rate_per_s: float, wait_ns: int, seconds: float, runs: int) -> dict[str, Any]:
    """Return the medians over runs of one case in virtual time."""
    arrivals, duration_ns = arrivals_of(tenants, rate_per_s, seconds)
    own = service(tenants, wait_ns)
    rates, tails, middles = [], [], []
    for _ in range(runs):
        session = Instantaneous()
        begin_ns = time.perf_counter_ns()
        log = serve(session, own, arrivals, duration_ns, HANG_NS)
        took_ns = time.perf_counter_ns() - begin_ns
        rates.append(len(log.tenant) * 1e9 / took_ns)
        middles.append(float(np.percentile(session.delays_ns, 50)))
        tails.append(float(np.percentile(session.delays_ns, 99)))
    begin_ns = time.perf_counter_ns()
    requests_table(log, own.tenants, LANES, RequestWindow(log.start_ns, 0, 1_000_000))
    dispatches_table(log, 0)
    tables_ns = time.perf_counter_ns() - begin_ns
    return {
        "requests": len(arrivals.at_ns),
        "dispatches": len(log.tenant),
        "dispatches_per_s": median(rates),
        "delay_p50_ns": median(middles),
        "delay_p99_ns": median(tails),
        "tables_ns_per_request": tables_ns / len(arrivals.at_ns),
        "complete": sum(log.count) == len(log.batch_of) - log.batch_of.count(-1),
    }


def paced(seconds: float) -> dict[str, Any]:
    """Return how long after they were ready batches were handed over, on the wall clock."""
    tenants, rate_per_s, wait_ns = PACED
    arrivals, duration_ns = arrivals_of(tenants, rate_per_s, seconds)
    own = service(tenants, wait_ns)
    log = serve(Paced(), own, arrivals, duration_ns, HANG_NS)
    delays_ns = np.array(log.dispatched_ns) - ready_of_batches(log, wait_ns)
    return {
        "dispatches_per_s": len(log.tenant) / seconds,
        "delay_p50_ns": float(np.percentile(delays_ns, 50)),
        "delay_p99_ns": float(np.percentile(delays_ns, 99)),
        "lag_p99_ns": float(np.percentile(log.lag_ns, 99)),
    }


def ready_of_batches(log: ServingLog, wait_ns: int) -> Any:
    members: list[list[int]] = [[] for _ in log.tenant]
    for request, batch in enumerate(log.batch_of):
        if batch >= 0:
            members[batch].append(log.arrival_ns[request])
    return np.array([ready_ns(own, SIZES[-1], wait_ns) for own in members])


def report(result: dict[str, Any]) -> str:
    lines = [f"one core ({result['core']}), Python {result['python']}, {LANES} lanes, {result['runs']} runs"]
    lines += [
        f"{name:<30} {row['dispatches_per_s']:>9,.0f} dispatches/s ({row['requests'] / row['dispatches']:.1f} requests "
        f"each); dispatch delay p50 {row['delay_p50_ns'] / 1e3:.1f} us, p99 {row['delay_p99_ns'] / 1e3:.1f} us; "
        f"tables {row['tables_ns_per_request'] / 1e3:.1f} us a request"
        for name, row in result["cases"].items()
    ]
    row = result["paced"]
    lines.append(
        f"on the wall clock, {row['dispatches_per_s']:,.0f} dispatches/s: "
        f"handed over p50 {row['delay_p50_ns'] / 1e3:.1f} us, "
        f"p99 {row['delay_p99_ns'] / 1e3:.1f} us after ready; generator lag p99 {row['lag_p99_ns'] / 1e3:.1f} us"
    )
    return "\n".join([*lines, f"fast_enough: {result['fast_enough']} (at least {TARGET_PER_S:,} dispatches/s each)"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="virtual seconds of each case")
    parser.add_argument("--runs", type=int, default=3, help="the median counts")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    cases = {name: one_case(*case, arguments.seconds, arguments.runs) for name, case in CASES.items()}
    result = {
        "core": core,
        "python": platform.python_version(),
        "runs": arguments.runs,
        "cases": cases,
        "paced": paced(min(arguments.seconds, 5.0)),
        "fast_enough": all(row["dispatches_per_s"] >= TARGET_PER_S and row["complete"] for row in cases.values()),
    }
    print(json.dumps(result) if arguments.json else report(result))
    sys.exit(0 if result["fast_enough"] else 1)


if __name__ == "__main__":
    main()
