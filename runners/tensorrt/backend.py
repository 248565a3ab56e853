"""TensorRT on the CUDA lanes: see `cotenant.runners.cuda.backend.CudaBackend`. Importing this imports nothing heavy."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.models.model import Precision
from cotenant.runners.protocol import Device, Engine

if TYPE_CHECKING:
    from cotenant.runners.network_request import NetworkRequest

NAME = "tensorrt"
LOADER = "cotenant.runners.tensorrt.execution:load"


class TensorRt:
    """Engines of the TensorRT that is installed here, whichever of the two it is."""

    name = NAME
    loader = LOADER
    weights_shared: bool | None = True  # contexts of one deserialised plan

    def version(self) -> str:
        """Return library and version, e.g. `tensorrt-rtx 1.7.1.116`; UserError where there is none that fits."""
        from cotenant.runners.tensorrt.flavour import installed

        here = installed()
        return f"{here.flavour.engine_kind} {here.version}"

    def target(self, device: Device) -> str:
        """Return the build target of a GPU of this machine; UserError where TensorRT-RTX cannot build for it."""
        from cotenant.runners.cuda.devices import gpu_of
        from cotenant.runners.tensorrt.flavour import installed
        from cotenant.runners.tensorrt.targets import target_of

        gpu = gpu_of(device)
        return target_of(installed(), device.name, gpu.architecture, gpu.driver_version)

    def targets_without_device(self) -> Sequence[str]:
        """Return the targets of TensorRT-RTX, `portable` first; none of TensorRT, which builds on the GPU itself."""
        from cotenant.runners.tensorrt.flavour import installed
        from cotenant.runners.tensorrt.targets import WITHOUT_DEVICE

        return () if installed().flavour.needs_gpu_to_build else WITHOUT_DEVICE

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int) -> str:
        """Return the id that `build` would give."""
        return self._request(model, batch_size, precision, target, build_index).engine_id()

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int
    ) -> Engine:
        """Build a network's engine in a process of its own, or take it from the cache.

        Raises:
            UserError: TensorRT's parser refuses the network, or it cannot build for the target.
            WorkError: The builder failed or died; PlanRefused: what the cache holds was built by another TensorRT.
            BuildCancelled: Whoever watches the build wants no engine any more.
        """
        from cotenant.runners.engine_cache import obtain
        from cotenant.runners.tensorrt.engines import engine_builder
        from cotenant.runners.tensorrt.flavour import installed
        from cotenant.runners.tensorrt.order import PLAN
        from cotenant.runners.tensorrt.plan import check_plan

        request, here = self._request(model, batch_size, precision, target, build_index), installed()
        engine = obtain(cache, request.engine_id(), engine_builder(request, here, cache))
        check_plan(engine.folder / PLAN, here)
        # the same content may have been built under another path
        return dataclasses.replace(engine, model=request.model.name, family=request.model.family)

    def _request(
        self, model: str, batch_size: int, precision: Precision, target: str, build_index: int
    ) -> "NetworkRequest":
        from cotenant.models.zoo import resolve
        from cotenant.runners.network_request import NetworkRequest
        from cotenant.runners.tensorrt.config import FLAGS

        return NetworkRequest(resolve(model), batch_size, precision, NAME, self.version(), target, FLAGS, build_index)
