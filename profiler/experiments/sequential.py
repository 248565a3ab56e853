"""Sequential: the same tenants one at a time in turns, nobody beside anybody.

    lane 0  |--a--|           |--a--|           |--a--|
    lane 1        |----b----|       |----b----|

What one leaves in caches another finds there: this is the solo profile `interleaved`, which slowdowns of serving
refer to.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.blocks import block_lead_in, hang_ns
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec, by_label
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.experiments.turns import run_turns
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane

PROFILE_BLOCKS = 8  # as of a solo profile: 8 x 32 = 256 executions of each
ROUNDS = 32


class SequentialSpec(ExperimentSpec):
    """Keys of `kind: sequential`: lists of labels that take turns; all engines together by default."""

    sets: Literal["all"] | tuple[tuple[str, ...], ...] = "all"
    repeats: int = Field(default=PROFILE_BLOCKS, ge=1, le=10_000)
    rounds: int = Field(default=ROUNDS, ge=2, le=1_000_000)


def cells(spec: SequentialSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per set and repeat; repeats move every tenant on by one lane."""
    sets = [tuple(engines)] if spec.sets == "all" else by_label(spec.sets, engines, "sets")
    if any(not group for group in sets):
        raise UserError("`sets` of `kind: sequential` has an empty set")
    return [turns(group, repeat, len(lanes), spec) for group in sets for repeat in range(spec.repeats)]


def turns(group: tuple[EngineKey, ...], repeat: int, lanes: int, spec: SequentialSpec) -> Cell:
    """Return the cell in which these engines take turns."""
    placed = [(place + repeat) % lanes for place in range(len(group))]
    return Cell("sequential", group, repeat, spec.condition, {"lanes": placed, "rounds": spec.rounds})


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run one block of rounds; the order within each round is drawn from the seed."""
    tenants = bench.place(engines, [int(lane) for lane in cell.options["lanes"]])
    record = Record(tenants)
    lead_in = block_lead_in(bench.quality, settled=False)
    found = run_turns(bench.session, tenants, lead_in, int(cell.options["rounds"]), hang_ns(bench), rng)
    record.add_block(found, arm="sequential", role="solo")
    return record


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds of one cell."""
    lead_in = block_lead_in(quality, settled=False)
    return max(lead_in.least_ns / 1e9, lead_in.executions * sum(spans_s)) + int(cell.options["rounds"]) * sum(spans_s)


EXPERIMENT = ExperimentKind("sequential", SequentialSpec, cells, run, seconds)
