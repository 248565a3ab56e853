"""The clock of each block, from the telemetry that was sampled while it ran.

Telemetry is sparse and blocks are short, so most blocks hold no sample. Blocks of one arm with the same tenants run the
same work, and what they run decides their clock (power, temperature), so a block without a sample takes the mean of its
kind's samples in this experiment. Interpolating between samples instead would mix the clocks of arms that alternate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.derive.measured import Measured

CLOCK = "sm_clock_mhz"
Kind = tuple[str, tuple[str, ...]]


def with_clocks(measured: Measured, telemetry: pa.Table | None) -> Measured:
    """Return an experiment whose blocks say their clock in MHz; None where no sample of their kind tells it.

    Args:
        telemetry: Its samples, with t_ns and sm_clock_mhz; None if it has none.
    """
    clocks = block_clocks(measured.blocks, telemetry)
    blocks = [{**block, CLOCK: clock} for block, clock in zip(measured.blocks, clocks, strict=True)]
    return Measured({**measured.metadata, "blocks": blocks}, measured.executions)


def block_clocks(blocks: Sequence[Mapping[str, Any]], telemetry: pa.Table | None) -> list[float | None]:
    """Return the mean clock of the samples in each block's window, else that of all blocks of its kind."""
    own = [np.empty(0)] * len(blocks) if telemetry is None else _samples(blocks, telemetry)
    by_kind: dict[Kind, list[Any]] = {}
    for block, found in zip(blocks, own, strict=True):
        by_kind.setdefault(_kind(block), []).append(found)
    pooled = {kind: np.concatenate(found) for kind, found in by_kind.items()}
    chosen = [found if len(found) else pooled[_kind(block)] for block, found in zip(blocks, own, strict=True)]
    return [float(np.mean(found)) if len(found) else None for found in chosen]


def _samples(blocks: Sequence[Mapping[str, Any]], telemetry: pa.Table) -> list[Any]:
    """Return the known clocks within each block's window."""
    known = telemetry.filter(telemetry[CLOCK].is_valid()).sort_by("t_ns")
    times = known["t_ns"].to_numpy()
    clocks = known[CLOCK].to_numpy().astype(np.float64)
    edges = [np.searchsorted(times, (block["window_start_ns"], block["window_end_ns"])) for block in blocks]
    return [clocks[first:last] for first, last in edges]


def _kind(block: Mapping[str, Any]) -> Kind:
    return block["arm"], tuple(block["tenants"])
