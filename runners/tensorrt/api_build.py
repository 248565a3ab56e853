"""The calls by which TensorRT builds engines, as both flavours have them; tests look for each on the real classes.

TensorRT ships no types. Only what this package uses stands here, under the library's own names.
"""

# ruff: noqa: D102  what the calls do, the library's own pages tell

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class ITensor(Protocol):
    """A tensor of a network; open dimensions are -1."""

    name: str
    dtype: Any
    shape: Sequence[int]


class INetworkDefinition(Protocol):
    """A network that an engine shall execute."""

    num_inputs: int
    num_outputs: int
    num_layers: int

    def get_input(self, index: int) -> ITensor: ...
    def get_output(self, index: int) -> ITensor: ...


class ParserError(Protocol):
    """Why the ONNX parser refused a network."""

    def desc(self) -> str: ...
    def code(self) -> Any: ...
    def func(self) -> str: ...
    def file(self) -> str: ...
    def line(self) -> int: ...
    def node(self) -> int: ...
    def node_name(self) -> str: ...
    def node_operator(self) -> str: ...


class OnnxParser(Protocol):
    """Reads ONNX files."""

    num_errors: int

    def parse_from_file(self, model: str) -> bool: ...
    def get_error(self, index: int) -> ParserError: ...


class IOptimizationProfile(Protocol):
    """Sizes of open dimensions."""

    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None: ...  # noqa: A002


class ITimingCache(Protocol):
    """What earlier builds have timed."""

    def combine(self, input_cache: "ITimingCache", ignore_mismatch: bool) -> bool: ...
    def serialize(self) -> Any: ...


class IBuilderConfig(Protocol):
    """How an engine is built."""

    max_aux_streams: int
    profiling_verbosity: Any
    progress_monitor: Any

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None: ...
    def get_memory_pool_limit(self, pool: Any) -> int: ...
    def add_optimization_profile(self, profile: IOptimizationProfile) -> int: ...
    def get_flag(self, flag: Any) -> bool: ...
    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None: ...
    def get_timing_cache(self) -> ITimingCache | None: ...
    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool: ...


class Builder(Protocol):
    """Builds engines."""

    def create_network(self, flags: int) -> INetworkDefinition: ...
    def create_builder_config(self) -> IBuilderConfig: ...
    def create_optimization_profile(self) -> IOptimizationProfile: ...
    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> Any: ...


class EngineInspector(Protocol):
    """Tells the layers of an engine."""

    def get_engine_information(self, format: Any) -> str: ...  # noqa: A002


class IProgressMonitor(Protocol):
    """What a builder tells while it works; ours is derived from the library's class."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...
    def phase_finish(self, phase_name: str) -> None: ...
    def step_complete(self, phase_name: str, step: int) -> bool: ...


class ILogger(Protocol):
    """Where the library's messages go; ours is derived from the library's class."""

    Severity: Any

    def log(self, severity: Any, msg: str) -> None: ...


class NetworkDefinitionCreationFlag(Protocol):
    """Kinds of networks."""

    STRONGLY_TYPED: Any


class MemoryPoolType(Protocol):
    """Kinds of memory that have limits."""

    WORKSPACE: Any


class ProfilingVerbosity(Protocol):
    """How much an engine remembers of its layers."""

    DETAILED: Any


class BuilderFlag(Protocol):
    """Switches of a build."""

    TF32: Any


class LayerInformationFormat(Protocol):
    """How layers are told."""

    JSON: Any


class Module(Protocol):
    """The library's module, as far as both flavours have it."""

    __version__: str
    ILogger: Any
    IProgressMonitor: Any
    Builder: Callable[[Any], Builder]
    OnnxParser: Callable[[INetworkDefinition, Any], OnnxParser]
    Runtime: Any
    NetworkDefinitionCreationFlag: NetworkDefinitionCreationFlag
    MemoryPoolType: MemoryPoolType
    ProfilingVerbosity: ProfilingVerbosity
    BuilderFlag: BuilderFlag
    LayerInformationFormat: LayerInformationFormat
