"""Clocks of blocks follow from telemetry, and cycles of executions from those."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.derive.clocks import CLOCK, block_clocks
from cotenant.datasets.experiment_rows import ExperimentRows, some

SAMPLES = "telemetry"


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Derive both again."""
    for block, clock in zip(rows.blocks, block_clocks(rows.blocks, rows.large[SAMPLES]), strict=True):
        if block[CLOCK] != clock:
            yield "blocks", f"block {block['block_index']} has {CLOCK} {block[CLOCK]}, its telemetry says {clock}"
    stored = np.asarray(rows.executions["span_cycle_count"].to_numpy(), dtype=np.float64)
    cycles = rows.measured.cycles
    wrong = ~np.isnan(stored) if cycles is None else stored != cycles
    yield from (
        ("executions", fault) for fault in some(wrong, "span_cycle_count is not span_ns times its block's clock")
    )


CHECK = ExperimentCheck("clocks", run)
