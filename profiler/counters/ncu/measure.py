"""One engine under ncu: from the engine to its rows of `throughputs` and `kernels`, or one clear error."""

import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cotenant.profiler.counters.aggregate import throughputs_of
from cotenant.profiler.counters.metrics import DURATION, MetricSet
from cotenant.profiler.counters.ncu.cost import estimate_s
from cotenant.profiler.counters.ncu.errors import NoKernelsProfiled
from cotenant.profiler.counters.ncu.lock import counter_session
from cotenant.profiler.counters.ncu.options import NcuOptions
from cotenant.profiler.counters.ncu.program import examined
from cotenant.profiler.counters.ncu.reuse import Key, combined, doubtful, key_of, planned
from cotenant.profiler.counters.ncu.runs import Runs
from cotenant.profiler.counters.reports.report import Report, Workload
from cotenant.runners.protocol import Device, Engine

__all__ = ["Measured", "NcuOptions", "estimate_s", "measure"]

DEFAULTS = NcuOptions()


@dataclass(frozen=True)
class Measured:
    """What profiling one engine gave.

    Attributes:
        throughputs: Its row of `throughputs`, without engine, device and null columns of other sources.
        kernels: Its rows of `kernels`, without engine and device; [] where one range was profiled.
        seconds: What it took, waiting for other sessions not counted.
        notes: What people should know, one line each: why kernels were not reused, say.
        outcome: What the profiled program told: executions, and `wall_ns` of an execution under ncu but not profiled.
    """

    throughputs: dict[str, Any]
    kernels: list[dict[str, Any]]
    seconds: float
    notes: tuple[str, ...] = ()
    outcome: dict[str, Any] = field(default_factory=dict)


def measure(
    engine: Engine,
    runner_name: str,
    device: Device,
    counter_set: MetricSet,
    options: NcuOptions = DEFAULTS,
) -> Measured:
    """Profile one engine under ncu; no other tenant may run on the device, which is the caller's to see to.

    Raises:
        NcuFailed: One of its kinds (`ncu.errors`).
        ReportDamaged: The report is not whole.
        ReportImplausible: Its values cannot be what they are said to be.
    """
    program = examined(options.program)
    with counter_session(options.lock, options.wait_s, options.waiting):
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="cotenant-ncu-", ignore_cleanup_errors=True) as folder:
            runs = Runs(program, engine, runner_name, device, counter_set, options, Path(folder))
            notes: list[str] = []
            rows = None
            if options.reuse_kernels and counter_set.replay_mode == "kernel":
                rows = _reused(runs, notes)
            if rows is None:
                rows = throughputs_of(runs.full(), counter_set)
        return Measured(*rows, time.monotonic() - began_s, tuple(notes), runs.outcome)


def _reused(runs: Runs, notes: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Return rows of which some carry another kernel's measurement; None, and a note, if that cannot be trusted."""
    first = runs.report((DURATION,))
    why = doubtful(first.workloads)
    plan = planned(first.workloads) if why is None else why
    if isinstance(plan, str):
        notes.append(f"every kernel was replayed: {plan}")
        return None
    measured: dict[Key, Workload] = {}
    passes: list[int] = []
    for selection in plan:
        with suppress(NoKernelsProfiled):  # this ncu knows its kernels by other names; told below
            report = runs.report(runs.metrics, selection)
            passes += [] if report.passes is None else [report.passes]
            measured = {**{key_of(kernel): kernel for kernel in reversed(report.workloads)}, **measured}
    whole = combined(first.workloads, measured)
    if whole is None:
        notes.append("every kernel was replayed: ncu did not profile one kernel of each kind when asked to")
        return None
    kernels, sources = whole
    durations_ns = [kernel.metrics[DURATION] for kernel in kernels]
    joined = Report(kernels, first.profiler_version, max(passes, default=None))
    return throughputs_of(joined, runs.counter_set, durations_ns, sources)
