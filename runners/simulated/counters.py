"""Counters of the simulated device: what a profiler would read of each kernel, straight from the kernel list.

`sm_pct` is the time that SMs have blocks, over all SMs: no less than the pipe utilisation that Nsight Compute calls SM
throughput. `dram_pct` is of the data sheet's bandwidth, so a kernel that memory alone holds up shows less than 100.
`gpu_utilization_pct` is the part of the time in which any kernel runs, execution after execution: what nvidia-smi would
show, next to 100 whatever the kernels ask for. `wall_ns` is from the first kernel's start to the last one's end.
"""

import math
from collections.abc import Sequence
from typing import Any

from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Counters, Engine
from cotenant.runners.simulated.device_schema import DeviceFile
from cotenant.runners.simulated.kernel_list import ONE, KernelList, Numbers, read_kernels

SOURCE = "simulated"
PERCENTAGES = ("sm_pct", "l2_pct", "dram_pct", "memory_pct")


def counters_of(engine: Engine) -> Counters:
    """Return the counters of an engine on the device that it was built for; EntryDamaged if its files are not whole."""
    kernels = read_kernels(engine.folder)
    device = DeviceFile.model_validate(read_meta(engine.folder)["device"])
    return Counters(throughputs(kernels, device), kernel_table(kernels, device))


def kernel_table(kernels: KernelList, device: DeviceFile) -> list[dict[str, Any]]:
    """Return the rows of the table `kernels` of one engine, in order, without its id."""
    columns = [numbers.tolist() for numbers in (kernels.duration_ns, kernels.sm, kernels.l2, kernels.dram)]
    return [
        {"kernel_index": index, "name": name, "duration_ns": duration_ns, **_percentages(demands, device)}
        for index, (name, duration_ns, *demands) in enumerate(zip(kernels.names, *columns, strict=True))
    ]


def throughputs(kernels: KernelList, device: DeviceFile) -> dict[str, Any]:
    """Return the row of the table `throughputs` of one engine, without the ids: means over kernels by duration."""
    rows = kernel_table(kernels, device)
    busy_ns = sum(row["duration_ns"] for row in rows)
    gaps_ns = sum(kernels.gap_ns.tolist())
    return {
        "counter_source": SOURCE,
        "counter_set": SOURCE,
        "aggregation": "kernel_wmean",
        **{name: _mean_pct(rows, name, busy_ns) for name in PERCENTAGES},
        "gpu_utilization_pct": 100 * busy_ns / (busy_ns + gaps_ns) if busy_ns else None,
        "l2_moved_bytes": _moved_bytes(kernels.l2, kernels, device.l2_bytes_per_s * device.clock_ratio),
        "dram_moved_bytes": _moved_bytes(kernels.dram, kernels, device.dram_achieved_bytes_per_s),
        "busy_ns": busy_ns,
        "wall_ns": busy_ns + gaps_ns - int(kernels.gap_ns[0]) if len(kernels) else 0,
        "kernel_count": len(kernels),
        "replayed_kernel_count": len(kernels),
        "sm_clock_mhz": float(device.sm_clock_mhz),
        "memory_clock_mhz": float(device.memory_clock_mhz),
    }


def _percentages(demands: Sequence[int], device: DeviceFile) -> dict[str, float]:
    """Return a kernel's percentages; `memory_pct` is the larger of its two memory throughputs."""
    sm, l2, dram = (100 * demand / ONE for demand in demands)
    dram *= device.dram_achieved_ratio
    return dict(zip(PERCENTAGES, (sm, l2, dram, max(l2, dram)), strict=True))


def _moved_bytes(demand: Numbers, kernels: KernelList, bytes_per_s: float) -> int:
    """Return the bytes of one execution; at full demand a resource moves so many bytes per second."""
    full_ns = sum(part * duration for part, duration in zip(demand.tolist(), kernels.duration_ns.tolist(), strict=True))
    return round(float(full_ns / ONE * bytes_per_s / 1e9))


def _mean_pct(rows: Sequence[dict[str, Any]], name: str, busy_ns: int) -> float | None:
    """Return the mean over kernels by duration; None without kernels."""
    return math.fsum(row[name] * row["duration_ns"] for row in rows) / busy_ns if busy_ns else None
