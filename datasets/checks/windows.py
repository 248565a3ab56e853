"""The windows of blocks are where the rules of a run put them: a window that was moved does not fit its executions.

Start: when an execution ended (the lead-in was over) or began (bursts); of turns, when nobody ran. End: when an
execution ended, or, where lanes are kept full, at a fixed time after the start that is the same for all blocks of the
same tenants, and that every tenant ran beyond. A serving window ends with the arrivals, which another check looks at.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows, Ints
from cotenant.datasets.words import ARMS, KINDS

Block = dict[str, Any]


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Compare each block's window with its executions."""
    yield from (("blocks", fault) for fault in _faults(rows))


def _faults(rows: ExperimentRows) -> Iterator[str]:
    lengths: dict[tuple[str, ...], int] = {}
    for block, own in rows.measured.rows_by_block():
        arm = ARMS[block["arm"]]
        if not len(own) or (arm.pattern is None and not arm.in_quads and arm.windowed):
            continue
        starts, ends = rows.start_ns[own], rows.end_ns[own]
        if not _may_start(block, starts, ends):
            yield f"block {block['block_index']}: window_start_ns is no moment at which a window can begin"
        if block["window_end_ns"] in ends:
            continue
        fixed = KINDS[rows.experiment["kind"]].fills_lanes and arm.in_quads
        length = lengths.setdefault(tuple(block["tenants"]), block["window_ns"])
        if not fixed or block["window_ns"] != length or _last_end_ns(rows, own) < block["window_end_ns"]:
            yield f"block {block['block_index']}: window_end_ns is no moment at which a window can end"


def _may_start(block: Block, starts: Ints, ends: Ints) -> bool:
    begin = block["window_start_ns"]
    if ARMS[block["arm"]].pattern == "interleaved":
        return not np.any((starts < begin) & (begin < ends)) and bool(np.any(starts >= begin))
    return bool(begin in ends or begin in starts)


def _last_end_ns(rows: ExperimentRows, own: Ints) -> int:
    """Return when the first of the tenants of a block had run for the last time."""
    tenants = rows.measured.tenant_index[own]
    return min(int(rows.end_ns[own[tenants == tenant]].max()) for tenant in np.unique(tenants))


CHECK = ExperimentCheck("windows", run)
