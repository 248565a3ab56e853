"""Closed-loop pair: two tenants side by side against each of them alone, in ABBA quads."""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
from pydantic import Field

from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec, by_label, need_lanes
from cotenant.profiler.experiments.quads import beside_seconds, run_beside
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane


class PairSpec(ExperimentSpec):
    """Keys of `kind: pair`: all unordered pairs, self-pairs included, or a list of labels such as [a@1, b@2]."""

    pairs: Literal["all"] | tuple[tuple[str, str], ...] = "all"
    self_pairs: bool = True
    repeats: int = Field(default=1, ge=1, le=10_000)


def cells(spec: PairSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per unordered pair and repeat."""
    need_lanes(spec.kind, len(lanes))
    pairs = all_pairs(engines, spec.self_pairs) if spec.pairs == "all" else by_label(spec.pairs, engines, "pairs")
    return [Cell("pair", pair, repeat, spec.condition) for pair in pairs for repeat in range(spec.repeats)]


def all_pairs(engines: Sequence[EngineKey], self_pairs: bool) -> list[tuple[EngineKey, ...]]:
    """Return all unordered pairs."""
    pairs = combinations_with_replacement(engines, 2)
    return [pair for pair in pairs if self_pairs or pair[0] != pair[1]]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run quads of solo and co-run blocks until both slowdowns are known well enough."""
    return run_beside(bench, bench.place(engines), rng)


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds at the last look."""
    return beside_seconds(spans_s, quality)


EXPERIMENT = ExperimentKind("pair", PairSpec, cells, run, seconds)
