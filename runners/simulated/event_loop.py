"""The compiled event loop: from one instant at which something happens to the next.

instant | progress is booked, phases end, executions end | faults | turn | starts | rates |
between | every lane has a constant rate, so that the next instant is known                 | instant | ...
"""

from cotenant.runners.simulated.compiled import compiled
from cotenant.runners.simulated.law import log_stretch, set_rates
from cotenant.runners.simulated.state import (
    ACTIVE_COUNT,
    BOOKED,
    BOUNDARY,
    CLOCK_FROM,
    CLOCK_PART,
    CLOCK_TO,
    D_END,
    D_LANE,
    D_START,
    D_TICKET,
    DEATH_AT,
    DEATH_LANE,
    DONE_ROWS,
    DRAINS,
    DRAM,
    EMPTY,
    FACTOR,
    FOOTPRINT,
    FOREIGN,
    FOREIGN_FROM,
    FOREIGN_TO,
    GAP_COUNT,
    HANG_AT,
    HANG_LANE,
    HEAD,
    HUNG,
    IN_KERNEL,
    KEEPS_LOG,
    KERNEL_COUNT,
    L2,
    LANE_COUNT,
    LAZY,
    LEFT,
    LOG_FULL,
    LOG_ROWS,
    LOST,
    LOST_LANE,
    MODE,
    NEVER,
    NEXT_FAULT,
    NOW,
    ONE,
    P_DRAM,
    P_DURATION,
    P_FOOTPRINT,
    P_IS_KERNEL,
    P_L2,
    P_SM,
    P_SPILL,
    PART,
    PHASE,
    PHASE_END,
    PROCESSES,
    Q_DELAY,
    Q_END,
    Q_FACTOR,
    Q_FIRST,
    Q_LAZY,
    Q_TICKET,
    QUEUED,
    RATE,
    READY,
    RUNNING,
    SINCE,
    SLICE_NS,
    SM,
    SPILL,
    START,
    STATUS,
    SUBMITTED,
    TAIL,
    TICKET,
    TURN,
    WAKE,
    Ints,
)


@compiled
def arm(scalars: Ints, lanes: Ints, queue: Ints, lane: int) -> None:
    """Tell when a lane that has nothing in progress is ready for the head of its queue; EMPTY if there is none."""
    if lanes[lane, HEAD] == lanes[lane, TAIL]:
        lanes[lane, STATUS], lanes[lane, WAKE] = EMPTY, NEVER
        return
    ring = queue.shape[1]
    lanes[lane, STATUS] = QUEUED
    lanes[lane, WAKE] = scalars[NOW] + queue[lane, lanes[lane, HEAD] % ring, Q_DELAY]


@compiled
def enter_phase(lanes: Ints, phases: Ints, lane: int) -> None:
    """Take over the demands of the phase that a lane has come to."""
    phase = lanes[lane, PHASE]
    lanes[lane, LAZY] = 0
    lanes[lane, IN_KERNEL] = phases[phase, P_IS_KERNEL]
    if phases[phase, P_IS_KERNEL]:
        lanes[lane, SM], lanes[lane, L2] = phases[phase, P_SM], phases[phase, P_L2]
        lanes[lane, DRAM] = phases[phase, P_DRAM]
        lanes[lane, SPILL], lanes[lane, FOOTPRINT] = phases[phase, P_SPILL], phases[phase, P_FOOTPRINT]


@compiled
def start(scalars: Ints, lanes: Ints, queue: Ints, phases: Ints, lane: int) -> None:
    """Start the head of a lane's queue now; it has no rate yet."""
    now, place = scalars[NOW], lanes[lane, HEAD] % queue.shape[1]
    lanes[lane, STATUS], lanes[lane, RATE], lanes[lane, WAKE] = RUNNING, -1, now
    lanes[lane, START], lanes[lane, SINCE], lanes[lane, BOOKED] = now, now, now
    lanes[lane, TICKET], lanes[lane, FACTOR] = queue[lane, place, Q_TICKET], queue[lane, place, Q_FACTOR]
    lanes[lane, PHASE], lanes[lane, PHASE_END] = queue[lane, place, Q_FIRST], queue[lane, place, Q_END]
    lazy_ns = queue[lane, place, Q_LAZY]
    if lazy_ns:
        lanes[lane, PHASE] -= 1
        lanes[lane, LAZY], lanes[lane, IN_KERNEL] = 1, 0
        lanes[lane, LEFT] = lazy_ns * lanes[lane, FACTOR]
    else:
        enter_phase(lanes, phases, lane)
        lanes[lane, LEFT] = phases[lanes[lane, PHASE], P_DURATION] * lanes[lane, FACTOR]


@compiled
def end_phases(scalars: Ints, lanes: Ints, phases: Ints, lane: int) -> bool:
    """Book a lane's progress and end its phases without units left; return whether its execution has ended too."""
    now = scalars[NOW]
    left = lanes[lane, LEFT] - lanes[lane, RATE] * (now - lanes[lane, BOOKED])
    lanes[lane, BOOKED] = now
    phase, last = lanes[lane, PHASE], lanes[lane, PHASE_END]
    factor = lanes[lane, FACTOR]
    if lanes[lane, IN_KERNEL]:
        scalars[KERNEL_COUNT] += 1
    else:
        scalars[GAP_COUNT] += 1
    phase += 1
    while phase < last:
        left += phases[phase, P_DURATION] * factor  # what was done beyond the last phase's end is credited
        if left > 0:
            break
        if phases[phase, P_IS_KERNEL]:
            scalars[KERNEL_COUNT] += 1
        else:
            scalars[GAP_COUNT] += 1
        phase += 1
    lanes[lane, PHASE], lanes[lane, LEFT] = phase, left
    if phase < last:
        enter_phase(lanes, phases, lane)
        return False
    lanes[lane, IN_KERNEL] = lanes[lane, LAZY] = 0
    return True


@compiled
def complete(scalars: Ints, lanes: Ints, lane: int, done: Ints, row: int, log: Ints) -> None:
    """Report the execution of a lane that ends now."""
    if scalars[KEEPS_LOG]:
        log_stretch(scalars, lanes, lane, log)
    done[row, D_TICKET], done[row, D_LANE] = lanes[lane, TICKET], lane
    done[row, D_START], done[row, D_END] = lanes[lane, START], scalars[NOW]
    lanes[lane, HEAD] += 1


@compiled
def lose(scalars: Ints, lanes: Ints, lane: int, log: Ints) -> None:
    """Lose a lane with everything that it has."""
    if lanes[lane, STATUS] == RUNNING and scalars[KEEPS_LOG]:
        log_stretch(scalars, lanes, lane, log)
    lanes[lane, STATUS], lanes[lane, WAKE], lanes[lane, HEAD] = LOST, NEVER, lanes[lane, TAIL]
    lanes[lane, IN_KERNEL] = lanes[lane, LAZY] = 0
    scalars[LOST_LANE] = lane


@compiled
def set_faults(scalars: Ints, lanes: Ints, log: Ints) -> None:
    """Begin and end faults by the time it is, and tell when the next one begins or ends."""
    now, lane_count = scalars[NOW], scalars[LANE_COUNT]
    scalars[PART] = scalars[CLOCK_PART] if scalars[CLOCK_FROM] <= now < scalars[CLOCK_TO] else ONE
    scalars[FOREIGN] = 1 if scalars[FOREIGN_FROM] <= now < scalars[FOREIGN_TO] else 0
    lanes[lane_count, IN_KERNEL] = scalars[FOREIGN]
    if scalars[HANG_AT] <= now:
        lanes[scalars[HANG_LANE], HUNG] = 1
    if scalars[DEATH_AT] <= now and scalars[LOST_LANE] < 0:
        lose(scalars, lanes, scalars[DEATH_LANE], log)
    scalars[NEXT_FAULT] = NEVER
    for column in (CLOCK_FROM, CLOCK_TO, FOREIGN_FROM, FOREIGN_TO, DEATH_AT, HANG_AT):
        if now < scalars[column] < scalars[NEXT_FAULT]:
            scalars[NEXT_FAULT] = scalars[column]


@compiled
def is_active(lanes: Ints, lane: int) -> bool:
    """Return whether a lane has an execution in progress or ready."""
    return bool(lanes[lane, STATUS] == READY or lanes[lane, STATUS] == RUNNING)


@compiled
def pass_turn(scalars: Ints, lanes: Ints, at_boundary: bool) -> None:
    """Pass the turn at a boundary or if the lane that has it has nothing; count the lanes that have something."""
    lane_count, turn = scalars[LANE_COUNT], scalars[TURN]
    active = 0
    for lane in range(lane_count):
        if lanes[lane, STATUS] == QUEUED and lanes[lane, WAKE] <= scalars[NOW]:
            lanes[lane, STATUS], lanes[lane, WAKE] = READY, NEVER
        active += is_active(lanes, lane)
    scalars[ACTIVE_COUNT] = active
    if is_active(lanes, turn) and not at_boundary:
        return
    for step in range(1, lane_count + 1):
        lane = (turn + step) % lane_count
        if is_active(lanes, lane):
            scalars[TURN] = lane
            return


@compiled
def settle(scalars: Ints, lanes: Ints, queue: Ints, phases: Ints, log: Ints, at_boundary: bool) -> None:
    """Do what ends every instant: the turn, the starts, the rates."""
    by_turn = scalars[MODE] == PROCESSES
    if by_turn:
        pass_turn(scalars, lanes, at_boundary)
    for lane in range(scalars[LANE_COUNT]):
        if by_turn:
            starts = lanes[lane, STATUS] == READY and lane == scalars[TURN]
        else:
            starts = lanes[lane, STATUS] == QUEUED and lanes[lane, WAKE] <= scalars[NOW]
        if starts:
            start(scalars, lanes, queue, phases, lane)
    set_rates(scalars, lanes, log)


@compiled
def next_instant(scalars: Ints, lanes: Ints) -> int:
    """Return when something happens next; turns that could pass to nobody else are no events."""
    instant: int = scalars[NEXT_FAULT]
    for lane in range(scalars[LANE_COUNT]):
        instant = min(instant, lanes[lane, WAKE])
    if scalars[MODE] == PROCESSES and scalars[ACTIVE_COUNT] > 1:
        instant = min(instant, scalars[BOUNDARY])
    return instant


@compiled
def skip_boundaries(scalars: Ints, until_ns: int) -> None:
    """Leave out the boundaries before `until_ns`, at which the turn could pass to nobody else."""
    behind = until_ns - scalars[BOUNDARY]
    if behind > 0:
        scalars[BOUNDARY] += -(-behind // scalars[SLICE_NS]) * scalars[SLICE_NS]


@compiled
def take_submissions(scalars: Ints, lanes: Ints, queue: Ints, phases: Ints, log: Ints) -> None:
    """Take over what the host has submitted since the clock shows this time."""
    scalars[SUBMITTED] = 0
    for lane in range(scalars[LANE_COUNT]):
        if lanes[lane, STATUS] == EMPTY:
            arm(scalars, lanes, queue, lane)
    settle(scalars, lanes, queue, phases, log, False)


@compiled
def advance(until_ns: int, scalars: Ints, lanes: Ints, queue: Ints, phases: Ints, done: Ints, log: Ints) -> int:
    """Go on until executions complete or a lane is lost, at most to `until_ns`; return how many rows of `done` are new.

    A session that drains goes on until `done` is nearly full. LOG_FULL: the host has to take the log before it goes on.
    """
    if scalars[SUBMITTED]:
        take_submissions(scalars, lanes, queue, phases, log)
    lane_count, by_turn = scalars[LANE_COUNT], scalars[MODE] == PROCESSES
    if by_turn:
        skip_boundaries(scalars, scalars[NOW] + 1)
    count: int = scalars[DONE_ROWS]
    scalars[DONE_ROWS] = 0
    while True:
        if scalars[KEEPS_LOG] and scalars[LOG_ROWS] + 2 * lane_count > log.shape[0]:
            scalars[DONE_ROWS] = count
            return LOG_FULL
        now = next_instant(scalars, lanes)
        if now > until_ns:
            scalars[NOW] = until_ns
            return count
        scalars[NOW] = now
        for lane in range(lane_count):
            if lanes[lane, STATUS] == RUNNING and lanes[lane, WAKE] == now and end_phases(scalars, lanes, phases, lane):
                complete(scalars, lanes, lane, done, count, log)
                arm(scalars, lanes, queue, lane)
                count += 1
        if now >= scalars[NEXT_FAULT]:
            set_faults(scalars, lanes, log)
        at_boundary = False
        if by_turn:
            skip_boundaries(scalars, now)
            at_boundary = now == scalars[BOUNDARY]
            skip_boundaries(scalars, now + 1)
        settle(scalars, lanes, queue, phases, log, at_boundary)
        if (count > 0 and not scalars[DRAINS]) or count + lane_count > done.shape[0] or scalars[LOST_LANE] >= 0:
            return count
