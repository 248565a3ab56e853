"""What parts stand on: the first GPU, probes for it, and sessions of lanes that need neither torch nor TensorRT."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.profiler.gpu_check.facts import Skip
from cotenant.runners.cuda.runner import CudaRunner
from cotenant.runners.protocol import Completion, Device, Engine, Lane, Loaded, Session

if TYPE_CHECKING:
    from cotenant.runners.cuda.devices import FoundGpu
    from cotenant.runners.cuda.gpu import Gpu
    from cotenant.runners.cuda.loading import LoadedEngine

NAME = "gpu-check"
HANG_NS = 20_000_000_000


@dataclass(frozen=True)
class ProbesOnly:
    """A backend without networks, so that lanes are checked apart from what runs on them."""

    name: str = NAME
    loader: str = ""
    weights_shared: bool | None = None

    def version(self) -> str:
        """Return what stands in engine ids."""
        return "1"

    def target(self, device: Device) -> str:
        """Return the GPU's architecture."""
        from cotenant.runners.cuda.devices import gpu_of

        return gpu_of(device).architecture

    def targets_without_device(self) -> Sequence[str]:
        """Return (): this is about the GPU at hand."""
        return ()

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int) -> str:
        """Refuse a network."""
        raise UserError(f"{self.name} has probes only, not {model}")

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int
    ) -> Engine:
        """Refuse a network."""
        raise UserError(f"{self.name} has probes only, not {model}")


RUNNER = CudaRunner(ProbesOnly())


def first_gpu() -> "FoundGpu":
    """Return the first GPU that lanes can be opened on; Skip with what is in the way otherwise."""
    from cotenant.runners.cuda.devices import survey

    found = survey()
    if not found.gpus:
        raise Skip("; ".join(found.troubles))
    return found.gpus[0]


def probe(model: str, cache: Path) -> Engine:
    """Build a probe for the first GPU."""
    device = first_gpu().device
    return RUNNER.build(model, 1, "fp32", RUNNER.target(device), cache)


def open_gpu() -> "Gpu":
    """Open the first GPU as a lane does, without a session around it."""
    from cotenant.runners.cuda.driver_gpu import DriverGpu

    return DriverGpu(first_gpu().index)


def resident(gpu: "Gpu", stream: int, engine: Engine, loader: str | None = None) -> "LoadedEngine":
    """Load an engine on a stream as a lane does, by its runner's loader: warmed, and captured if it can be."""
    from cotenant.runners.cuda.loading import load_engine
    from cotenant.runners.engine_cache import read_meta

    path = RUNNER.backend.loader if loader is None else loader
    return load_engine(gpu, stream, engine.folder, read_meta(engine.folder), path, 0, copies=False)


@contextmanager
def lanes(count: int, isolation: str = "streams") -> Iterator[Session]:
    """Open lanes on the first GPU."""
    with RUNNER.open(first_gpu().device, [Lane()] * count, isolation) as session:
        yield session


def collect(session: Session, count: int) -> list[Completion]:
    """Return the next `count` completions; TimeoutError if nothing completes for 20 s."""
    done: list[Completion] = []
    while len(done) < count:
        got = session.wait(session.now_ns() + HANG_NS)
        if not got:
            raise TimeoutError(f"{len(done)} of {count} executions completed, and then none for {HANG_NS / 1e9:g} s")
        done += got
    return done


def burst(session: Session, loaded: Sequence[Loaded], each: int = 1) -> list[list[tuple[int, int]]]:
    """Run every loaded engine `each` times on its lane, all behind one gate; return (start, end) by lane, in order."""
    with session.gate():
        for engine in loaded:
            for _ in range(each):
                session.submit(engine.lane, engine)
    done = collect(session, each * len(loaded))
    return [sorted((one.start_ns, one.end_ns) for one in done if one.lane == engine.lane) for engine in loaded]


def span_ns(spans: Sequence[tuple[int, int]]) -> int:
    """Return the time from the first start to the last end."""
    return max(end for _, end in spans) - min(start for start, _ in spans)
