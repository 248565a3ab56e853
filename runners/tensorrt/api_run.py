"""The calls by which TensorRT executes engines, as both flavours and the lean runtime have them; see `api_build`."""

# ruff: noqa: D102  what the calls do, the library's own pages tell

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class IExecutionContext(Protocol):
    """One user of an engine; two threads never share it."""

    def set_device_memory(self, memory: int, size: int) -> None: ...
    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool: ...
    def get_tensor_shape(self, name: str) -> Sequence[int]: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...


class ICudaEngine(Protocol):
    """A deserialised engine; its contexts share its weights."""

    device_memory_size_v2: int
    num_io_tensors: int
    num_aux_streams: int

    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_mode(self, name: str) -> Any: ...
    def get_tensor_dtype(self, name: str) -> Any: ...
    def create_execution_context(self, how: Any, /) -> IExecutionContext | None: ...
    def create_engine_inspector(self) -> Any: ...


class Runtime(Protocol):
    """Deserialises engines; never constructed without a driver (the next call may end the process)."""

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None: ...


class DataType(Protocol):
    """Element types."""

    itemsize: int


class TensorIOMode(Protocol):
    """Whether a tensor goes in or comes out."""

    INPUT: Any


class ExecutionContextAllocationStrategy(Protocol):
    """Who allocates a context's scratch memory."""

    USER_MANAGED: Any


class Module(Protocol):
    """The library's module, as far as executing needs it."""

    __version__: str
    ILogger: Any
    Runtime: Callable[[Any], Runtime]
    DataType: DataType
    TensorIOMode: TensorIOMode
    ExecutionContextAllocationStrategy: ExecutionContextAllocationStrategy
