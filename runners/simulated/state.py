"""The state of a simulated session as the compiled loop sees it: five int64 arrays and what their columns mean.

scalars  one entry a fact of the whole device
lanes    one row a lane, and a last row for the foreign load, which is a kernel on no lane
queue    QUEUE_ROWS rows a lane, used as a ring: what is in progress and what is queued behind it
phases   one row a phase of every loaded engine
done     completed executions, until the host has read them
log      stretches of constant rate, if the truth is kept
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]

ONE_BITS = 20
ONE = 1 << ONE_BITS
NEVER = 1 << 62
LAST_NS = 1 << 61  # the end of all sessions
QUEUE_ROWS = 1024  # executions of one lane that have not been collected

# modes
STREAMS, GREEN_CONTEXTS, MPS, PROCESSES = range(4)
ISOLATIONS = ("streams", "green-contexts", "mps", "processes")  # in the order of the modes

# scalars
(
    NOW,
    LANE_COUNT,
    MODE,
    SUBMITTED,
    LOST_LANE,
    KERNEL_COUNT,
    GAP_COUNT,
    L2_BYTES,
    SLICE_NS,
    TURN,
    BOUNDARY,
    ACTIVE_COUNT,
    NEXT_FAULT,
    PART,
    FOREIGN,
    CLOCK_PART,
    CLOCK_FROM,
    CLOCK_TO,
    FOREIGN_FROM,
    FOREIGN_TO,
    DEATH_LANE,
    DEATH_AT,
    HANG_LANE,
    HANG_AT,
    KEEPS_LOG,
    LOG_ROWS,
    DRAINS,
    DONE_ROWS,
) = range(28)
SCALAR_COUNT = 32

# lanes
(
    STATUS,
    WAKE,
    RATE,
    LEFT,
    BOOKED,
    IN_KERNEL,
    PHASE,
    PHASE_END,
    FACTOR,
    TICKET,
    START,
    SINCE,
    LAZY,
    HUNG,
    HEAD,
    TAIL,
    QUOTA,
    SM,
    L2,
    DRAM,
    SPILL,
    FOOTPRINT,
    SHARES,
    SM_IN_SHARE,
    DRAM_WITH_SPILL,
    SORTED,
) = range(26)
LANE_COLUMNS = 32

# what a lane is doing: EMPTY, QUEUED until WAKE, READY without the turn, RUNNING, LOST
EMPTY, QUEUED, READY, RUNNING, LOST = range(5)

# queue
Q_FIRST, Q_END, Q_FACTOR, Q_TICKET, Q_DELAY, Q_LAZY = range(6)
QUEUE_COLUMNS = 8

# phases
P_DURATION, P_IS_KERNEL, P_SM, P_L2, P_DRAM, P_SPILL, P_FOOTPRINT = range(7)
PHASE_COLUMNS = 8

# done
D_TICKET, D_LANE, D_START, D_END = range(4)
DONE_COLUMNS = 4

# log
G_T0, G_T1, G_LANE, G_TICKET, G_RATE = range(5)
LOG_COLUMNS = 5

LOG_FULL = -1  # what the loop returns when the host has to take the log's rows first
