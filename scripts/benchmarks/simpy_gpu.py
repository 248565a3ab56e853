"""The simulated GPU's law for `streams` as one writes it in SimPy: a process per lane, interrupted when rates change.

Integers and rounding are those of docs/decisions/0010, so that stamps can be compared to the ns.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

ONE = 2**20


@dataclass(frozen=True)
class Kernel:
    """One of a list; `sm`, `l2`, `dram`, `spill` in units of `ONE`."""

    gap_ns: int
    duration_ns: int
    sm: int
    l2: int
    dram: int
    spill: int
    footprint_bytes: int


def fair(demands: Sequence[int], capacity: int) -> list[int]:
    """Max-min fair shares in whole units."""
    granted = [0] * len(demands)
    waiting = sorted(range(len(demands)), key=demands.__getitem__)
    for position, i in enumerate(waiting):
        n = len(demands) - position
        if demands[i] * n > capacity:
            for j in waiting[position:]:
                granted[j] = capacity // n
            break
        granted[i] = demands[i]
        capacity -= demands[i]
    return granted


def rates_beside(kernels: Sequence[Kernel], l2_bytes: int) -> list[int]:
    """Rates of kernels that share the device."""
    kept = fair([kernel.footprint_bytes for kernel in kernels], l2_bytes)
    demands = (
        [kernel.sm for kernel in kernels],
        [kernel.l2 for kernel in kernels],
        [
            k.dram + k.spill * (k.footprint_bytes - c) // (k.footprint_bytes or 1)
            for k, c in zip(kernels, kept, strict=True)
        ],
    )
    rates = [ONE] * len(kernels)
    for wanted in demands:
        for i, (got, demand) in enumerate(zip(fair(wanted, ONE), wanted, strict=True)):
            if demand:
                rates[i] = max(1, min(rates[i], ONE * got // demand))
    return rates


@dataclass
class Gpu:
    """What lanes share; `stamps[lane]` holds (start_ns, end_ns) of each execution."""

    env: Any
    l2_bytes: int
    kernels: dict[int, Kernel] = field(default_factory=dict)
    rates: dict[int, int] = field(default_factory=dict)
    processes: dict[int, Any] = field(default_factory=dict)
    stamps: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    kernel_events: int = 0
    rate_changes: int = 0

    def enter(self, lane: int, kernel: Kernel | None) -> None:
        """Put a lane into a kernel, or out of any (None), and interrupt whoever has another rate from now on."""
        if kernel is None:
            self.kernels.pop(lane, None)
        else:
            self.kernels[lane] = kernel
        found = dict(zip(self.kernels, rates_beside(list(self.kernels.values()), self.l2_bytes), strict=True))
        before, self.rates = self.rates, found
        for other in found:
            if other != lane and before[other] != found[other]:
                self.processes[other].interrupt()

    def run_phase(self, lane: int, kernel: Kernel | None, units: int) -> Generator[Any, None, int]:
        """Go through a phase and return by how much its last ns was too long."""
        self.enter(lane, kernel)
        while units > 0:
            rate, since = self.rates.get(lane, ONE), self.env.now
            try:
                yield self.env.timeout(-(-units // rate))
            except simpy.Interrupt:
                self.rate_changes += 1
            units -= rate * (self.env.now - since)
        return -units

    def run_lane(self, lane: int, executions: Sequence[tuple[Sequence[Kernel], int]]) -> Generator[Any, None, None]:
        """Run (kernel list, noise factor) back to back."""
        stamps = self.stamps[lane] = []
        for engine, factor in executions:
            start_ns, beyond = self.env.now, 0
            listed = [(phase, ns) for k in engine for phase, ns in ((None, k.gap_ns), (k, k.duration_ns)) if ns]
            for kernel, ns in listed or [(None, 1)]:
                if ns * factor <= beyond:
                    beyond -= ns * factor
                else:
                    beyond = yield from self.run_phase(lane, kernel, ns * factor - beyond)
                self.kernel_events += kernel is not None
            stamps.append((start_ns, self.env.now))
        self.enter(lane, None)


def run(lanes: Sequence[Sequence[tuple[Sequence[Kernel], int]]], l2_bytes: int) -> Gpu:
    """Run every lane's executions to their end, all from 0."""
    gpu = Gpu(simpy.Environment(initial_time=0), l2_bytes)
    for lane, executions in enumerate(lanes):
        gpu.processes[lane] = gpu.env.process(gpu.run_lane(lane, executions))
    gpu.env.run()
    return gpu
