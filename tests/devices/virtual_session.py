"""A device in virtual time with a known law: n busy lanes each progress at 1/slowdown[n-1] of their solo rate.

A lane that has idled for longer than IDLE_NS wakes up slowly: its next executions take `wake_up` times as long.

It drives the experiments deterministically; nothing of it is ever data.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cotenant.runners.protocol import Completion, Engine, LaneLost, Loaded

IDLE_NS = 2_000_000


@dataclass
class Work:
    ticket: int
    left: float
    delay: float
    start_ns: int | None = None


@dataclass
class VirtualSession:
    """Session protocol in virtual time; `spans_ns` maps engine_id to solo span, `noise` is lognormal per execution."""

    lane_count: int
    spans_ns: dict[str, int]
    slowdown: tuple[float, ...] = (1.0, 1.0)
    noise: float = 0.0
    wake_up: tuple[float, ...] = ()
    load_ns: int = 0
    drift_per_s: float = 0.0
    die_at_ns: int | None = None
    hang_at_ns: int | None = None
    isolation_observed: str = "virtual"
    clock_error_ns: int = 0
    oversubscribed: bool = False
    host_has_own_core: bool = True
    weights_shared: bool | None = None
    time: float = 0.0
    gated: bool = False
    queues: list[deque[Work]] = field(default_factory=list)
    loads: list[tuple[str, int, str]] = field(default_factory=list)
    tickets: int = 0

    def __post_init__(self) -> None:
        self.queues = [deque() for _ in range(self.lane_count)]
        self.rng = np.random.default_rng(0)
        self.idle_since = [-1e18] * self.lane_count
        self.awake = [0] * self.lane_count

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        assert not any(self.queues), "load needs idle lanes"
        self.loads.append(("load", lane, engine.engine_id))
        self.time += self.load_ns
        return Loaded(lane, engine.engine_id, len(self.loads))

    def unload(self, loaded: Loaded) -> None:
        self.loads.append(("unload", loaded.lane, loaded.engine_id))

    @contextmanager
    def gate(self) -> Iterator[None]:
        self.gated = True
        yield
        self.gated = False

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        assert loaded.lane == lane
        self.tickets += 1
        drift = 1 + self.drift_per_s * self.time / 1e9
        work = self.spans_ns[loaded.engine_id] * drift * float(np.exp(self.rng.normal(0, self.noise)))
        self.queues[lane].append(Work(self.tickets, work, float(delay_ns)))
        return self.tickets

    def now_ns(self) -> int:
        return round(self.time)

    def _start(self, lane: int, work: Work) -> None:
        if work.delay > 0 or work.start_ns is not None:
            return
        self.awake[lane] = 0 if self.time - self.idle_since[lane] > IDLE_NS else self.awake[lane] + 1
        if self.awake[lane] < len(self.wake_up):
            work.left *= self.wake_up[self.awake[lane]]
        work.start_ns = round(self.time)

    def wait(self, until_ns: int) -> list[Completion]:
        assert not self.gated
        while self.time < until_ns:
            if self.die_at_ns is not None and self.time >= self.die_at_ns:
                raise LaneLost(0, "planted")
            if self.hang_at_ns is not None and self.time >= self.hang_at_ns:
                self.time = until_ns
                return []
            heads = [(lane, queue[0]) for lane, queue in enumerate(self.queues) if queue]
            if not heads:
                self.time = until_ns
                return []
            for lane, work in heads:
                self._start(lane, work)
            busy = [work for _, work in heads if work.delay <= 0]
            rate = 1 / self.slowdown[max(len(busy), 1) - 1]
            step = min([work.left / rate for work in busy] + [w.delay for _, w in heads if w.delay > 0])
            step = min(step, until_ns - self.time)
            self.time += step
            done = []
            for lane, work in heads:
                if work.delay > 0:
                    work.delay = work.delay - step if work.delay - step > 1e-6 else 0.0
                    continue
                work.left -= step * rate
                if work.left <= 1e-3:
                    self.queues[lane].popleft()
                    self.idle_since[lane] = self.time
                    assert work.start_ns is not None
                    done.append(Completion(work.ticket, lane, work.start_ns, round(self.time), None, None, None))
            if done:
                return done
        return []


def engine(name: str, weight_bytes: int = 0) -> Engine:
    return Engine(
        engine_id=name, model=name, family="test", batch_size=1, input_shapes={}, precision="fp32", runner="virtual",
        engine_kind="virtual", build_target="virtual", build_index=0, source_sha256="0", engine_sha256="0",
        engine_bytes=0, parameter_count=0, mac_count=0, flop_count=0, read_bytes=0, write_bytes=0,
        weight_bytes=weight_bytes, folder=Path(),
    )  # fmt: skip
