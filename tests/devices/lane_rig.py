"""What tests of CUDA lanes stand on: sessions on the model GPU in virtual time, or on a real GPU in real time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_gpu import ModelGpu
from model_parts import Traits, VirtualClock
from timed_engine import LOADER, timed_engine

from cotenant.runners.cuda.in_process_session import InProcessSession
from cotenant.runners.cuda.session import open_in_process
from cotenant.runners.protocol import Completion, Engine, Lane

US, MS = 1_000, 1_000_000
HANG_NS = 20_000 * MS
PLAIN = Traits()


@dataclass
class Rig:
    """Opens sessions; launches of this device may add `slack_ns` to a time, its stamps `stamp_ns`."""

    kind: str
    cache: Path
    slack_ns: int
    stamp_ns: int
    traits: Traits = PLAIN

    @contextmanager
    def open(self, lane_count: int = 2, isolation: str = "streams", **lane: float) -> Iterator[InProcessSession]:
        lanes = [Lane(**lane) for _ in range(lane_count)]  # type: ignore[arg-type]
        if self.kind == "gpu":
            with open_in_process(0, lanes, isolation, LOADER) as session:  # type: ignore[arg-type]
                yield session
            return
        session, _ = model_session(lane_count, self.traits, isolation, [each.share_pct for each in lanes])
        try:
            yield session
        finally:
            session.close()

    def engine(self, work_ns: int, kernels: int = 1, manner: str = "plain", copied_bytes: int = 0) -> Engine:
        return timed_engine(self.cache, work_ns, kernels, manner, copied_bytes)


def model_session(
    lane_count: int,
    traits: Traits = PLAIN,
    isolation: str = "streams",
    shares_pct: list[float | None] | None = None,
    shortest_pause_ns: int = 1,
) -> tuple[InProcessSession, ModelGpu]:
    """Return a session on a model GPU of its own, and the model."""
    gpu = ModelGpu(clock=VirtualClock(shortest_pause_ns), traits=traits)
    shares = (shares_pct or [None] * lane_count) if isolation == "green-contexts" else None
    streams = gpu.lane_streams([0] * lane_count, shares)
    session = InProcessSession(gpu, gpu.clock, streams, LOADER)
    # The watch counts the machine's time; in virtual time the model itself sees what would block for ever.
    session._gate.pass_through_watched = session._gate.pass_through  # type: ignore[method-assign]
    return session, gpu


def collect(session: InProcessSession, count: int) -> list[Completion]:
    """Wait for `count` completions; each call must return them by end."""
    done: list[Completion] = []
    while len(done) < count:
        got = session.wait(session.now_ns() + HANG_NS)
        assert got, f"only {len(done)} of {count} executions completed"
        assert [each.end_ns for each in got] == sorted(each.end_ns for each in got)
        done += got
    return done
