"""What the simulator knows and no device tells: who had which rate from when to when. Never part of a dataset.

lane 0 | ONE          | 0.7 ONE              | ONE        |   one row each: t0_ns, t1_ns, lane, ticket, rate
lane 1                | 0.4 ONE              |
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cotenant.runners.simulated.state import (
    G_LANE,
    G_RATE,
    G_T0,
    G_T1,
    G_TICKET,
    LANE_COUNT,
    LOG_COLUMNS,
    NOW,
    RATE,
    RUNNING,
    SINCE,
    STATUS,
    TICKET,
    Ints,
)

LOG_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Truth:
    """One row per started execution and stretch of constant rate, by the time at which the stretch ended.

    Attributes:
        t0_ns, t1_ns: int64 arrays; the stretch is [t0_ns, t1_ns). Stretches of one execution are contiguous and
            neighbours differ in rate; they run from its start to its end, or to now if it has not ended.
        lane, ticket: Whose it is.
        rate: From 0 to ONE = 2^20; 0 while the execution stands still.
    """

    t0_ns: Ints
    t1_ns: Ints
    lane: Ints
    ticket: Ints
    rate: Ints


def truth_of(chunks: Sequence[Ints], scalars: Ints, lanes: Ints) -> Truth:
    """Return the truth from the logged rows and the stretches that have not ended yet."""
    now = scalars[NOW]
    under_way = [
        (lane[SINCE], now, index, lane[TICKET], lane[RATE])
        for index, lane in enumerate(lanes[: scalars[LANE_COUNT]])
        if lane[STATUS] == RUNNING and lane[SINCE] < now
    ]
    rows = _merged(np.concatenate([*chunks, np.array(under_way, np.int64).reshape(-1, LOG_COLUMNS)]))
    columns = (np.ascontiguousarray(rows[:, column]) for column in (G_T0, G_T1, G_LANE, G_TICKET, G_RATE))
    return Truth(*columns)


def _merged(rows: Ints) -> Ints:
    """Merge neighbours of one execution with one rate: between them stood another rate that lasted no time.

    That happens where the host submits at an instant that has been settled already: the instant is settled again.
    """
    by_ticket = np.argsort(rows[:, G_TICKET], kind="stable")
    ordered = rows[by_ticket]
    follows = np.zeros(len(rows), bool)  # whether a row goes on with the stretch before it
    follows[1:] = (ordered[1:, [G_TICKET, G_RATE]] == ordered[:-1, [G_TICKET, G_RATE]]).all(axis=1)
    if not follows.any():
        return rows
    is_last = np.append(~follows[1:], True)
    ordered[is_last, G_T0] = ordered[~follows, G_T0]
    kept = np.sort(by_ticket[is_last])
    rows[by_ticket] = ordered
    found: Ints = rows[kept]
    return found
