"""A runner on CUDA lanes: the whole of `cotenant.runners.protocol.Runner` but for the engines of networks.

streams         lanes are streams of one context in this process (default); priorities
green-contexts  the same, each stream confined to multiprocessors of its own; shares sum to 100 % at most
processes       a process per lane, which take turns on the device
mps             a process per lane under an MPS daemon of the session's own; a share bounds a lane's multiprocessors
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.models.errors import CotenantError, UserError
from cotenant.models.model import Precision
from cotenant.runners.cuda.backend import CudaBackend
from cotenant.runners.cuda.lane_requests import MAX_LANES, check_lanes
from cotenant.runners.isolation import checked_isolation
from cotenant.runners.network_request import check_request
from cotenant.runners.probe_names import is_probe
from cotenant.runners.protocol import Counters, Device, Engine, Lane, Session, TargetOnly

if TYPE_CHECKING:
    from cotenant.runners.cuda.devices import FoundGpu
    from cotenant.runners.cuda.probe_engines import ProbeRequest

ISOLATIONS = ("streams", "green-contexts", "processes", "mps")


@dataclass(frozen=True)
class CudaRunner:
    """See `cotenant.runners.protocol.Runner`; nothing of CUDA is imported before a device is looked for."""

    backend: CudaBackend
    usual_precision: Precision = "fp16"  # of a spec that names none: GPUs serve in half precision

    @property
    def name(self) -> str:
        """The name users type."""
        return self.backend.name

    @property
    def needs_gpu(self) -> bool:
        """True: sessions need an NVIDIA GPU; building may do without."""
        return True

    @property
    def session_per_experiment(self) -> bool:
        """False: lanes are kept warm through a campaign."""
        return False

    def version(self) -> str:
        """Return the backend's version; WorkError with the remedy where it is not installed."""
        return self.backend.version()

    def devices(self) -> list[Device]:
        """Return the GPUs that the backend can execute on; [] where it or a driver is missing."""
        return [gpu.device for gpu in self._usable()[0]]

    def device(self, name: str | None) -> Device:
        """Return a GPU by index, UUID or name, or a target to build for by its word, e.g. `sm_89`.

        Without a name: the first GPU; where there is none, the first target that can be built for without one.

        Raises:
            UserError: There is no such device; with what there is, or what is missing.
        """
        from cotenant.runners.cuda.devices import gpu_named

        usable, troubles = self._usable()
        targets = self._targets()
        if name is None and usable:
            return usable[0].device
        if name is None and targets:
            return _target_only(targets[0])
        if name in targets:
            return _target_only(name)
        if name is None or not usable:
            wanted = "no device" if name is None else f"no device {name!r}"
            raise UserError(f"{wanted} for runner {self.name}: {'; '.join(troubles)}{_nearest(name, targets)}")
        gpu = gpu_named(name)
        if gpu not in usable:
            self.backend.target(gpu.device)  # says why it cannot be used
        return gpu.device

    def target(self, device: Device) -> str:
        """Return the build target of a device."""
        return device.name if isinstance(device, TargetOnly) else self.backend.target(device)

    def max_lanes(self, device: Device) -> int:
        """Return how many lanes a GPU takes in every isolation mode."""
        return MAX_LANES

    def isolations(self) -> tuple[str, ...]:
        """Return the isolation modes; whether one starts on a machine shows when it is opened."""
        return ISOLATIONS

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int = 0) -> str:
        """Return the id that `build` would give; makes no weights."""
        check_request(batch_size, precision, build_index)
        if is_probe(model):
            return self._probe(target, build_index).engine_id(model)
        return self.backend.engine_id(model, batch_size, precision, target, build_index)

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int = 0
    ) -> Engine:
        """Build an engine or take it from the cache; a probe has no batch size (1) and no precision (fp32)."""
        check_request(batch_size, precision, build_index)
        if is_probe(model):
            return self._probe(target, build_index).build(model, cache)
        return self.backend.build(model, batch_size, precision, target, cache, build_index)

    def counters(self, engine: Engine) -> Counters | None:
        """None: a GPU's counters have to be measured."""
        return None

    def open(
        self, device: Device, lanes: Sequence[Lane], isolation: str | None = None, seed: int = 0
    ) -> AbstractContextManager[Session]:
        """Open lanes on a GPU; random inputs depend on the seed.

        Raises:
            UserError: A mode, share or priority that cannot be given, or a device that is only a build target.
            WorkError: The driver, MPS or a lane's process refuses.
        """
        mode = checked_isolation(isolation, ISOLATIONS, self.name)
        check_lanes(lanes, mode, self.name)
        if isinstance(device, TargetOnly):
            raise UserError(
                f"{device.name} is a build target, nothing can be executed on it; go to a machine with an NVIDIA GPU"
                " (name it with --device), or build only"
            )
        return self._session(device, lanes, mode, seed)

    def alone(self, device: Device, engine: Engine) -> AbstractContextManager[Callable[[], None]]:
        """Load one engine with nothing of a session around it, and yield what executes one batch and waits for its end.

        For profilers, which cannot have kernels that wait for the host. Errors as for `open`.
        """
        if isinstance(device, TargetOnly):
            raise UserError(f"{device.name} is a build target, nothing can be executed on it; name a GPU with --device")
        from cotenant.runners.cuda.alone import alone
        from cotenant.runners.cuda.devices import gpu_of

        return alone(gpu_of(device).index, engine, self.backend.loader)

    @contextmanager
    def _session(self, device: Device, lanes: Sequence[Lane], mode: str, seed: int) -> Iterator[Session]:
        from cotenant.runners.cuda.devices import gpu_of
        from cotenant.runners.cuda.mps import mps_daemon
        from cotenant.runners.cuda.session import IN_PROCESS, open_in_process, open_processes

        index, loader = gpu_of(device).index, self.backend.loader
        if mode in IN_PROCESS:
            with open_in_process(index, lanes, mode, loader, seed, self.backend.weights_shared) as in_process:
                yield in_process
        elif mode == "processes":
            with open_processes(index, lanes, loader, [{} for _ in lanes], seed=seed) as processes:
                yield processes
        else:
            with mps_daemon(device.device_id) as daemon:
                clients = [daemon.client(lane.share_pct) for lane in lanes]
                with open_processes(0, lanes, loader, clients, takes_shares=True, seed=seed) as processes:
                    yield processes

    def _usable(self) -> tuple[list["FoundGpu"], list[str]]:
        """Return the GPUs that the backend can execute on, and what keeps others from being used."""
        from cotenant.runners.cuda.devices import survey

        found = survey()
        usable, troubles = [], list(found.troubles)
        try:
            self.backend.version()
        except CotenantError as error:
            return [], [*troubles, str(error)]
        for gpu in found.gpus:
            try:
                self.backend.target(gpu.device)
            except CotenantError as error:
                troubles.append(f"GPU {gpu.index}: {error}")
            else:
                usable.append(gpu)
        return usable, troubles

    def _targets(self) -> tuple[str, ...]:
        try:
            return tuple(self.backend.targets_without_device())
        except CotenantError:  # the backend is not installed; `_usable` tells so
            return ()

    def _probe(self, target: str, build_index: int) -> "ProbeRequest":
        from cotenant.runners.cuda.probe_engines import ProbeRequest, ProbeSizes

        fitting = [gpu for gpu in self._usable()[0] if self.backend.target(gpu.device) == target]
        sizes = None
        if fitting:
            device = fitting[0].device
            sizes = ProbeSizes(device.sm_count, device.l2_bytes or 0, fitting[0].dram_bytes_per_s)
        return ProbeRequest(self.name, self.version(), target, build_index, sizes)


def _target_only(target: str) -> TargetOnly:
    return TargetOnly(
        device_id=f"target:{target}",
        device_type=f"none: build target {target}",
        kind="gpu",
        name=target,
        sm_count=0,
        l2_bytes=None,
        dram_bytes=None,
    )


def _nearest(name: str | None, targets: Sequence[str]) -> str:
    if not targets:
        return ""
    near = difflib.get_close_matches(name or "", targets, n=1)
    return f"; did you mean the target {near[0]!r}?" if near else f"; without a GPU, build for {', '.join(targets)}"
