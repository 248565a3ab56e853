"""Solo profile: one engine back to back while every other lane is idle; repeats spread over the campaign."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.blocks import block_lead_in, hang_ns
from cotenant.profiler.experiments.closed_loop import run_count
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec
from cotenant.profiler.experiments.lanes import lanes_alike
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane

PROFILE_BLOCKS = 8  # design section 6: n >= 256 in at least 8 blocks spread over the campaign
BLOCK_EXECUTIONS = 32
PROBE_FAMILY = "probe"


class SoloSpec(ExperimentSpec):
    """Keys of `kind: solo`."""

    repeats: int = Field(default=PROFILE_BLOCKS, ge=1, le=10_000)
    executions: int = Field(default=BLOCK_EXECUTIONS, ge=2, le=1_000_000)


def cells(spec: SoloSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per engine, kind of lane and repeat: an engine has a profile for each share of the device.

    Repeats take the lanes of one kind in turn, so that no core's quirk becomes the engine's.
    """
    return [
        Cell(
            "solo", (key,), repeat, spec.condition, {"executions": spec.executions, "lane": alike[repeat % len(alike)]}
        )
        for key in engines
        for alike in lanes_alike(lanes)
        for repeat in range(spec.repeats)
    ]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run one block of the asked number of executions."""
    tenants = bench.place(engines, [int(cell.options["lane"])])
    record = Record(tenants)
    lead_in = block_lead_in(bench.quality, settled=False)
    executions = int(cell.options["executions"])
    record.add_block(
        run_count(bench.session, tenants[0], lead_in, executions, hang_ns(bench)), arm="profile", role="solo"
    )
    if tenants[0].engine.family == PROBE_FAMILY:
        bench.drop(tenants[0].lane, tenants[0].engine)  # a memory probe holds several times the last-level cache
    return record


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds of one cell."""
    lead_in = block_lead_in(quality, settled=False)
    led_in_s = max(lead_in.least_ns / 1e9, lead_in.executions * spans_s[0])
    return led_in_s + float(cell.options["executions"]) * spans_s[0]


EXPERIMENT = ExperimentKind("solo", SoloSpec, cells, run, seconds)
