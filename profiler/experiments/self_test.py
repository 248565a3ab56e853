"""Co-residency self-test: do two `half` loads together take as long as one, or twice as long?

concurrent    lane 0 |--half--|          makespan 1x
              lane 1 |--half--|
time-sliced   lane 0 |-h-| |-a-| |-l-|   makespan 2x
              lane 1     |-h-| |-a-| |-l-|

The shortest makespan of several decides, of the loads alone and together: whatever else the machine does only adds
time, and lanes that take turns are never done in one.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from pydantic import Field

from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.blocks import hang_ns
from cotenant.profiler.experiments.closed_loop import run_burst
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec
from cotenant.profiler.experiments.record import Record
from cotenant.runners.protocol import Engine, Lane

HALF_PROBE = "probe:half:100"  # at least 100 ms of half the device (design section 4)
REPEATS = 5


class SelfTestSpec(ExperimentSpec):
    """Keys of `kind: self_test`."""

    repeats: int = Field(default=REPEATS, ge=1, le=100)


def cells(spec: SelfTestSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell for all lanes; with one lane there is nothing to test."""
    if len(lanes) < 2:
        return []
    probe = EngineKey(HALF_PROBE, 1, "fp32")
    return [Cell("self_test", (probe,) * len(lanes), 0, spec.condition, {"repeats": spec.repeats})]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Time every pair of lanes together against each alone; the worst pair decides."""
    tenants = bench.place(engines)
    record = Record(tenants)
    worst = (0.0, 0, 0)
    for pair in combinations(tenants, 2):
        alone, together = [], []
        for _ in range(int(cell.options["repeats"])):
            alone.append(max(_makespan_ns(bench, record, [tenant]) for tenant in pair))
            together.append(_makespan_ns(bench, record, pair))
        worst = max(worst, (min(together) / min(alone), min(alone), min(together)))
    record.self_test = {
        "passed": worst[0] < bench.quality.self_test_max_ratio,
        "makespan_ratio": worst[0],
        "solo_ns": worst[1],
        "together_ns": worst[2],
    }
    return record


def _makespan_ns(bench: Bench, record: Record, tenants: Sequence[Tenant]) -> int:
    run = run_burst(bench.session, tenants, hang_ns(bench))
    record.add_block(run, arm="self_test", role="canary")
    return max(s.done.end_ns for s in run.samples) - min(s.done.start_ns for s in run.samples)


def seconds(cell: Cell, spans_s: Sequence[float], quality: Any) -> float:
    """Expected seconds, taken at the probe's shortest length."""
    pairs = len(cell.tenants) * (len(cell.tenants) - 1) // 2
    return pairs * int(cell.options["repeats"]) * 4 * 0.1


EXPERIMENT = ExperimentKind("self_test", SelfTestSpec, cells, run, seconds)
