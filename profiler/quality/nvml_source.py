"""One GPU as NVML tells it while we measure; picked by UUID, because under CUDA_VISIBLE_DEVICES an index means another.

In-process and never nvidia-smi, whose polling causes latency spikes (NVIDIA/TensorRT issue 3090).
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cotenant.profiler.quality.container import ROOT, in_container
from cotenant.profiler.quality.failure import failure
from cotenant.profiler.quality.nvml import Nvml
from cotenant.profiler.quality.nvml_reading import GETTERS, text, tried
from cotenant.profiler.quality.own_processes import foreign, own_pids
from cotenant.profiler.quality.source import Snapshot, SourceFailed

IN_SAMPLES = (
    "sm_clock_mhz",
    "memory_clock_mhz",
    "power_mw",
    "power_limit_mw",
    "temperature_c",
    "temperature_margin_c",
    "throttle_mask",
    "utilization_pct",
)
NAMESPACE = "inside a container the driver's list shows other pids than ours, or none"


class NvmlSource:
    """Asks one GPU; `Nvml` errors become reasons."""

    name = "nvml"

    def __init__(self, nvml: Nvml, uuid: str, root: Path = ROOT, own: Callable[[], set[int]] = own_pids) -> None:
        """Attach to the driver; raises what NVML raises where the GPU cannot be asked at all."""
        self._nvml = nvml
        self._root = root
        self._own = own
        self._mine: set[int] = set()
        nvml.nvmlInit()
        try:
            self._gpu = nvml.nvmlDeviceGetHandleByUUID(uuid)
        except BaseException:
            nvml.nvmlShutdown()
            raise
        self.uuid = uuid
        self._lacking: set[str] = set()  # what refused at the start of an experiment is not asked again in it
        self._begun = False

    def begin(self) -> None:
        """Ask every getter anew, and look who is ours."""
        self._begun = False
        self._lacking = set()
        self._mine = self._own()

    def close(self) -> None:
        """Detach from the driver."""
        tried({}, "shutdown", self._nvml.nvmlShutdown)

    def snapshot(self) -> Snapshot:
        """Ask everything, with what each getter cost."""
        snapshot = Snapshot()
        self._mine = self._own()
        asked: dict[str, Callable[[], Any]] = {
            "driver_version": lambda: text(self._nvml.nvmlSystemGetDriverVersion()),
            **{name: self._getter(name) for name in GETTERS},
        }
        for name, call in asked.items():
            began_ns = time.perf_counter_ns()
            value = tried(snapshot.refused, name, call)
            snapshot.cost_ns[name] = time.perf_counter_ns() - began_ns
            if name not in snapshot.refused:
                snapshot.values[name] = value
        strangers = self.strangers()
        if isinstance(strangers, str):
            snapshot.refused["foreign_process_count"] = strangers
        else:
            snapshot.values["foreign_process_count"] = len(strangers)
            snapshot.values["foreign_pids"] = sorted(strangers)
        return snapshot

    def strangers(self) -> set[int] | str:
        """Return the pids of others that compute on this GPU, or why they cannot be told."""
        listed: set[int] = set()
        refused: dict[str, str] = {}
        for name in ("compute_pids", "mps_pids"):
            listed.update(tried(refused, name, self._getter(name)) or ())
        if "compute_pids" in refused:
            return refused["compute_pids"]
        if listed - self._mine:
            self._mine |= self._own()  # a lane may have come since
        if in_container(self._root) and not listed & self._mine:
            return NAMESPACE
        return foreign(listed, self._mine)

    def sample(self) -> dict[str, Any]:
        """Ask the few getters of telemetry."""
        refused: dict[str, str] = {}
        asked = [name for name in IN_SAMPLES if name not in self._lacking]
        answers = {name: tried(refused, name, self._getter(name)) for name in asked}
        if not self._begun:
            self._lacking, self._begun = set(refused), True
        elif asked and len(refused) == len(asked):
            raise SourceFailed(next(iter(refused.values())))
        strangers = self.strangers()
        if not isinstance(strangers, str):
            answers["foreign_process_count"] = len(strangers)
        return answers

    def _getter(self, name: str) -> Callable[[], Any]:
        return partial(GETTERS[name], self._nvml, self._gpu)


def open_nvml(uuid: str) -> NvmlSource | str:
    """Return the source of a GPU of this machine, or why it cannot be asked."""
    try:
        import pynvml

        return NvmlSource(pynvml, uuid)
    except Exception as error:
        return failure(error)
