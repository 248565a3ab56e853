"""From fused groups of operators to kernels: time, demands and footprint of each (docs/decisions/0011).

duration = max(SMs with idle tails, L2, memory) + ramp        demand = that resource's time / duration
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cotenant.models.model import OperatorCost, Precision
from cotenant.runners.simulated.device_schema import DeviceFile
from cotenant.runners.simulated.fusions import fused
from cotenant.runners.simulated.kernel_list import LIMITS, ONE, SPILL_MAX, KernelList, kernel_list
from cotenant.runners.simulated.tiles import Grid, matrix_grids, product_of, vector_grid

ELEMENT_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2}
# The hits of data that is read in turn vanish between 1 x and 1.25 x the cache: te42kyfo/gpu-benches, gpu-l2-cache, L40
# (from its rates: 26 % of the reads still hit at 1.12 x, 5 % at 1.23 x).
FADE_RATIO = 0.25


@dataclass(frozen=True)
class Residency:
    """What of an engine stays in the L2 cache from one execution to the next when it runs alone, back to back.

    Attributes:
        resident_bytes: Its weights and the activations of its largest group.
        hit_ratio: Part of the weights that is found there.
    """

    resident_bytes: int
    hit_ratio: float


@dataclass(frozen=True)
class Traffic:
    """Bytes of one kernel between L2 cache and memory.

    Attributes:
        dram_bytes: What it fetches from and leaves to memory when its engine runs alone.
        found_bytes: What it finds in the L2 cache instead.
        footprint_bytes: The part of the cache that this takes.
    """

    dram_bytes: float
    found_bytes: float
    footprint_bytes: int


def kernels_of(costs: Sequence[OperatorCost], device: DeviceFile, precision: Precision) -> KernelList:
    """Return the kernels of one execution, one for each group that is left once builders' fusions are made."""
    kept = fused(costs, precision)
    found = residency(kept, device)
    names: list[str] = []
    columns: dict[str, list[int]] = {column: [] for column in LIMITS}
    for cost in kept:
        traffic = traffic_of(cost, found, device)
        grid = autotuned(cost, traffic, device, precision)
        names.append(f"{cost.name} {grid.name}")
        for key, number in _kernel(grid, traffic, device).items():
            columns[key].append(number)
    return kernel_list(names, **columns)


def residency(costs: Sequence[OperatorCost], device: DeviceFile) -> Residency:
    """Return what stays in the L2 cache when these groups run in turn, again and again."""
    resident = sum(cost.weight_bytes for cost in costs) + max(map(_activation_bytes, costs), default=0)
    free = (1 + FADE_RATIO) * device.l2_bytes - resident
    return Residency(resident, min(1.0, max(0.0, free / (FADE_RATIO * device.l2_bytes))))


def traffic_of(cost: OperatorCost, found: Residency, device: DeviceFile) -> Traffic:
    """Return a kernel's traffic with memory: activations that the cache cannot hold, weights not found there."""
    activations = _activation_bytes(cost)
    passed = activations + cost.weight_bytes
    missed = min(activations, max(0, passed - device.l2_bytes))
    footprint = found.hit_ratio * found.resident_bytes + (1 - found.hit_ratio) * passed
    return Traffic(
        dram_bytes=missed + (1 - found.hit_ratio) * cost.weight_bytes,
        found_bytes=activations - missed + found.hit_ratio * cost.weight_bytes,
        footprint_bytes=min(device.l2_bytes, round(footprint)),
    )


def autotuned(cost: OperatorCost, traffic: Traffic, device: DeviceFile, precision: Precision) -> Grid:
    """Return the fastest cut of a group; the first of several that are as fast."""
    element_bytes = ELEMENT_BYTES[precision]
    if cost.mac_count == 0:
        return vector_grid(cost, device, element_bytes)
    grids = matrix_grids(product_of(cost, element_bytes), device, precision)
    return min(grids, key=lambda grid: _duration_ns(grid, traffic, device))


def _kernel(grid: Grid, traffic: Traffic, device: DeviceFile) -> dict[str, int]:
    duration = _duration_ns(grid, traffic, device)

    def share(time_ns: float) -> int:
        return min(ONE, round(ONE * time_ns / duration))

    dram_bytes_per_ns = device.dram_achieved_bytes_per_s / 1e9
    return {
        "gap_ns": device.launch_gap_ns,
        "duration_ns": duration,
        "sm": share(grid.sm_work_ns(device.sm_count)),
        "l2": share(_l2_ns(grid, device)),
        "dram": share(traffic.dram_bytes / dram_bytes_per_ns),
        "spill": min(SPILL_MAX, round(ONE * traffic.found_bytes / dram_bytes_per_ns / duration)),
        "footprint_bytes": traffic.footprint_bytes,
    }


def _duration_ns(grid: Grid, traffic: Traffic, device: DeviceFile) -> int:
    bounds = (
        grid.sm_ns(device.sm_count),
        _l2_ns(grid, device),
        traffic.dram_bytes / (device.dram_achieved_bytes_per_s / 1e9),
    )
    ramp_ns = grid.ramp_cycles * 1e3 / device.sm_clock_mhz
    return math.ceil(max(bounds) + ramp_ns) + (grid.launch_count - 1) * device.launch_gap_ns


def _l2_ns(grid: Grid, device: DeviceFile) -> float:
    return grid.l2_bytes / (device.l2_bytes_per_s * device.clock_ratio / 1e9)


def _activation_bytes(cost: OperatorCost) -> int:
    return cost.read_bytes - cost.weight_bytes + cost.write_bytes
