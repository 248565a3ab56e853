"""Null co-location: the second tenant is loaded and idle, so the first one's slowdown must be 1.00.

    one quad  |unload|solo|load|null|null|unload|solo|

While the idle tenant comes or goes, the active lane waits and cools down. Loading takes longer than unloading, so
without the lead-in of every block (`closed_loop.py`) that would count as a slowdown of the null arm.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.blocks import block_seconds, run_block
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec, need_lanes
from cotenant.profiler.experiments.quads import Arm, run_quads
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane


class NullSpec(ExperimentSpec):
    """Keys of `kind: "null"`: how many nulls, spread over the engines in turn."""

    count: int = Field(default=3, ge=1, le=10_000)


def cells(spec: NullSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """Each null takes the next engine, with the one after it as the idle tenant."""
    need_lanes(spec.kind, len(lanes))
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
        moved = bench.holds(idle.lane, idle.engine) != wanted
        if moved:
            (bench.load if wanted else bench.drop)(idle.lane, idle.engine)
        record.add_block(run_block(bench, record, [active], [0], moved), arm=name, role=name, quad_index=quad_index)

    return measure


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds at the last look: four blocks a quad, two of them after the idle tenant has come or gone."""
    blocks_s = sum(block_seconds([spans_s[0]], quality, settled) for settled in (True, True, False, False))
    return quality.look_quads[-1] * (blocks_s + LOAD_S)


LOAD_S = 0.2  # an engine of tens of MB on a CPU lane; only for the estimate
EXPERIMENT = ExperimentKind("null", NullSpec, cells, run, seconds)
