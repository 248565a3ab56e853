"""What a runner brings to the CUDA lanes: how to load one of its engines so that it can be queued on a stream.

Everything else (streams, events, graphs, gates, delays, stamps, processes) is shared, so that what one runner proves on
a GPU holds for the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast


@dataclass(frozen=True)
class Binding:
    """One input or output of a loaded engine, resident on the device at an address that stays."""

    name: str
    address: int
    byte_count: int


class Executable(Protocol):
    """An engine loaded in the CUDA context that is current, for one lane alone; never used from two threads."""

    @property
    def inputs(self) -> Sequence[Binding]:
        """Inputs, filled with random values from the seed given to the loader."""

    @property
    def outputs(self) -> Sequence[Binding]:
        """Outputs, which each execution overwrites."""

    def enqueue(self, stream: int) -> None:
        """Queue one execution on a stream (a raw CUstream handle), asynchronously; may happen under stream capture.

        Raises:
            WorkError: the backend refused it. During capture that means: this engine cannot be captured.
        """

    def close(self) -> None:
        """Free what the engine holds on the device; nothing of it is queued any more."""


@dataclass(frozen=True)
class LoadRequest:
    """What a loader is told; plain data, because lanes may be processes of their own.

    Attributes:
        folder: The engine's verified cache entry.
        meta: Its meta.json.
        device_index: CUDA ordinal of the device whose context is current.
        stream: The lane's stream (raw handle), for what has to be queued while loading; it is synchronised afterwards.
        seed: What random inputs are drawn from.
    """

    folder: Path
    meta: dict[str, Any]
    device_index: int
    stream: int
    seed: int


Loader = Callable[[LoadRequest], Executable]


def loader_of(path: str) -> Loader:
    """Return the loader that a path `package.module:function` names; lanes in processes of their own are told so."""
    module, function = path.split(":")
    return cast(Loader, getattr(import_module(module), function))
