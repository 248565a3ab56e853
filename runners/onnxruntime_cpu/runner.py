"""The onnxruntime-cpu runner: real inference on the processor, one process with its own cores per lane."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.models.errors import UserError
from cotenant.models.model import Model, Precision
from cotenant.runners.isolation import checked_isolation
from cotenant.runners.network_request import check_request
from cotenant.runners.onnxruntime_cpu import cores
from cotenant.runners.probe_names import is_probe
from cotenant.runners.protocol import Counters, Device, Engine, Lane, Session

if TYPE_CHECKING:
    from cotenant.runners.onnxruntime_cpu.build import EngineRequest
    from cotenant.runners.onnxruntime_cpu.session import CpuSession

NAME = "onnxruntime-cpu"
ISOLATIONS = ("own-cores", "shared-cores")  # shared-cores: all lanes on the same cores, the control of the self-test
DEVICE_ALIASES = ("cpu", "0")


@dataclasses.dataclass(frozen=True)
class OnnxRuntimeCpu:
    """See `cotenant.runners.protocol.Runner`; imports ONNX Runtime only in the lanes' processes."""

    threads_per_lane: int = 1

    @property
    def name(self) -> str:
        """The name users type."""
        return NAME

    @property
    def needs_gpu(self) -> bool:
        """Whether sessions need an NVIDIA GPU."""
        return False

    @property
    def session_per_experiment(self) -> bool:
        """False: lanes are kept warm through a campaign."""
        return False

    def version(self) -> str:
        """Return the version of ONNX Runtime."""
        try:
            return version("onnxruntime")
        except PackageNotFoundError:  # the same module also comes in distributions for other devices
            import onnxruntime

            return str(onnxruntime.__version__)

    def devices(self) -> list[Device]:
        """Return this machine's processor."""
        from cotenant.runners.onnxruntime_cpu.device import this_device

        return [this_device()]

    def device(self, name: str | None) -> Device:
        """Return the processor; `name` may be `cpu`, `0`, its name or its id."""
        device = self.devices()[0]
        if name is None or name in (*DEVICE_ALIASES, device.device_id, device.name):
            return device
        raise UserError(f"unknown device {name!r} for runner {NAME}; it has one device: cpu ({device.name})")

    def target(self, device: Device) -> str:
        """Return this machine's instruction set, e.g. `x86_64-avx512`."""
        from cotenant.runners.onnxruntime_cpu.device import this_target

        return this_target()

    def max_lanes(self, device: Device) -> int:
        """Return for how many lanes there are physical cores (and time, under a quota) that this process may use."""
        physical = len(cores.physical_cores(cores.allowed_cores()))
        quota = cores.quota_cores()
        usable = physical if quota is None else min(physical, int(quota))
        return max(1, usable // self.threads_per_lane)

    def isolations(self) -> tuple[str, ...]:
        """Return the isolation modes: lanes on cores of their own, or all on the cores of one lane."""
        return ISOLATIONS

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int = 0) -> str:
        """Return the id that `build` would give; makes no weights."""
        from cotenant.runners.onnxruntime_cpu import build
        from cotenant.runners.onnxruntime_cpu.probes import parse_probe

        check_request(batch_size, precision, build_index)
        request = self._request(target, build_index)
        if is_probe(model):
            return request.engine_id(parse_probe(model).source_sha256(), {}, "fp32")
        network = _resolve(model)
        shapes = build.input_shapes(network, batch_size, precision)
        return request.engine_id(network.source_sha256(precision), shapes, precision)

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int = 0
    ) -> Engine:
        """Build an engine or take it from the cache; a probe has no batch size (1) and no precision (fp32)."""
        from cotenant.runners.engine_cache import obtain
        from cotenant.runners.onnxruntime_cpu import build
        from cotenant.runners.onnxruntime_cpu.probes import parse_probe

        engine_id = self.engine_id(model, batch_size, precision, target, build_index)
        request = self._request(target, build_index)
        if is_probe(model):
            return obtain(cache, engine_id, build.probe_builder(request, parse_probe(model)))
        network = _resolve(model)
        engine = obtain(cache, engine_id, build.model_builder(request, network, batch_size, precision, cache))
        # the same content may have been built under another path
        return dataclasses.replace(engine, model=network.name, family=network.family)

    def counters(self, engine: Engine) -> Counters | None:
        """None: what a processor's counters say would have to be measured."""
        return None

    def open(
        self, device: Device, lanes: Sequence[Lane], isolation: str | None = None, seed: int = 0
    ) -> AbstractContextManager[Session]:
        """Open lanes, in the order that `cores.lane_order` gives them cores; nothing is drawn."""
        mode = checked_isolation(isolation, ISOLATIONS, NAME)
        if not lanes:
            raise UserError("a session needs at least one lane; give --lanes 1 or more")
        if any(lane.share_pct is not None or lane.priority != 0 for lane in lanes):
            raise UserError(f"lanes of runner {NAME} take neither share nor priority; leave them out")
        return self._session(len(lanes), mode, fits=len(lanes) <= self.max_lanes(device))

    @contextmanager
    def _session(self, lane_count: int, mode: str, fits: bool) -> Iterator["CpuSession"]:
        allowed = cores.allowed_cores()
        chosen = self._lane_cores(lane_count, mode, cores.lane_order(allowed))
        with cores.host_kept_off(allowed, set().union(*chosen)) as host_has_own_core:
            session = _start(chosen, self.threads_per_lane, fits, host_has_own_core)
            try:
                yield session
            except BaseException:
                session.close(at_once=True)
                raise
            session.close(at_once=False)

    def _lane_cores(self, lane_count: int, mode: str, order: Sequence[int]) -> list[set[int]]:
        threads = self.threads_per_lane
        firsts = [lane * threads if mode == ISOLATIONS[0] else 0 for lane in range(lane_count)]
        return [{order[(first + thread) % len(order)] for thread in range(threads)} for first in firsts]

    def _request(self, target: str, build_index: int) -> "EngineRequest":
        from cotenant.runners.onnxruntime_cpu.build import EngineRequest

        return EngineRequest(NAME, self.version(), target, build_index)


def _start(chosen: Sequence[set[int]], threads: int, fits: bool, host_has_own_core: bool) -> "CpuSession":
    """Start every lane's process at once, then wait until all are ready."""
    from cotenant.runners.onnxruntime_cpu.lane import LaneHandle
    from cotenant.runners.onnxruntime_cpu.session import START_TIMEOUT_S, CpuSession

    lanes: list[LaneHandle] = []
    try:
        for index, lane_cores in enumerate(chosen):
            lanes.append(LaneHandle(index, lane_cores, threads))
        for lane in lanes:
            lane.receive_one(START_TIMEOUT_S)
    except BaseException:
        for lane in lanes:
            lane.close(at_once=True)
        raise
    return CpuSession(lanes, fits, host_has_own_core)


def _resolve(model: str) -> Model:
    from cotenant.models.zoo import resolve

    return resolve(model)
