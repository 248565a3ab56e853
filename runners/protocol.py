"""The runner protocol: experiments are written once against it, because time belongs to the device (design 4).

Optional beside it, looked up by name where it is needed:

    usual_precision          of a spec that names none; without it fp32
    alone(device, engine)    a context manager that loads and warms one engine without session, gate, stamps or graph,
                             and yields execute(): one batch, and its end waited for. Profilers of kernels are pointed
                             at it; without it Nsight Compute has nothing to measure.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from cotenant.models.errors import WorkError
from cotenant.models.model import Precision

DeviceKind = Literal["cpu", "gpu", "simulated"]


class LaneLost(WorkError):
    """A lane can execute nothing any more: its process died or its context is broken."""

    def __init__(self, lane: int, cause: str) -> None:
        super().__init__(f"lane {lane} is lost: {cause}")
        self.lane = lane
        self.cause = cause


@dataclass(frozen=True)
class Device:
    """One device as the `devices` table keeps it; None where this kind of device does not know it.

    Attributes:
        device_id: GPU UUID, or digest of what identifies a CPU or simulated device.
        device_type: What makes two devices interchangeable: name, memory, capability, driver, power limit.
        sm_count: Streaming multiprocessors; cores on a CPU.
        l2_bytes: L2 cache of a GPU; last-level cache of a CPU.
    """

    device_id: str
    device_type: str
    kind: DeviceKind
    name: str
    sm_count: int
    l2_bytes: int | None
    dram_bytes: int | None
    datasheet_flop_per_s: float | None = None
    datasheet_dram_bytes_per_s: float | None = None


@dataclass(frozen=True)
class TargetOnly(Device):
    """A build target in place of a device: engines can be built for it, and nothing can be opened on it."""


@dataclass(frozen=True)
class Lane:
    """What is asked of one lane.

    Attributes:
        share_pct: Part of the device granted (MPS, green contexts); None = all of it.
        priority: Stream priority; 0 = default.
    """

    share_pct: float | None = None
    priority: int = 0


@dataclass(frozen=True)
class Engine:
    """A model at one shape and precision, built by one runner for one build target; the fields of the `engines` table.

    Attributes:
        folder: Where its files and meta.json lie.
        engine_sha256: Digest of what executes; a CPU engine's is the digest of (graph bytes, weights digest).
        engine_bytes: Size of the files that execute, shared weights included.
        read_bytes, write_bytes: Analytic memory traffic of one execution.
    """

    engine_id: str
    model: str
    family: str
    batch_size: int
    input_shapes: dict[str, list[int]]
    precision: Precision
    runner: str
    engine_kind: str
    build_target: str
    build_index: int
    source_sha256: str
    engine_sha256: str
    engine_bytes: int
    parameter_count: int | None
    mac_count: int | None
    flop_count: int | None
    read_bytes: int | None
    write_bytes: int | None
    weight_bytes: int | None
    folder: Path


@dataclass(frozen=True)
class Loaded:
    """An engine loaded and warmed on one lane."""

    lane: int
    engine_id: str
    handle: int


@dataclass(frozen=True)
class Completion:
    """One execution that has ended; stamps are int64 ns on the session's clock.

    Attributes:
        start_ns, end_ns: The device's own stamps right around the execution; None never occurs on a completed run.
        cpu_ns: CPU time of the lane's process within the span (CPU runners), else None.
        h2d_ns, d2h_ns: Copy times where copies were asked for, else None.
    """

    ticket: int
    lane: int
    start_ns: int
    end_ns: int
    cpu_ns: int | None
    h2d_ns: int | None
    d2h_ns: int | None


@dataclass(frozen=True)
class Counters:
    """What a runner knows of an engine without measuring: its kernel list tells.

    Attributes:
        throughputs: One row of the table `throughputs`, without engine and device.
        kernels: Rows of the table `kernels` in order, without engine.
    """

    throughputs: dict[str, Any]
    kernels: list[dict[str, Any]]


class Session(Protocol):
    """Lanes and their clock, open for work."""

    @property
    def lane_count(self) -> int:
        """How many lanes are open."""

    @property
    def isolation_observed(self) -> str:
        """The isolation mode in force as the device tells it, not as it was asked for."""

    @property
    def clock_error_ns(self) -> int:
        """Error bar of the stamps on the session's clock."""

    @property
    def oversubscribed(self) -> bool:
        """Whether lanes share compute that they were meant to have alone (lanes x threads > cores)."""

    @property
    def host_has_own_core(self) -> bool:
        """Whether a core is left for the dispatching process."""

    @property
    def weights_shared(self) -> bool | None:
        """Whether lanes that run the same engine share its weights in memory; None if it cannot be told."""

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        """Load an engine in the lane's own context or process and warm it; every lane must be idle."""

    def unload(self, loaded: Loaded) -> None:
        """Free an engine of a lane."""

    def gate(self) -> AbstractContextManager[None]:
        """What is submitted inside starts together when the block ends."""

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        """Queue one execution and return its ticket; asynchronous, in order.

        `delay_ns` is held by the lane: it idles that long after it is ready for this execution (gate open, previous
        execution ended), then starts.
        """

    def wait(self, until_ns: int) -> list[Completion]:
        """Return what has completed, by end_ns, as soon as anything has; [] once `until_ns` is reached.

        Raises:
            LaneLost: a lane died; its queued executions are lost.
        """

    def now_ns(self) -> int:
        """Return the session clock's time."""


class Runner(Protocol):
    """A backend that builds and executes engines."""

    @property
    def name(self) -> str:
        """The name users type, e.g. `onnxruntime-cpu`."""

    @property
    def needs_gpu(self) -> bool:
        """Whether sessions need an NVIDIA GPU."""

    @property
    def session_per_experiment(self) -> bool:
        """Whether each experiment needs a session of its own, so that nothing of one shows in the next.

        True where time and random draws belong to the session (virtual time); lanes of real devices stay warm instead.
        """

    def version(self) -> str:
        """Return the version of the backend that ends up in engine ids."""

    def devices(self) -> list[Device]:
        """Return the devices this runner can open on this machine; [] if none."""

    def device(self, name: str | None) -> Device:
        """Return the device of that name (None = the first); UserError naming the choices otherwise."""

    def target(self, device: Device) -> str:
        """Return the build target of a device: what an engine file depends on."""

    def max_lanes(self, device: Device) -> int:
        """Return how many lanes the device takes without oversubscription."""

    def isolations(self) -> tuple[str, ...]:
        """Return the isolation modes of this runner, default first."""

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int = 0) -> str:
        """Return the id that `build` would give; builds nothing and makes no weights."""

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int = 0
    ) -> Engine:
        """Build an engine or take it from the cache; `model` may be a probe, `probe:{compute,cache,dram,half}:<0-100>`.

        A truncated or foreign cache entry is detected and rebuilt.
        """

    def open(
        self, device: Device, lanes: Sequence[Lane], isolation: str | None = None, seed: int = 0
    ) -> AbstractContextManager[Session]:
        """Open lanes; the first isolation mode of `isolations()` if None. Devices that draw do so from the seed."""

    def counters(self, engine: Engine) -> Counters | None:
        """Return the throughputs that the runner itself knows of an engine; None if it has to be measured."""
