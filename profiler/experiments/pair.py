"""Closed-loop pair: two tenants side by side against each of them alone, in ABBA quads."""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
from pydantic import Field

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec
from cotenant.profiler.experiments.quads import block_seconds, co_run_arm, run_quads, solo_arm
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine


class PairSpec(ExperimentSpec):
    """Keys of `kind: pair`: all unordered pairs, self-pairs included, or a list of labels such as [a@1, b@2]."""

    pairs: Literal["all"] | tuple[tuple[str, str], ...] = "all"
    self_pairs: bool = True
    repeats: int = Field(default=1, ge=1, le=10_000)


def cells(spec: PairSpec, engines: Sequence[EngineKey], lanes: int) -> list[Cell]:
    """One cell per unordered pair and repeat."""
    if lanes < 2:
        raise UserError("experiment `pair` needs at least 2 lanes; raise `lanes`")
    chosen = _all_pairs(spec, engines) if spec.pairs == "all" else _listed_pairs(spec.pairs, engines)
    return [Cell("pair", pair, repeat, spec.condition) for pair in chosen for repeat in range(spec.repeats)]


def _all_pairs(spec: PairSpec, engines: Sequence[EngineKey]) -> list[tuple[EngineKey, ...]]:
    pairs = combinations_with_replacement(engines, 2)
    return [pair for pair in pairs if spec.self_pairs or pair[0] != pair[1]]


def _listed_pairs(pairs: Sequence[tuple[str, str]], engines: Sequence[EngineKey]) -> list[tuple[EngineKey, ...]]:
    by_label = {key.label: key for key in engines}
    for label in (label for pair in pairs for label in pair):
        if label not in by_label:
            raise UserError(f"`pairs` names {label!r}, which `engines` does not make; it makes: {', '.join(by_label)}")
    return [(by_label[first], by_label[second]) for first, second in pairs]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run quads of solo and co-run blocks until both slowdowns are known well enough."""
    tenants = bench.place(engines)
    record = Record(tenants)
    run_quads(bench, record, solo_arm(bench, record, tenants, rng), co_run_arm(bench, record, tenants, rng), rng)
    return record


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds at the last look: quads of two co-run blocks and two solo blocks a tenant."""
    alone_s = sum(block_seconds([span_s], quality) for span_s in spans_s)
    return quality.look_quads[-1] * 2 * (block_seconds(spans_s, quality) + alone_s)


EXPERIMENT = ExperimentKind("pair", PairSpec, cells, run, seconds)
