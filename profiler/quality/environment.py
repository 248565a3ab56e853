"""What of a snapshot is a setting: words for the provenance, as found and never changed by us."""

from collections.abc import Callable
from typing import Any

from cotenant.profiler.quality.source import Snapshot

COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}  # nvmlComputeMode_t
VIRTUALIZATION = {  # nvmlGpuVirtualizationMode_t
    0: "none",
    1: "passed through",
    2: "virtual GPU",
    3: "host of virtual GPUs",
    4: "host of virtual GPUs",
}
SWITCH = {0: "off", 1: "on"}


def _named(names: dict[int, str]) -> Callable[[Any], str]:
    return lambda value: names.get(value, f"unnamed ({value})")


def _width(unit: str, scale: float = 1.0) -> Callable[[Any], str]:
    return lambda value: f"{value * scale:g} {unit}".strip()


SETTINGS: dict[str, tuple[str, Callable[[Any], str]]] = {  # getter -> name in the provenance, words
    "driver_version": ("driver", str),
    "vbios_version": ("vbios", str),
    "ecc_mode": ("ecc", _named(SWITCH)),
    "mig_mode": ("mig", _named(SWITCH)),
    "mps_pids": ("mps", lambda pids: f"{len(pids)} clients" if pids else "no clients"),
    "compute_mode": ("compute_mode", _named(COMPUTE_MODES)),
    "persistence_mode": ("persistence", _named(SWITCH)),
    "virtualization_mode": ("virtualization", _named(VIRTUALIZATION)),
    "power_limit_mw": ("power_limit", _width("W", 1e-3)),
    "sm_clock_max_mhz": ("sm_clock_max", _width("MHz")),
    "pcie_generation_max": ("pcie_generation_max", str),
    "pcie_lane_count_max": ("pcie_lane_count_max", str),
    "kernel": ("kernel", str),
    "governor": ("governor", str),
    "quota_cores": ("quota_cores", _width("")),
    "container": ("container", lambda inside: "yes" if inside else "not seen"),
}


def environment(snapshot: Snapshot) -> dict[str, str]:
    """Return every setting that was asked for; what refused is `unknown` with the reason."""
    found: dict[str, str] = {}
    for getter, (name, words) in SETTINGS.items():
        if getter in snapshot.values:
            found[name] = words(snapshot.values[getter])
        elif getter in snapshot.refused:
            found[name] = f"unknown: {snapshot.refused[getter]}"
    return found
