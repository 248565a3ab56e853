"""The torch backend: engines are graphs beside their weights, so one is built anywhere and executed on any GPU."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.models.errors import WorkError
from cotenant.models.model import Precision
from cotenant.runners.protocol import Device, Engine
from cotenant.runners.torch_cuda.library import torch_build

if TYPE_CHECKING:
    from cotenant.runners.network_request import NetworkRequest

NAME = "torch-cuda"
PORTABLE = "portable"


class TorchCuda:
    """See `cotenant.runners.cuda.backend.CudaBackend`; torch is imported by builds and lanes alone."""

    name = NAME
    loader = "cotenant.runners.torch_cuda.execution:load"
    weights_shared: bool | None = False  # every lane loads its own, in one process too

    def version(self) -> str:
        """Return torch's version with what it was built for; WorkError where it is missing."""
        return torch_build().version

    def target(self, device: Device) -> str:
        """Return the GPU's name and capability; WorkError where this torch cannot execute on it."""
        from cotenant.runners.cuda.devices import gpu_of

        gpu, build = gpu_of(device), torch_build()
        if build.cuda is None:
            raise WorkError(f"torch {build.version} was built without CUDA; install a build of torch that has it")
        if int(build.cuda.split(".")[0]) > int(gpu.cuda_version.split(".")[0]):
            raise WorkError(
                f"torch {build.version} needs CUDA {build.cuda}, the driver knows {gpu.cuda_version}: update the"
                f" driver, or install a build of torch for CUDA {gpu.cuda_version}"
            )
        return f"{device.name} {gpu.architecture}"

    def targets_without_device(self) -> Sequence[str]:
        """Return `portable`: what is built is the same for every GPU."""
        return (PORTABLE,)

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int) -> str:
        """Return the id that `build` would give; makes no weights."""
        return self._request(model, batch_size, precision, target, build_index).engine_id()

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int
    ) -> Engine:
        """Build an engine or take it from the cache; UserError names an operator that is not translated."""
        from cotenant.runners.engine_cache import obtain
        from cotenant.runners.torch_cuda.build import engine_builder

        request = self._request(model, batch_size, precision, target, build_index)
        engine = obtain(cache, request.engine_id(), engine_builder(request, cache))
        # the same content may have been built under another path
        return replace(engine, model=request.model.name, family=request.model.family)

    def _request(
        self, model: str, batch_size: int, precision: Precision, target: str, build_index: int
    ) -> "NetworkRequest":
        from cotenant.models.zoo import resolve
        from cotenant.runners.network_request import NetworkRequest
        from cotenant.runners.torch_cuda.build import FLAGS

        return NetworkRequest(resolve(model), batch_size, precision, NAME, self.version(), target, FLAGS, build_index)
