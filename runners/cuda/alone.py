"""One engine alone on a GPU, one execution at a time: what profilers of kernels are pointed at.

No gate, no stamps, no graph, nothing that waits for the host: a profiler runs every launch by itself, several times, so
a kernel that waits for another launch, or for the host, would wait for ever; and a graph would hide the kernels in it.

load -> enqueue and wait, WARM_EXECUTIONS times -> yield execute() -> free
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.executable import Executable
from cotenant.runners.cuda.gpu import Gpu, GpuError, OutOfGpuMemory
from cotenant.runners.cuda.loading import load_executable
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Engine

WARM_EXECUTIONS = 3  # lazy set-up and just-in-time kernels, then caches as a second execution finds them


@contextmanager
def alone(device_index: int, engine: Engine, loader: str) -> Iterator[Callable[[], None]]:
    """Load an engine on a stream of its own, warm it, and yield what executes one batch and waits for its end.

    Args:
        device_index: CUDA ordinal of the device.
        engine: A network's engine or a probe's.
        loader: Path `package.module:function` of the loader of networks; probes have their own.

    Raises:
        WorkError: The device cannot be opened, or the engine not loaded or executed.
    """
    from cotenant.runners.cuda.driver_gpu import DriverGpu

    with alone_on(DriverGpu(device_index), engine, loader) as execute:
        yield execute


@contextmanager
def alone_on(gpu: Gpu, engine: Engine, loader: str) -> Iterator[Callable[[], None]]:
    """Do the same on a device that is open; it is closed at the end."""
    stream = gpu.create_stream()
    try:
        executable = _loaded(gpu, stream, engine, loader)

        def execute() -> None:
            executable.enqueue(stream)
            gpu.synchronize(stream)

        try:
            for _ in range(WARM_EXECUTIONS):
                execute()
            yield execute
        finally:
            with suppress(GpuError):  # in a broken context nothing can be freed; the first error tells more
                executable.close()
    finally:
        with suppress(GpuError):
            gpu.destroy_stream(stream)
            gpu.close()


def _loaded(gpu: Gpu, stream: int, engine: Engine, loader: str) -> Executable:
    try:
        return load_executable(gpu, stream, engine.folder, read_meta(engine.folder), loader, seed=0)
    except WorkError as error:
        kind = OutOfGpuMemory if isinstance(error, OutOfGpuMemory) else WorkError
        raise kind(f"engine {engine.engine_id} ({engine.model}) cannot be loaded: {error}") from error
