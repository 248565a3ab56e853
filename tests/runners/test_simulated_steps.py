"""The event loop beside a simulator that knows no events: it walks through every nanosecond, in plain integers."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cotenant.runners.protocol import Completion, LaneLost
from cotenant.runners.simulated.device_file import DeviceFile, load_device
from cotenant.runners.simulated.faults import Faults, Hang, LaneDeath, LazyLoad
from cotenant.runners.simulated.kernel_list import KernelList, kernel_list
from cotenant.runners.simulated.session import SimulatedSession

ONE = 1 << 20
L2_BYTES = 1 << 16
END_NS = 4_000  # of every walk: most work has ended, what has not must be equally unfinished


@dataclass
class Kernel:
    gap: int
    duration: int
    sm: int
    l2: int
    dram: int
    spill: int
    footprint: int


@dataclass
class Submission:
    at: int  # when the host submits it
    open: int  # when its gate opens
    lane: int
    engine: int
    delay: int


@dataclass
class Case:
    engines: list[list[Kernel]]
    submissions: list[Submission]
    factors: list[int]
    lanes: int
    mode: str
    quotas: list[int]
    slice_ns: int
    seed: int
    faults: Faults = field(default_factory=Faults)


@dataclass
class Job:
    ticket: int
    phases: list[tuple[int, Kernel | None, bool]]  # units left, kernel, lazy
    start: int
    rates: list[int] = field(default_factory=list)


def fair(demands: list[int], capacity: int) -> list[int]:
    granted = [0] * len(demands)
    order = sorted(range(len(demands)), key=lambda index: demands[index])
    left = capacity
    for position, index in enumerate(order):
        share = left // (len(order) - position)
        if demands[index] * (len(order) - position) > left:
            for other in order[position:]:
                granted[other] = share
            return granted
        granted[index] = demands[index]
        left -= demands[index]
    return granted


class Walk:
    """Every nanosecond of a case."""

    def __init__(self, case: Case, slice_phase: int) -> None:
        self.case, self.slice_phase = case, slice_phase
        self.jobs: list[Job | None] = [None] * case.lanes
        self.queues: list[list[tuple[int, Submission]]] = [[] for _ in range(case.lanes)]
        self.free_at = [0] * case.lanes
        self.lost: int | None = None
        self.turn = case.lanes - 1
        self.warm: set[tuple[int, int]] = set()
        self.rates = [0] * case.lanes
        self.done: list[tuple[int, int, int, int]] = []
        self.log: dict[int, tuple[int, list[int]]] = {}

    def run(self, end: int) -> None:
        for now in range(end + 1):
            self.book(now)
            self.set_faults(now)
            if now >= self.slice_phase and (now - self.slice_phase) % self.case.slice_ns == 0:
                self.pass_turn(now, at_boundary=True)
            self.settle(now)
            if self.lost is not None:
                return
            opened = [(n, s) for n, s in enumerate(self.case.submissions) if s.open == now]
            for number, submission in opened:
                self.queues[submission.lane].append((number, submission))
            if opened:
                self.settle(now)

    def book(self, now: int) -> None:
        for lane, job in enumerate(self.jobs):
            if job is None or now == 0:
                continue
            rate = self.rates[lane]
            job.rates.append(rate)
            while job.phases and rate >= job.phases[0][0]:
                rate -= job.phases.pop(0)[0]
            if job.phases:
                units, kernel, lazy = job.phases[0]
                job.phases[0] = (units - rate, kernel, lazy)
            else:
                self.done.append((job.ticket, lane, job.start, now))
                self.log[job.ticket] = (job.start, job.rates)
                self.jobs[lane], self.free_at[lane] = None, now

    def set_faults(self, now: int) -> None:
        death = self.case.faults.lane_death
        if death and death.lane < self.case.lanes and now >= death.at_ns:
            job = self.jobs[death.lane]
            if job:
                self.log[job.ticket] = (job.start, job.rates)
            self.jobs[death.lane], self.lost = None, death.lane
            self.queues[death.lane].clear()

    def ready(self, lane: int, now: int) -> bool:
        if self.jobs[lane] or not self.queues[lane]:
            return False
        head = self.queues[lane][0][1]
        return max(head.at, head.open, self.free_at[lane]) + head.delay <= now

    def active(self, lane: int, now: int) -> bool:
        return self.jobs[lane] is not None or self.ready(lane, now)

    def pass_turn(self, now: int, at_boundary: bool) -> None:
        if not at_boundary and self.active(self.turn, now):
            return
        around = [(self.turn + step) % self.case.lanes for step in range(1, self.case.lanes + 1)]
        self.turn = next((lane for lane in around if self.active(lane, now)), self.turn)

    def settle(self, now: int) -> None:
        by_turn = self.case.mode == "processes"
        if by_turn:
            self.pass_turn(now, at_boundary=False)
        for lane in range(self.case.lanes):
            if self.ready(lane, now) and (not by_turn or lane == self.turn):
                self.start(lane, now)
        self.set_rates(now)

    def start(self, lane: int, now: int) -> None:
        ticket, submission = self.queues[lane].pop(0)
        factor = self.case.factors[ticket]
        phases: list[tuple[int, Kernel | None, bool]] = []
        lazy = self.case.faults.lazy_load
        if lazy and (lane, submission.engine) not in self.warm:
            phases.append((lazy.gap_ns * factor, None, True))
        self.warm.add((lane, submission.engine))
        for kernel in self.case.engines[submission.engine]:
            phases += [(kernel.gap * factor, None, False), (kernel.duration * factor, kernel, False)]
        phases = [phase for phase in phases if phase[0] > 0] or [(factor, None, False)]
        self.jobs[lane] = Job(ticket, phases, now)

    def set_rates(self, now: int) -> None:
        mode, faults = self.case.mode, self.case.faults
        kernels = {lane: job.phases[0][1] for lane, job in enumerate(self.jobs) if job and job.phases[0][1]}
        if mode == "processes":
            kernels = {lane: kernel for lane, kernel in kernels.items() if lane == self.turn}
        shared = self.share(kernels, now)
        lazy = [lane for lane, job in enumerate(self.jobs) if job and job.phases[0][2]]
        for lane, job in enumerate(self.jobs):
            rate = shared.get(lane, ONE)
            if faults.clock_drop and lane in shared:
                drop = faults.clock_drop
                if drop.at_ns <= now < drop.at_ns + drop.for_ns:
                    rate = max(1, rate * max(1, int(drop.part_ratio * ONE)) // ONE)
            stands = mode == "processes" and lane != self.turn
            stands |= mode != "processes" and bool(lazy) and lane != lazy[0]
            stands |= bool(faults.hang and faults.hang.lane == lane and now >= faults.hang.at_ns)
            self.rates[lane] = 0 if stands or job is None else rate

    def share(self, kernels: dict[int, Any], now: int) -> dict[int, int]:
        lanes, foreign, green = list(kernels), self.case.faults.foreign_load, self.case.mode == "green-contexts"
        there = bool(foreign and foreign.at_ns <= now < foreign.at_ns + foreign.for_ns)
        quota = {lane: ONE if self.case.mode == "processes" else self.case.quotas[lane] for lane in lanes}

        def with_foreign(demands: list[int], extra: int) -> list[int]:
            return [*demands, extra] if there else demands

        pct = (lambda value: int(value * ONE / 100)) if foreign else (lambda value: 0)
        sizes = [kernels[lane].footprint for lane in lanes]
        kept = fair(with_foreign(sizes, foreign.footprint_bytes if foreign else 0), L2_BYTES)
        dram = [
            k.dram + (k.spill * (k.footprint - c) // k.footprint if k.footprint else 0)
            for k, c in zip(kernels.values(), kept, strict=False)
        ]
        asked = [min(kernels[lane].sm, quota[lane]) for lane in lanes]
        granted = {
            "sm": asked if green else fair(with_foreign(asked, pct(foreign.sm if foreign else 0)), ONE),
            "l2": fair(with_foreign([kernels[lane].l2 for lane in lanes], pct(foreign.l2 if foreign else 0)), ONE),
            "dram": fair(with_foreign(dram, pct(foreign.dram if foreign else 0)), ONE),
        }
        rates = {}
        for index, lane in enumerate(lanes):
            demands = {"sm": kernels[lane].sm, "l2": kernels[lane].l2, "dram": dram[index]}
            parts = [ONE * granted[name][index] // demand for name, demand in demands.items() if demand > 0]
            rates[lane] = max(1, min([ONE, *parts]))
        return rates


def device(case: Case) -> DeviceFile:
    changes = {"l2_bytes": L2_BYTES, "slice_ns": case.slice_ns, "faults": case.faults}
    return load_device("l4").model_copy(update=changes)


def columns(kernels: list[Kernel]) -> KernelList:
    return kernel_list(
        ["k"] * len(kernels),
        gap_ns=[k.gap for k in kernels],
        duration_ns=[k.duration for k in kernels],
        sm=[k.sm for k in kernels],
        l2=[k.l2 for k in kernels],
        dram=[k.dram for k in kernels],
        spill=[k.spill for k in kernels],
        footprint_bytes=[k.footprint for k in kernels],
    )


def wait_until(session: SimulatedSession, until: int, done: list[Completion]) -> None:
    while session.now_ns() < until:
        before = session.now_ns()
        got = session.wait(until)
        assert all(c.end_ns == session.now_ns() for c in got)
        assert got or session.now_ns() == until > before
        done += got


def drive(case: Case) -> tuple[list[tuple[int, int, int, int]], dict[int, tuple[int, list[int]]], int, int | None]:
    """Run a case through the session; return completions, rates by ticket and ns, slice phase, and the lost lane."""
    factors = np.array([*case.factors, *[ONE] * 4096], np.int64)
    session = SimulatedSession(
        device(case), case.mode, case.quotas, case.seed, lambda first, count: factors[first : first + count]
    )
    session.keep_truth()
    engines = [columns(kernels) for kernels in case.engines]
    loaded = {
        (lane, index): session.load_kernels(lane, str(index), engine)
        for lane, (index, engine) in itertools.product(range(case.lanes), enumerate(engines))
    }
    done: list[Completion] = []
    lost: int | None = None
    try:
        for at, group in itertools.groupby(case.submissions, key=lambda each: each.at):
            wait_until(session, at, done)
            for open_at, gated in itertools.groupby(group, key=lambda each: each.open):
                if open_at == at:
                    for each in gated:
                        session.submit(each.lane, loaded[each.lane, each.engine], each.delay)
                else:
                    with session.gate():
                        for each in gated:
                            session.submit(each.lane, loaded[each.lane, each.engine], each.delay)
                        wait_until(session, open_at, done)
        wait_until(session, END_NS, done)
    except LaneLost as told:
        lost = told.lane
    log: dict[int, tuple[int, list[int]]] = {}
    truth = session.truth()
    for t0, t1, _, ticket, rate in zip(truth.t0_ns, truth.t1_ns, truth.lane, truth.ticket, truth.rate, strict=True):
        start, rates = log.setdefault(int(ticket), (int(t0), []))
        assert start + len(rates) == t0 < t1
        assert not rates or rates[-1] != rate
        rates += [int(rate)] * int(t1 - t0)
    found = [(c.ticket, c.lane, c.start_ns, c.end_ns) for c in done]
    return found, log, session.slice_phase_ns, lost


def check(case: Case) -> None:
    found, log, slice_phase, lost = drive(case)
    walk = Walk(case, slice_phase)
    walk.run(END_NS)
    for job in walk.jobs:
        if job is not None:
            walk.log[job.ticket] = (job.start, job.rates)
    assert found == walk.done
    assert {t: entry for t, entry in walk.log.items() if entry[1]} == log
    assert lost == walk.lost


demand = st.sampled_from([0, 1, ONE // 7, ONE // 3, ONE // 2, 2 * ONE // 3, ONE])
kernel = st.builds(
    Kernel,
    gap=st.integers(0, 6),
    duration=st.integers(0, 40),
    sm=demand,
    l2=demand,
    dram=demand,
    spill=st.sampled_from([0, 1, ONE // 3, ONE, 5 * ONE]),
    footprint=st.sampled_from([0, 1, L2_BYTES // 3, L2_BYTES // 2 + 1, L2_BYTES, 3 * L2_BYTES]),
)
factor = st.sampled_from([1, 77, ONE // 20, ONE, ONE + 12_345, 3 * ONE // 2])


@st.composite
def submissions(draw: st.DrawFn, lanes: int, engines: int) -> list[Submission]:
    found, now = [], 0
    for _ in range(draw(st.integers(1, 6))):
        now += draw(st.sampled_from([0, 1, 9, 50]))
        opened = now + draw(st.sampled_from([0, 0, 0, 1, 30]))
        for _ in range(draw(st.integers(1, 4))):
            lane, engine = draw(st.integers(0, lanes - 1)), draw(st.integers(0, engines - 1))
            found.append(Submission(now, opened, lane, engine, draw(st.sampled_from([0, 0, 1, 17]))))
        now = opened
    return found


@st.composite
def faults(draw: st.DrawFn, lanes: int) -> Faults:
    at = st.integers(0, 120)
    pct = st.sampled_from([0, 25, 50, 100])
    fields: dict[str, dict[str, Any]] = {
        "clock_drop": {
            "at_ns": draw(at), "for_ns": draw(st.integers(1, 60)),
            "part_ratio": draw(st.sampled_from([0.5, 1e-9, 0.3])),
        },
        "foreign_load": {
            "at_ns": draw(at), "for_ns": draw(st.integers(1, 200)), "sm": draw(pct), "l2": draw(pct), "dram": draw(pct),
            "footprint_bytes": draw(st.sampled_from([0, L2_BYTES // 2, 9 * L2_BYTES])),
        },
        "lane_death": {"lane": draw(st.integers(0, lanes)), "at_ns": draw(at)},
        "hang": {"lane": draw(st.integers(0, lanes - 1)), "at_ns": draw(at)},
        "lazy_load": {"gap_ns": draw(st.integers(1, 30))},
    }  # fmt: skip
    switched_on = draw(st.sets(st.sampled_from(sorted(fields))))
    if "lane_death" in switched_on and fields["lane_death"]["at_ns"] == 0:
        fields["lane_death"]["at_ns"] = 1  # a session that opens with a lost lane takes nothing
    return Faults(**{name: fields[name] for name in switched_on})  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn, faulty: bool) -> Case:
    lanes = draw(st.integers(1, 4))
    engines = draw(st.lists(st.lists(kernel, max_size=4), min_size=1, max_size=3))
    asked = draw(submissions(lanes, len(engines)))
    mode = draw(st.sampled_from(["streams", "mps", "green-contexts", "processes"]))
    part = st.sampled_from([1, ONE // 5, ONE // 4])
    quotas = [ONE if mode in ("streams", "processes") else draw(part) for _ in range(lanes)]
    factors = draw(st.lists(factor, min_size=len(asked), max_size=len(asked)))
    slice_ns = draw(st.sampled_from([1, 7, 33, 200]))
    seed = draw(st.integers(0, 3))
    faults_drawn = draw(faults(lanes)) if faulty else Faults()
    return Case(engines, asked, factors, lanes, mode, quotas, slice_ns, seed, faults_drawn)


@settings(max_examples=150, deadline=None)
@given(cases(faulty=False))
def test_every_stamp_and_rate_is_that_of_a_walk_through_every_nanosecond(case: Case) -> None:
    check(case)


# A lane dies while it hangs, and what the host submits at an instant takes back a rate that was given at that instant.
SETTLED_TWICE = Case(
    engines=[[]],
    submissions=[*(Submission(0, 0, lane, 0, 0) for lane in (0, 0, 2, 0)), Submission(1, 1, 1, 0, 0)],
    factors=[1] * 5,
    lanes=3,
    mode="streams",
    quotas=[ONE] * 3,
    slice_ns=1,
    seed=0,
    faults=Faults(lane_death=LaneDeath(lane=0, at_ns=2), hang=Hang(lane=0, at_ns=1), lazy_load=LazyLoad(gap_ns=1)),
)


@settings(max_examples=150, deadline=None)
@given(cases(faulty=True))
@example(SETTLED_TWICE)
def test_faults_act_as_in_a_walk_through_every_nanosecond(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("mode", ["streams", "processes"])
def test_eight_lanes_are_the_same_law(mode: str) -> None:
    rng = np.random.default_rng(5)
    engines = [
        [Kernel(*(int(n) for n in rng.integers([0, 1, 0, 0, 0, 0, 0], [5, 60, ONE, ONE, ONE, ONE, L2_BYTES])))] * 3
        for _ in range(8)
    ]
    asked = [Submission(0, 0, lane, lane, int(rng.integers(0, 9))) for lane in range(8) for _ in range(2)]
    factors = [int(n) for n in rng.integers(ONE // 2, 2 * ONE, len(asked))]
    check(Case(engines, asked, factors, 8, mode, [ONE] * 8, 25, 1))
