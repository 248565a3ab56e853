"""Controls of one experiment: did solo spans drift while it ran, did lanes wait for the host?"""

import math
from collections.abc import Iterator

import numpy as np

from cotenant.datasets.derive.measured import Ints, Measured

DRIFT_QUADS_MIN = 3  # thirds need one quad each
DRIFT_ERRORS = 3
MEDIAN_ERROR = math.sqrt(math.pi / 2)  # of a median in standard errors of the mean


def canary_drift(measured: Measured) -> float | None:
    """Return the largest change of a solo median while the experiment ran, as a ratio of at least 1; None if unknown.

    Of a tenant in quads: from the first to the last third of them. Of an engine in solo rounds: from the first to the
    last round. What `DRIFT_ERRORS` standard errors of the change explain is taken off: few executions scatter, and many
    tenants have many chances to.
    """
    spans = measured.end_ns - measured.start_ns
    pairs = [*_thirds(measured, spans), *_rounds(measured, spans)]
    drifts = [_drift(before, after) for before, after in pairs]
    return math.exp(max(drifts)) if drifts else None


def _drift(before: Ints, after: Ints) -> float:
    change = abs(math.log(np.median(after) / np.median(before)))
    error = math.hypot(_median_error(before), _median_error(after))
    return max(0.0, change - DRIFT_ERRORS * error)


def _median_error(spans: Ints) -> float:
    """Return the standard error of the log of a median, as of normal logs; infinite for a single execution."""
    if len(spans) < 2:
        return math.inf
    return MEDIAN_ERROR * float(np.std(np.log(spans), ddof=1)) / math.sqrt(len(spans))


def _thirds(measured: Measured, spans: Ints) -> Iterator[tuple[Ints, Ints]]:
    treated = {block["block_index"] for block, arm in zip(measured.blocks, measured.arms, strict=True) if arm.treated}
    for index in measured.tenants_in_quads:
        blocks = [
            (block["quad_index"], spans[own])
            for block, own in measured.counted_by_block(index)
            if block["quad_index"] is not None and block["block_index"] not in treated and len(own)
        ]
        quads = sorted({quad for quad, _ in blocks})
        third = len(quads) // DRIFT_QUADS_MIN
        if third:
            early, late = set(quads[:third]), set(quads[-third:])
            yield (
                np.concatenate([values for quad, values in blocks if quad in early]),
                np.concatenate([values for quad, values in blocks if quad in late]),
            )


def _rounds(measured: Measured, spans: Ints) -> Iterator[tuple[Ints, Ints]]:
    arms = zip(measured.rows_by_block(), measured.arms, strict=True)
    rounds = [rows[measured.is_counted[rows]] for (_, rows), arm in arms if arm.pattern == "interleaved"]
    for engine in range(len(measured.engine_ids)):
        own = [spans[rows[measured.engine_index[rows] == engine]] for rows in rounds]
        filled = [values for values in own if len(values)]
        if len(filled) > 1:
            yield filled[0], filled[-1]


def enqueue_bound_ratio(measured: Measured) -> float | None:
    """Return the part of the executions that count whose lane had run dry before they were dispatched.

    None for kinds that do not keep lanes full, and where no execution that counts had one before it on its lane.
    """
    if not measured.facts_of_kind.fills_lanes:
        return None
    order = np.lexsort((measured.start_ns, measured.lane, measured.block_index))
    group = measured.block_index[order], measured.lane[order]
    follows = np.logical_and(*(part[1:] == part[:-1] for part in group)) & measured.is_counted[order][1:]
    late = measured.column("dispatched_ns")[order][1:] >= measured.end_ns[order][:-1]
    count = int(np.count_nonzero(follows))
    return int(np.count_nonzero(follows & late)) / count if count else None
