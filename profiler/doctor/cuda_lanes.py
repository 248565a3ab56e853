"""Whether CUDA lanes can be opened on each GPU, and the tick of its global timer, the error bar of process modes."""

from collections.abc import Callable, Iterator
from typing import Any

from cotenant.profiler.doctor.apart import NoAnswer, ask
from cotenant.profiler.doctor.check import Check
from cotenant.profiler.quality.nvml_reading import NvmlReading

PROBE = "cotenant.profiler.doctor.cuda_lanes_probe"
TIMEOUT_S = 30.0  # a first context and a compilation on each of eight GPUs
HIDDEN = "CUDA does not show it (CUDA_VISIBLE_DEVICES, MIG)"
REMEDY = "see what `nvidia-smi` says, and whether cuda-bindings fits the driver"


def checks(nvml: NvmlReading, probe: Callable[[], dict[str, Any]] | None = None) -> Iterator[Check]:
    """Tell each GPU's tick; nothing where NVML shows no GPU."""
    if not nvml.gpus:
        return
    try:
        facts = (probe or _ask)()
    except NoAnswer as error:
        facts = {"gpus": {}, "troubles": [str(error)]}
    for gpu in nvml.gpus:
        told = facts["gpus"].get(gpu.values.get("uuid"), {})
        yield _tick(f"gpu.{gpu.index}.globaltimer", told, facts["troubles"])


def _tick(name: str, told: dict[str, Any], troubles: list[str]) -> Check:
    if "tick_ns" in told:
        return Check(name, "ok", f"steps of {told['tick_ns']} ns: the error bar of stamps across processes")
    if "refused" in told:
        return Check(name, "unknown", f"not measured ({told['refused']})", REMEDY)
    what, _, remedy = "; ".join(troubles or [HIDDEN]).rpartition("; ")
    return Check(name, "unknown", f"not measured ({what or remedy})", remedy if what else REMEDY)


def _ask() -> dict[str, Any]:
    return ask(PROBE, timeout_s=TIMEOUT_S)
