"""The calls that TensorRT-RTX alone has; see `api_build`."""

# ruff: noqa: D102  what the calls do, the library's own pages tell

from typing import Any, Protocol


class IBuilderConfig(Protocol):
    """How an engine is built: for which GPUs."""

    num_compute_capabilities: int

    def set_compute_capability(self, compute_capability: Any, index: int) -> bool: ...
    def set_flag(self, flag: Any) -> None: ...


class BuilderFlag(Protocol):
    """Switches of a build."""

    REQUIRE_USER_ALLOCATION: Any


class IRuntimeConfig(Protocol):
    """How an execution context works: lanes capture graphs themselves."""

    cuda_graph_strategy: Any
    dynamic_shapes_kernel_specialization_strategy: Any

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None: ...


class ICudaEngine(Protocol):
    """A deserialised engine."""

    def create_runtime_config(self) -> IRuntimeConfig: ...


class CudaGraphStrategy(Protocol):
    """Whether the library captures graphs by itself."""

    DISABLED: Any


class DynamicShapesKernelSpecializationStrategy(Protocol):
    """When kernels are made for a shape that was dynamic at build."""

    EAGER: Any


class IExecutionContext(Protocol):
    """One user of an engine."""

    def is_stream_capturable(self, stream: int) -> bool: ...


class Module(Protocol):
    """The library's module, as far as only TensorRT-RTX has it."""

    ComputeCapability: Any
    BuilderFlag: BuilderFlag
    CudaGraphStrategy: CudaGraphStrategy
    DynamicShapesKernelSpecializationStrategy: DynamicShapesKernelSpecializationStrategy
