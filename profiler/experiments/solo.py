"""Solo profile: one engine back to back while every other lane is idle; repeats spread over the campaign."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.closed_loop import run_count
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec
from cotenant.profiler.experiments.lead_in import AFTER_LOAD, lead_in, lead_in_ns
from cotenant.profiler.experiments.record import Record
from cotenant.runners.protocol import Engine

PROFILE_BLOCKS = 8  # design section 6: n >= 256 in at least 8 blocks spread over the campaign
BLOCK_EXECUTIONS = 33  # the first of a block is cold and does not count: 8 x 32 = 256 remain


class SoloSpec(ExperimentSpec):
    """Keys of `kind: solo`."""

    repeats: int = Field(default=PROFILE_BLOCKS, ge=1, le=10_000)
    executions: int = Field(default=BLOCK_EXECUTIONS, ge=2, le=1_000_000)


def cells(spec: SoloSpec, engines: Sequence[EngineKey], lanes: int) -> list[Cell]:
    """One cell per engine and repeat; repeats take the lanes in turn, so that no core's quirk becomes the engine's."""
    return [
        Cell("solo", (key,), repeat, spec.condition, {"executions": spec.executions, "lane": repeat % lanes})
        for key in engines
        for repeat in range(spec.repeats)
    ]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run one block of the asked number of executions, led in."""
    tenants = bench.place(engines, [int(cell.options["lane"])])
    record = Record(tenants)
    lead_in(bench, record, tenants)
    hang_ns = int(bench.quality.hang_s * 1e9)
    samples = run_count(bench.session, tenants[0], int(cell.options["executions"]), hang_ns)
    record.add_block(samples, arm="profile", role="solo")
    return record


def seconds(cell: Cell, spans_s: Sequence[float], quality: Any) -> float:
    """Expected seconds of one cell."""
    return float(cell.options["executions"]) * spans_s[0] + lead_in_ns([1e9 * spans_s[0]], AFTER_LOAD) / 1e9


EXPERIMENT = ExperimentKind("solo", SoloSpec, cells, run, seconds)
