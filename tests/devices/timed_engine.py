"""Engines that take a known time, for CUDA lanes on the model GPU and on a real one."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import model_gpu

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.executable import Binding, Executable, LoadRequest
from cotenant.runners.cuda.gpu import OutOfGpuMemory
from cotenant.runners.engine_cache import Built, obtain
from cotenant.runners.protocol import Engine

LOADER = "timed_engine:load"
MANNERS = ("plain", "refuses", "allocates", "out_of_memory", "torn", "hangs")


def timed_engine(cache: Path, work_ns: int, kernels: int = 1, manner: str = "plain", copied_bytes: int = 0) -> Engine:
    """Return a cached engine whose execution takes `work_ns` alone.

    Manners: `refuses` and `allocates` cannot be captured, `out_of_memory` and `torn` cannot be loaded,
    `hangs` writes a file `loading` beside it as it begins to load and never ends.
    """
    assert manner in MANNERS
    facts = {"work_ns": work_ns, "kernels": kernels, "manner": manner, "copied_bytes": copied_bytes}
    engine_id = f"timed-{manner}-{work_ns}-{kernels}-{copied_bytes}"

    def build(folder: Path) -> Built:
        (folder / "facts.json").write_text(json.dumps(facts))
        return Built(_fields(engine_id), facts)

    return obtain(cache, engine_id, build)


def load(request: LoadRequest) -> Executable:
    """Load a timed engine: the loader that lanes are told."""
    manner = request.meta["manner"]
    if manner == "out_of_memory":
        raise OutOfGpuMemory("cuMemAlloc returned CUDA_ERROR_OUT_OF_MEMORY")
    if manner == "torn":
        raise WorkError("the plan was cut short")
    if manner == "hangs":
        (request.folder.parent / "loading").touch()
        time.sleep(3600)
    if request.device_index >= model_gpu.FIRST_INDEX:
        return OnModel(request, model_gpu.opened[request.device_index])
    return OnDriver(request)


class OnModel:
    """A timed engine on the model GPU."""

    def __init__(self, request: LoadRequest, gpu: model_gpu.ModelGpu) -> None:
        self._gpu, self._facts = gpu, request.meta
        self._allocated: list[int] = []
        self.inputs: Sequence[Binding] = _bindings(request.meta, "x")
        self.outputs: Sequence[Binding] = _bindings(request.meta, "y")

    def enqueue(self, stream: int) -> None:
        if self._facts["manner"] == "refuses" and self._gpu.is_capturing(stream):
            raise WorkError("this engine holds an operator that cannot be captured")
        if self._facts["manner"] == "allocates":
            self._allocated.append(self._gpu.allocate_host(64))
        for _ in range(self._facts["kernels"]):
            self._gpu.launch_kernel(stream, self._facts["work_ns"] / self._facts["kernels"])

    def close(self) -> None:
        while self._allocated:
            self._gpu.free_host(self._allocated.pop())


class OnDriver:
    """A timed engine on a real GPU: one thread that holds the stream."""

    def __init__(self, request: LoadRequest) -> None:
        from cuda.bindings import driver

        from cotenant.runners.cuda.device_kernels import current_kernels
        from cotenant.runners.cuda.driver_errors import done

        self._driver, self._done, self._kernels = driver, done, current_kernels()
        self._facts = request.meta
        self._allocated: list[int] = []
        byte_count = request.meta["copied_bytes"]
        self._memory = [int(done(driver.cuMemAlloc(byte_count), "cuMemAlloc")) for _ in "xy"] if byte_count else []
        self.inputs = [Binding("x", address, byte_count) for address in self._memory[:1]]
        self.outputs = [Binding("y", address, byte_count) for address in self._memory[1:]]

    def enqueue(self, stream: int) -> None:
        status = self._done(self._driver.cuStreamIsCapturing(stream), "cuStreamIsCapturing")
        if self._facts["manner"] == "refuses" and int(status) != 0:
            raise WorkError("this engine holds an operator that cannot be captured")
        if self._facts["manner"] == "allocates":
            self._allocated.append(int(self._done(self._driver.cuMemHostAlloc(64, 0), "cuMemHostAlloc")))
        for _ in range(self._facts["kernels"]):
            self._kernels.hold(stream, self._facts["work_ns"] // self._facts["kernels"], 0, 0)

    def close(self) -> None:
        while self._allocated:
            self._done(self._driver.cuMemFreeHost(self._allocated.pop()), "cuMemFreeHost")
        for address in self._memory:
            self._done(self._driver.cuMemFree(address), "cuMemFree")


def _bindings(meta: dict[str, Any], name: str) -> list[Binding]:
    return [Binding(name, 1, meta["copied_bytes"])] if meta["copied_bytes"] else []


def _fields(engine_id: str) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("parameter_count", "mac_count", "flop_count", "read_bytes", "write_bytes", "weight_bytes"), None
    )
    return {
        "engine_id": engine_id,
        "model": "timed",
        "family": "timed",
        "batch_size": 1,
        "input_shapes": {},
        "precision": "fp32",
        "runner": "timed",
        "engine_kind": "timed",
        "build_target": "any",
        "build_index": 0,
        "source_sha256": "0" * 64,
        "engine_sha256": "0" * 64,
        "engine_bytes": 0,
        **nothing,
    }
