"""Null co-location: the second tenant is loaded and idle, so the first one's slowdown must be 1.00.

    one quad  |unload|lead-in|solo|load|lead-in|null|null|unload|lead-in|solo|

While the idle tenant comes or goes, the active lane waits and cools down: its next few executions take up to 1.4 times
as long (median 1.41, 1.36, 1.16, 1.03, 1.01 for the first five after a load on a shared 2-core CPU). Loading takes
longer than unloading, so without a lead-in that would count as a slowdown of the null arm.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.closed_loop import run_for
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec
from cotenant.profiler.experiments.quads import Arm, block_ns, hang_ns, run_quads
from cotenant.profiler.experiments.record import Record
from cotenant.runners.protocol import Engine

LEAD_IN_NS = 50_000_000  # executions of 2 ms to 5 ms were at their usual length after eight


class NullSpec(ExperimentSpec):
    """Keys of `kind: "null"`: how many nulls, spread over the engines in turn."""

    count: int = Field(default=3, ge=1, le=10_000)


def cells(spec: NullSpec, engines: Sequence[EngineKey], lanes: int) -> list[Cell]:
    """Each null takes the next engine, with the one after it as the idle tenant."""
    if lanes < 2:
        raise UserError('experiment `"null"` needs at least 2 lanes; raise `lanes`')
    ring = [(engines[index], engines[(index + 1) % len(engines)]) for index in range(len(engines))]
    return [Cell("null", ring[i % len(ring)], i // len(ring), spec.condition) for i in range(spec.count)]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run quads of blocks with the idle tenant off its lane and on it."""
    active, idle = bench.place(engines)
    record = Record([active, idle])
    alone = _arm(bench, record, active, idle, "solo")
    beside = _arm(bench, record, active, idle, "null")
    run_quads(bench, record, alone, beside, rng)
    return record


def _arm(bench: Bench, record: Record, active: Tenant, idle: Tenant, name: str) -> Arm:
    wanted = name == "null"

    def measure(quad_index: int) -> None:
        if bench.holds(idle.lane, idle.engine) != wanted:
            (bench.load if wanted else bench.drop)(idle.lane, idle.engine)
            lead_in = run_for(bench.session, [active], LEAD_IN_NS, [0], hang_ns(bench))
            record.add_block(lead_in, arm="lead_in", role="warmup")
        samples = run_for(bench.session, [active], block_ns(bench, [active]), [0], hang_ns(bench))
        record.add_block(samples, arm=name, role=name, quad_index=quad_index)

    return measure


def seconds(cell: Cell, spans_s: Sequence[float], quality: Any) -> float:
    """Expected seconds: four blocks a quad at the last look, and one load a quad."""
    block = max(quality.block_s, quality.block_executions_min * spans_s[0])
    return float(quality.look_quads[-1] * (4 * block + 2 * LEAD_IN_NS / 1e9 + LOAD_S))


LOAD_S = 0.2  # an engine of tens of MB on a CPU lane; only for the estimate
EXPERIMENT = ExperimentKind("null", NullSpec, cells, run, seconds)
