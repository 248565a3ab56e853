"""The law of contention (docs/decisions/0010): how fast each lane goes on, given who is in progress.

fair share of 10 | demands 2, 5, 9 -> 2 (whole), then 8 left for two: 5 x 2 > 8, so 4 and 4
"""

import numpy as np

from cotenant.runners.simulated.compiled import compiled
from cotenant.runners.simulated.state import (
    BOOKED,
    DRAM,
    DRAM_WITH_SPILL,
    FOOTPRINT,
    G_LANE,
    G_RATE,
    G_T0,
    G_T1,
    G_TICKET,
    GREEN_CONTEXTS,
    HUNG,
    IN_KERNEL,
    KEEPS_LOG,
    L2,
    L2_BYTES,
    LANE_COUNT,
    LAZY,
    LEFT,
    LOG_ROWS,
    MODE,
    NEVER,
    NOW,
    ONE,
    ONE_BITS,
    PART,
    PROCESSES,
    QUOTA,
    RATE,
    RUNNING,
    SHARES,
    SINCE,
    SM,
    SM_IN_SHARE,
    SORTED,
    SPILL,
    STATUS,
    TICKET,
    TURN,
    WAKE,
    Ints,
)


@compiled
def quotient(dividend: int, divisor: int) -> int:
    """Return floor(dividend / divisor) of a dividend >= 0 and a divisor > 0; unsigned division is the faster one."""
    return np.int64(np.uint64(dividend) // np.uint64(divisor))  # type: ignore[return-value]


@compiled
def fair_level(lanes: Ints, column: int, capacity: int) -> int:
    """Return L of `fair`: each kernel that shares gets min(its demand in `column`, L); NEVER if all get all."""
    count = 0
    for row in range(lanes.shape[0]):
        if lanes[row, SHARES]:
            demand, place = lanes[row, column], count
            while place > 0 and lanes[place - 1, SORTED] > demand:
                lanes[place, SORTED] = lanes[place - 1, SORTED]
                place -= 1
            lanes[place, SORTED] = demand
            count += 1
    for place in range(count):
        demand, waiting = lanes[place, SORTED], count - place
        if demand * waiting > capacity:
            return quotient(capacity, waiting)
        capacity -= demand
    return NEVER


@compiled
def admit(scalars: Ints, lanes: Ints) -> int:
    """Mark the kernels that share the device and return SM's L; their demands on SMs and DRAM are left in `lanes`."""
    lane_count, turn = scalars[LANE_COUNT], scalars[TURN] if scalars[MODE] == PROCESSES else -1
    sm_total, footprint_total = 0, 0
    for row in range(lane_count + 1):
        shares = lanes[row, IN_KERNEL] and (turn < 0 or row in (turn, lane_count))
        lanes[row, SHARES] = shares
        if shares:
            granted = min(lanes[row, SM], lanes[row, QUOTA])
            lanes[row, SM_IN_SHARE] = granted
            lanes[row, DRAM_WITH_SPILL] = lanes[row, DRAM]
            sm_total += granted
            footprint_total += lanes[row, FOOTPRINT]
    if footprint_total > scalars[L2_BYTES]:
        kept = fair_level(lanes, FOOTPRINT, scalars[L2_BYTES])
        for row in range(lane_count):  # the foreign load has no spill
            if lanes[row, SHARES] and lanes[row, FOOTPRINT] > kept:
                footprint = lanes[row, FOOTPRINT]
                lanes[row, DRAM_WITH_SPILL] += quotient(lanes[row, SPILL] * (footprint - kept), footprint)
    if sm_total <= ONE or scalars[MODE] == GREEN_CONTEXTS:
        return NEVER
    return fair_level(lanes, SM_IN_SHARE, ONE)


@compiled
def bandwidth_level(lanes: Ints, column: int) -> int:
    """Return L of a bandwidth whose demands stand in `column`."""
    total = 0
    for row in range(lanes.shape[0]):
        if lanes[row, SHARES]:
            total += lanes[row, column]
    return NEVER if total <= ONE else fair_level(lanes, column, ONE)


@compiled
def kernel_rate(lanes: Ints, lane: int, sm_level: int, l2_level: int, dram_level: int, part: int) -> int:
    """Return the rate of a kernel that shares: the least of ONE and ONE x a // u, found with one division."""
    granted, demand = 1, 1
    sm, l2, dram = lanes[lane, SM], lanes[lane, L2], lanes[lane, DRAM_WITH_SPILL]
    sm_grant = min(lanes[lane, SM_IN_SHARE], sm_level)
    if sm_grant * demand < granted * sm:
        granted, demand = sm_grant, sm
    if l2_level < l2 and l2_level * demand < granted * l2:
        granted, demand = l2_level, l2
    if dram_level < dram and dram_level * demand < granted * dram:
        granted, demand = dram_level, dram
    rate = ONE if granted == demand else max(1, quotient(granted << ONE_BITS, demand))
    return rate if part == ONE else max(1, (rate * part) >> ONE_BITS)


@compiled
def set_rate(scalars: Ints, lanes: Ints, lane: int, rate: int, log: Ints) -> None:
    """Give a running lane its rate from now on: book what it did, tell when its phase ends, log the old stretch."""
    now, old = scalars[NOW], lanes[lane, RATE]
    if rate == old and lanes[lane, WAKE] > now:
        return
    if rate != old:
        if old > 0:
            lanes[lane, LEFT] -= old * (now - lanes[lane, BOOKED])
        if scalars[KEEPS_LOG]:
            log_stretch(scalars, lanes, lane, log)
        lanes[lane, BOOKED] = now
        lanes[lane, RATE] = rate
    left = lanes[lane, LEFT]
    if rate == ONE:
        lanes[lane, WAKE] = now + ((left + ONE - 1) >> ONE_BITS)
    elif rate == 0:
        lanes[lane, WAKE] = NEVER
    else:
        lanes[lane, WAKE] = now + quotient(left + rate - 1, rate)


@compiled
def log_stretch(scalars: Ints, lanes: Ints, lane: int, log: Ints) -> None:
    """Log the stretch of constant rate that ends now, if it has a length."""
    now = scalars[NOW]
    if lanes[lane, SINCE] < now:
        row = scalars[LOG_ROWS]
        scalars[LOG_ROWS] = row + 1
        log[row, G_T0], log[row, G_T1] = lanes[lane, SINCE], now
        log[row, G_LANE], log[row, G_TICKET], log[row, G_RATE] = lane, lanes[lane, TICKET], lanes[lane, RATE]
        lanes[lane, SINCE] = now


@compiled
def set_rates(scalars: Ints, lanes: Ints, log: Ints) -> None:
    """Set the rate of every lane that has an execution in progress, from now on."""
    lane_count, by_turn = scalars[LANE_COUNT], scalars[MODE] == PROCESSES
    sm_level = admit(scalars, lanes)
    l2_level, dram_level = bandwidth_level(lanes, L2), bandwidth_level(lanes, DRAM_WITH_SPILL)
    lazy = -1
    for lane in range(lane_count):
        if lanes[lane, LAZY] and not by_turn:
            lazy = lane
            break
    for lane in range(lane_count):
        if lanes[lane, STATUS] != RUNNING:
            continue
        if lanes[lane, HUNG] or (by_turn and lane != scalars[TURN]) or (lazy >= 0 and lane != lazy):
            rate = 0
        elif lanes[lane, IN_KERNEL]:
            rate = kernel_rate(lanes, lane, sm_level, l2_level, dram_level, scalars[PART])
        else:
            rate = ONE
        set_rate(scalars, lanes, lane, rate, log)
