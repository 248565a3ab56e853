"""Loads a plan for a lane: one execution context, memory of its own for scratch, inputs and outputs, and enqueue.

Everything else (streams, graphs, gates, stamps) is `cotenant.runners.cuda`'s.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, cast

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.driver_errors import done
from cotenant.runners.cuda.executable import Binding, LoadRequest
from cotenant.runners.random_inputs import random_inputs
from cotenant.runners.tensorrt import api_rtx
from cotenant.runners.tensorrt.api_run import IExecutionContext
from cotenant.runners.tensorrt.order import PLAN
from cotenant.runners.tensorrt.shared_engine import SharedEngine, shared_engine
from cotenant.runners.tensorrt.targets import capability_of

SMALLEST_BYTES = 256  # an empty tensor needs an address too


class PlanExecutable:
    """See `cotenant.runners.cuda.executable.Executable`."""

    def __init__(self, shared: SharedEngine, request: LoadRequest, driver: Any) -> None:
        self._shared, self._driver = shared, driver
        self._context: IExecutionContext | None = shared.context()
        self._memory: list[int] = []
        self.inputs: list[Binding] = []
        self.outputs: list[Binding] = []
        try:
            self._bind(request)
        except BaseException:
            self.close()
            raise

    def enqueue(self, stream: int) -> None:
        """Queue one execution; WorkError with the library's reason if it refuses."""
        assert self._context is not None
        if self._refuses_capture(stream):
            raise WorkError(f"{self._shared.here} says that this engine cannot be captured")
        if not self._context.execute_async_v3(stream):
            raise WorkError(f"{self._shared.here} did not queue the execution: {self._shared.log.reason()}")

    def close(self) -> None:
        """Free the context and its memory; the engine goes with its last context."""
        self._context = None
        for address in self._memory:
            done(self._driver.cuMemFree(address), "cuMemFree")
        self._memory = []

    def _bind(self, request: LoadRequest) -> None:
        engine, context = self._shared.engine, self._context
        assert context is not None
        context.set_device_memory(self._allocate(engine.device_memory_size_v2), engine.device_memory_size_v2)
        values = random_inputs(request.meta["inputs"], request.seed)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        into = [name for name in names if engine.get_tensor_mode(name) == self._shared.trt.TensorIOMode.INPUT]
        for name in into:
            context.set_input_shape(name, values[name].shape)
        for name in (*into, *(other for other in names if other not in into)):
            binding = self._binding(name, context.get_tensor_shape(name), engine.get_tensor_dtype(name).itemsize)
            (self.inputs if name in into else self.outputs).append(binding)
            if not context.set_tensor_address(name, binding.address):
                raise WorkError(f"{self._shared.here} did not take the address of {name}: {self._shared.log.reason()}")
        for binding in self.inputs:
            value = values[binding.name]
            if value.nbytes != binding.byte_count:
                raise WorkError(f"input {binding.name} takes {binding.byte_count} bytes, the model says {value.nbytes}")
            copied = self._driver.cuMemcpyHtoDAsync(binding.address, value.ctypes.data, value.nbytes, request.stream)
            done(copied, "cuMemcpyHtoDAsync")
        done(self._driver.cuStreamSynchronize(request.stream), "cuStreamSynchronize")  # `values` goes away

    def _binding(self, name: str, shape: Sequence[int], item_bytes: int) -> Binding:
        if any(size < 0 for size in shape):
            raise WorkError(f"the size of {name} is not known before the engine runs ({list(shape)})")
        byte_count = prod(shape) * item_bytes
        return Binding(name, self._allocate(byte_count), byte_count)

    def _allocate(self, byte_count: int) -> int:
        address = int(done(self._driver.cuMemAlloc(max(SMALLEST_BYTES, byte_count)), "cuMemAlloc"))
        self._memory.append(address)
        return address

    def _refuses_capture(self, stream: int) -> bool:
        if not self._shared.is_rtx:
            return False  # it refuses by itself
        status = done(self._driver.cuStreamIsCapturing(stream), "cuStreamIsCapturing")
        capturing = status != self._driver.CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_NONE
        return capturing and not cast(api_rtx.IExecutionContext, self._context).is_stream_capturable(stream)


def load(request: LoadRequest) -> PlanExecutable:
    """Load an engine in the current CUDA context.

    Raises:
        PlanRefused: The plan was built by another TensorRT.
        WorkError: It was built for another device, the library refuses it, or memory is short.
    """
    from cuda.bindings import driver

    _check_device(request, driver)
    shared = shared_engine(request.folder / PLAN, request.meta["engine"]["engine_sha256"], request.device_index)
    return PlanExecutable(shared, request, driver)


def _check_device(request: LoadRequest, driver: Any) -> None:
    target = request.meta["engine"]["build_target"]
    built_for = capability_of(target)
    kinds = driver.CUdevice_attribute
    device = done(driver.cuDeviceGet(request.device_index), "cuDeviceGet")
    major, minor = (
        int(done(driver.cuDeviceGetAttribute(kind, device), "cuDeviceGetAttribute"))
        for kind in (
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
    )
    if built_for is not None and built_for != 10 * major + minor:
        raise WorkError(f"the engine was built for {target}, this GPU is sm_{major}{minor}; build it for this GPU")
