"""Closed-loop set: k tenants side by side against each of them alone, in ABBA quads; a pair is a set of two."""

import random
from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec, by_label, need_lanes
from cotenant.profiler.experiments.quads import beside_seconds, run_beside
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane


class RandomSets(BaseModel):
    """So many different sets of each size, drawn from a seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=1, le=100_000)
    seed: int = Field(default=0, ge=0)


class SetSpec(ExperimentSpec):
    """Keys of `kind: set`: all sets of the given sizes, some at random, or a list of lists of labels."""

    sets: Literal["all"] | RandomSets | tuple[tuple[str, ...], ...] = "all"
    sizes: tuple[int, ...] = Field(default=(3,), min_length=1)
    repeated: bool = True  # whether one engine may be in a set more than once
    repeats: int = Field(default=1, ge=1, le=10_000)


def cells(spec: SetSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per unordered set and repeat; every tenant has a lane of its own."""
    chosen = _listed(spec.sets, engines) if isinstance(spec.sets, tuple) else _made(spec, engines)
    need_lanes(spec.kind, len(lanes), max(map(len, chosen), default=2))
    return [Cell("set", group, repeat, spec.condition) for group in chosen for repeat in range(spec.repeats)]


def _listed(sets: Sequence[Sequence[str]], engines: Sequence[EngineKey]) -> list[tuple[EngineKey, ...]]:
    if any(len(group) < 2 for group in sets):
        raise UserError("`sets` has a set of fewer than 2 tenants; `kind: solo` measures one alone")
    return by_label(sets, engines, "sets")


def _made(spec: SetSpec, engines: Sequence[EngineKey]) -> list[tuple[EngineKey, ...]]:
    if any(size < 2 for size in spec.sizes):
        raise UserError("`sizes` of `kind: set` are whole numbers from 2; `kind: solo` measures one alone")
    draw = combinations_with_replacement if spec.repeated else combinations
    found: list[tuple[EngineKey, ...]] = []
    for size in spec.sizes:
        every = list(draw(engines, size))
        if isinstance(spec.sets, RandomSets) and spec.sets.count < len(every):
            every = sorted(random.Random(f"{spec.sets.seed}/{size}").sample(every, spec.sets.count))
        found += every
    if not found:
        raise UserError(f"`kind: set` finds no set of {spec.sizes} among {len(engines)} engines; allow `repeated`")
    return found


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run quads of each tenant alone and all together until every slowdown is known well enough."""
    return run_beside(bench, bench.place(engines), rng)


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds at the last look."""
    return beside_seconds(spans_s, quality)


EXPERIMENT = ExperimentKind("set", SetSpec, cells, run, seconds)
