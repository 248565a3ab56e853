"""Offset sweep: tenant b begins at a chosen fraction of a's span, so that they overlap by a planned part.

offset 0.00  |---a---|      0.50  |---a---|         1.00  |---a---|
             |---b---|                |---b---|                   |---b---|
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.bursts import burst_seconds, run_burst_quads
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec, by_label, need_lanes
from cotenant.profiler.experiments.pair import all_pairs
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane

OFFSETS = (0.0, 0.25, 0.5, 0.75, 1.0)


class OffsetSweepSpec(ExperimentSpec):
    """Keys of `kind: offset_sweep`: ordered pairs [first, later], and offsets in parts of the first one's span."""

    pairs: Literal["all"] | tuple[tuple[str, str], ...] = "all"
    self_pairs: bool = True
    offsets: tuple[float, ...] = Field(default=OFFSETS, min_length=1)
    repeats: int = Field(default=1, ge=1, le=10_000)


def cells(spec: OffsetSweepSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per pair, offset and repeat."""
    need_lanes(spec.kind, len(lanes))
    if any(not 0 <= offset <= 2 for offset in spec.offsets):
        raise UserError("`offsets` of `kind: offset_sweep` are parts of the first tenant's span, from 0 to 2")
    pairs = all_pairs(engines, spec.self_pairs) if spec.pairs == "all" else by_label(spec.pairs, engines, "pairs")
    return [
        Cell("offset_sweep", pair, repeat, spec.condition, {"offset_ratio": offset})
        for pair in pairs
        for offset in spec.offsets
        for repeat in range(spec.repeats)
    ]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run quads of bursts of each alone and of both at the planned offset."""
    tenants = bench.place(engines)
    offset_ns = round(float(cell.options["offset_ratio"]) * tenants[0].span_ns)
    return run_burst_quads(bench, tenants, [0, offset_ns], rng)


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds at the last look."""
    return burst_seconds(spans_s, quality)


EXPERIMENT = ExperimentKind("offset_sweep", OffsetSweepSpec, cells, run, seconds)
