"""How engines are built: one stream, fixed memory, layers remembered, for one GPU."""

from typing import Any, cast

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.tensorrt import api_rtx
from cotenant.runners.tensorrt.api_build import Builder, IBuilderConfig, Module
from cotenant.runners.tensorrt.flavour import TENSORRT_RTX, Flavour
from cotenant.runners.tensorrt.targets import PORTABLE

# Everything that decides what is built, part of every engine's id; revision counts changes of what a build makes of the
# same model. One stream per engine: with auxiliary ones neither overlaps nor event times would be well defined.
MAX_AUX_STREAMS = 0
MEMORY_LIMIT_BYTES = 4 << 30
FLAGS: dict[str, Any] = {
    "revision": 1,
    "strongly_typed": True,
    "max_aux_streams": MAX_AUX_STREAMS,
    "profiling_verbosity": "DETAILED",
    "memory_limit_bytes": MEMORY_LIMIT_BYTES,
}


def builder_config(
    trt: Module, builder: Builder, flavour: Flavour, capability: int | None, memory_limit_bytes: int
) -> IBuilderConfig:
    """Return the configuration of a build; UserError if the library cannot build for that capability."""
    config = builder.create_builder_config()
    config.max_aux_streams = MAX_AUX_STREAMS
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, memory_limit_bytes)
    if flavour == TENSORRT_RTX:
        _for_rtx(cast(api_rtx.Module, trt), cast(api_rtx.IBuilderConfig, config), capability)
    return config


def _for_rtx(rtx: api_rtx.Module, config: api_rtx.IBuilderConfig, capability: int | None) -> None:
    # without it an engine may allocate while it runs, which no CUDA graph can hold (the flag's own description)
    config.set_flag(rtx.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if capability is None:
        return
    word = f"SM{capability}"
    known: Any = rtx.ComputeCapability.__members__
    if word not in known:
        targets = [f"sm_{name[2:]}" for name in known if name.startswith("SM")]
        raise UserError(
            f"TensorRT-RTX cannot build for sm_{capability}; this version knows {', '.join((PORTABLE, *targets))}"
        )
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(known[word], 0):
        raise WorkError(f"TensorRT-RTX did not accept the target sm_{capability}")
