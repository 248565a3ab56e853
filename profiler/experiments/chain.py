"""Chain: executions overlap like links, a short overlap and then a long one with another batch (the paper's Figure 4).

    lane 0  |------a------|--------c--------|
    lane 1             |--------b--------|

With k lanes, tenants a, b ... on lanes 0 to k - 1 begin one after the other, each when the one before has `overlap` of
its span left, and one more follows on lane 0 as soon as a has ended.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

import numpy as np
from pydantic import Field

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.bursts import burst_seconds, run_burst_quads
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec, by_label, need_lanes
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane

SHORT_OVERLAP = 0.2


class ChainSpec(ExperimentSpec):
    """Keys of `kind: chain`: lists of labels, one longer than there are lanes; by default the engines in turn."""

    chains: Literal["all"] | tuple[tuple[str, ...], ...] = "all"
    overlap: float = Field(default=SHORT_OVERLAP, gt=0, lt=1)
    repeats: int = Field(default=1, ge=1, le=10_000)


def cells(spec: ChainSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per chain and repeat."""
    need_lanes(spec.kind, len(lanes))
    links = len(lanes) + 1
    if spec.chains == "all":
        chains = [tuple(engines[(first + i) % len(engines)] for i in range(links)) for first in range(len(engines))]
    else:
        if any(len(chain) != links for chain in spec.chains):
            raise UserError(
                f"`chains` with {len(lanes)} lanes have {links} tenants each: one a lane, and one that follows"
            )
        chains = by_label(spec.chains, engines, "chains")
    options = {"overlap_ratio": spec.overlap}
    return [Cell("chain", chain, repeat, spec.condition, options) for chain in chains for repeat in range(spec.repeats)]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run quads of bursts of each link alone and of the whole chain."""
    lanes = len(engines) - 1
    tenants = bench.place(engines, [*range(lanes), 0])
    steps_ns = [round((1 - float(cell.options["overlap_ratio"])) * tenant.span_ns) for tenant in tenants[: lanes - 1]]
    delays_ns = [0, *accumulate(steps_ns), 0]
    return run_burst_quads(bench, tenants, delays_ns, rng)


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds at the last look."""
    return burst_seconds(spans_s, quality)


EXPERIMENT = ExperimentKind("chain", ChainSpec, cells, run, seconds)
