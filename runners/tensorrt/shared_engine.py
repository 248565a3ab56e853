"""Deserialised plans: lanes of one process that load the same plan share one, and with it the weights."""

from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

from cotenant.models.errors import WorkError
from cotenant.runners.tensorrt import api_rtx
from cotenant.runners.tensorrt.api_run import ICudaEngine, IExecutionContext, Module
from cotenant.runners.tensorrt.build_log import BuildLog, vendor_logger
from cotenant.runners.tensorrt.flavour import TENSORRT_RTX, Installed, installed, load_module
from cotenant.runners.tensorrt.plan import check_plan


class SharedEngine:
    """A deserialised plan, held by its contexts; the library's logger and runtime live as long."""

    def __init__(self, trt: Module, here: Installed, plan: Path) -> None:
        self.here, self.trt, self.log = here, trt, BuildLog()
        self._logger = vendor_logger(trt, self.log)
        self._runtime = trt.Runtime(self._logger)
        engine = None if self.log.errors else self._runtime.deserialize_cuda_engine(plan.read_bytes())
        if engine is None:
            raise WorkError(f"{plan}: {here} could not deserialise it: {self.log.reason()}")
        self.engine: ICudaEngine = engine

    def context(self) -> IExecutionContext:
        """Return a context whose scratch memory its user provides."""
        strategy = self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self.engine.create_execution_context(self._rtx_config(strategy) if self.is_rtx else strategy)
        if context is None:
            raise WorkError(f"{self.here} made no execution context: {self.log.reason()}")
        return context

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT-RTX."""
        return self.here.flavour == TENSORRT_RTX

    def _rtx_config(self, strategy: Any) -> api_rtx.IRuntimeConfig:
        config = cast(api_rtx.ICudaEngine, self.engine).create_runtime_config()
        config.set_execution_context_allocation_strategy(strategy)
        trt = cast(api_rtx.Module, self.trt)
        config.cuda_graph_strategy = trt.CudaGraphStrategy.DISABLED  # lanes capture
        # not in the background: a captured graph would keep the kernels that were there first
        eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        return config


_engines: WeakValueDictionary[tuple[str, int], SharedEngine] = WeakValueDictionary()


def shared_engine(plan: Path, engine_sha256: str, device_index: int) -> SharedEngine:
    """Return a plan's engine on the device whose context is current; contexts of it are never shared.

    Raises:
        PlanRefused: The plan was built by another TensorRT, or is not whole.
        WorkError: The library refuses it.
    """
    here = installed()
    check_plan(plan, here)
    key = (engine_sha256, device_index)
    found = _engines.get(key)
    if found is None:
        found = _engines[key] = SharedEngine(cast(Module, load_module(here)), here, plan)
    return found
