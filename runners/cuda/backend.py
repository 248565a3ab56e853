"""What differs between runners on CUDA lanes: their engines. The rest of a runner is `cotenant.runners.cuda.runner`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cotenant.models.model import Precision
from cotenant.runners.protocol import Device, Engine


class CudaBackend(Protocol):
    """Builds engines of networks, and names how a lane loads them; probes are built and loaded by `runners.cuda`."""

    @property
    def name(self) -> str:
        """The runner's name, e.g. `tensorrt`."""

    @property
    def loader(self) -> str:
        """Path `package.module:function` of the `Loader` of its engines."""

    @property
    def weights_shared(self) -> bool | None:
        """Whether lanes of one process share an engine's weights; None = it cannot be told."""

    def version(self) -> str:
        """Return the version that ends up in engine ids; CotenantError with the remedy where there is no backend."""

    def target(self, device: Device) -> str:
        """Return the build target of a device of this machine."""

    def targets_without_device(self) -> Sequence[str]:
        """Return the targets that can be built for where no such GPU is, default first; () if there are none."""

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int) -> str:
        """Return the id that `build` would give a network's engine; builds nothing and makes no weights."""

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int
    ) -> Engine:
        """Build a network's engine or take it from the cache."""
