"""TensorRT's runtime and the CUDA driver's memory as far as a lane's adapter uses them, with their rules, on the host.

Members that the real ones lack would prove nothing: test_tensorrt_execution compares the names.
"""

import ctypes
from collections.abc import Sequence
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any

SHAPES = {"x": (2, 3), "ids": (2, 5), "y": (2, 7)}
INPUTS = ("x", "ids")
SCRATCH_BYTES = 4096


class Severity(Enum):
    ERROR = 1


class Status(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_INVALID_VALUE = 1


class Driver:
    """Device memory as a dictionary; whatever is freed twice or copied beyond its end is refused."""

    class CUstreamCaptureStatus(IntEnum):
        CU_STREAM_CAPTURE_STATUS_NONE = 0
        CU_STREAM_CAPTURE_STATUS_ACTIVE = 1

    class CUdevice_attribute(IntEnum):  # noqa: N801  the driver's own name
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76

    def __init__(self, free_bytes: int = 1 << 20) -> None:
        self.memory: dict[int, bytearray] = {}
        self.free_bytes = free_bytes
        self.capturing = False
        self.synchronised: list[int] = []
        self._next = 0x7000_0000

    def cuMemAlloc(self, byte_count: int) -> tuple[Any, ...]:  # noqa: N802
        if byte_count <= 0:
            return Status.CUDA_ERROR_INVALID_VALUE, 0
        if byte_count > self.free_bytes:
            return Status.CUDA_ERROR_OUT_OF_MEMORY, 0
        self.free_bytes -= byte_count
        address, self._next = self._next, self._next + byte_count + 256
        self.memory[address] = bytearray(byte_count)
        return Status.CUDA_SUCCESS, address

    def cuMemFree(self, address: int) -> tuple[Any, ...]:  # noqa: N802
        self.free_bytes += len(self.memory.pop(address))
        return (Status.CUDA_SUCCESS,)

    def cuMemcpyHtoDAsync(self, address: int, host: int, byte_count: int, stream: int) -> tuple[Any, ...]:  # noqa: N802
        if byte_count > len(self.memory[address]):
            return (Status.CUDA_ERROR_INVALID_VALUE,)
        self.memory[address][:byte_count] = ctypes.string_at(host, byte_count)
        return (Status.CUDA_SUCCESS,)

    def cuStreamSynchronize(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        self.synchronised.append(stream)
        return (Status.CUDA_SUCCESS,)

    def cuStreamIsCapturing(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        return Status.CUDA_SUCCESS, self.CUstreamCaptureStatus(int(self.capturing))

    def cuDeviceGet(self, ordinal: int) -> tuple[Any, ...]:  # noqa: N802
        return Status.CUDA_SUCCESS, ordinal

    def cuDeviceGetAttribute(self, kind: int, device: int) -> tuple[Any, ...]:  # noqa: N802
        major = kind == self.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        return Status.CUDA_SUCCESS, 8 if major else 9


class Context:
    """Executes once it has scratch memory, every input's shape and every tensor's address."""

    def __init__(self, trt: "TensorRtModule") -> None:
        self._trt = trt
        self.scratch: tuple[int, int] | None = None
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.enqueued: list[int] = []

    def set_device_memory(self, memory: int, size: int) -> None:
        assert memory > size, "the address comes first"
        self.scratch = (memory, size)

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        self.shapes[name] = tuple(shape)
        return name in INPUTS

    def get_tensor_shape(self, name: str) -> Sequence[int]:
        known = name in self.shapes if name in INPUTS else set(self.shapes) == set(INPUTS)
        return SHAPES[name] if known else tuple(-1 for _ in SHAPES[name])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return name in SHAPES

    def execute_async_v3(self, stream_handle: int) -> bool:
        ready = self.scratch is not None and set(self.addresses) == set(SHAPES) and self._trt.executes
        if ready:
            self.enqueued.append(stream_handle)
        else:
            self._trt.say("not everything is set")
        return ready

    def is_stream_capturable(self, stream: int) -> bool:
        return self._trt.captures


class RuntimeConfig:
    cuda_graph_strategy: Any = None
    dynamic_shapes_kernel_specialization_strategy: Any = None

    def __init__(self) -> None:
        self.strategy: Any = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self.strategy = strategy


class CudaEngine:
    num_io_tensors = len(SHAPES)
    device_memory_size_v2 = SCRATCH_BYTES

    def __init__(self, trt: "TensorRtModule") -> None:
        self._trt = trt

    def get_tensor_name(self, index: int) -> str:
        return ["y", "x", "ids"][index]

    def get_tensor_mode(self, name: str) -> Any:
        return self._trt.TensorIOMode.INPUT if name in INPUTS else self._trt.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(itemsize={"x": 2, "ids": 8, "y": 4}[name])

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()

    def create_execution_context(self, how: Any) -> Context:
        if isinstance(how, RuntimeConfig):
            assert how.cuda_graph_strategy is self._trt.CudaGraphStrategy.DISABLED
            eager = self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
            assert how.dynamic_shapes_kernel_specialization_strategy is eager
            how = how.strategy
        assert how is self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self._trt.contexts.append(Context(self._trt))
        return self._trt.contexts[-1]


class TensorRtModule:
    """The library's module; `deserialises`, `executes` and `captures` switch its refusals."""

    __version__ = "1.7.1.116"
    TensorIOMode = Enum("TensorIOMode", ["INPUT", "OUTPUT"])
    CudaGraphStrategy = Enum("CudaGraphStrategy", ["DISABLED", "WHOLE_GRAPH_CAPTURE"])
    DynamicShapesKernelSpecializationStrategy = Enum("DynamicShapesKernelSpecializationStrategy", ["LAZY", "EAGER"])
    ExecutionContextAllocationStrategy = Enum("ExecutionContextAllocationStrategy", ["STATIC", "USER_MANAGED"])

    class ILogger:
        def __init__(self) -> None:
            pass

        def log(self, severity: Any, msg: str) -> None:
            raise NotImplementedError

    def __init__(self, deserialises: bool = True, executes: bool = True, captures: bool = True) -> None:
        self.deserialises, self.executes, self.captures = deserialises, executes, captures
        self.contexts: list[Context] = []
        self._logger: Any = None

    def say(self, message: str) -> None:
        self._logger.log(Severity.ERROR, message)

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        self._logger = logger

        def deserialize_cuda_engine(serialized_engine: bytes) -> CudaEngine | None:
            assert serialized_engine
            if not self.deserialises:
                self.say("no such GPU")
            return CudaEngine(self) if self.deserialises else None

        return SimpleNamespace(deserialize_cuda_engine=deserialize_cuda_engine)
