"""The state that a session opens with: a device file, an isolation mode and shares, in whole units (record 10)."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from cotenant.models.errors import UserError
from cotenant.runners.protocol import Lane
from cotenant.runners.simulated.state import (
    BOUNDARY,
    CLOCK_FROM,
    CLOCK_PART,
    CLOCK_TO,
    DEATH_AT,
    DEATH_LANE,
    DRAM,
    FOOTPRINT,
    FOREIGN_FROM,
    FOREIGN_TO,
    GREEN_CONTEXTS,
    HANG_AT,
    HANG_LANE,
    ISOLATIONS,
    L2,
    L2_BYTES,
    LANE_COLUMNS,
    LANE_COUNT,
    LOST_LANE,
    MODE,
    MPS,
    NEVER,
    NEXT_FAULT,
    ONE,
    PART,
    QUOTA,
    SCALAR_COUNT,
    SLICE_NS,
    SM,
    TURN,
    WAKE,
    Ints,
)

if TYPE_CHECKING:
    from cotenant.runners.simulated.device_file import DeviceFile


def units(ratio: float | Fraction) -> int:
    """Return a ratio in units of ONE, rounded down, without the error of a product of floats."""
    return int(Fraction(ratio) * ONE)


def quotas(lanes: Sequence[Lane], isolation: str) -> list[int]:
    """Return the share q of each lane in units of ONE; UserError for shares that the mode cannot grant."""
    shares = [lane.share_pct for lane in lanes]
    given = [share for share in shares if share is not None]
    if isolation not in (ISOLATIONS[MPS], ISOLATIONS[GREEN_CONTEXTS]):
        if given:
            raise UserError(f"lanes take no share under isolation {isolation}; leave it out or choose mps")
        return [ONE] * len(lanes)
    if any(not 0 < share <= 100 for share in given):
        raise UserError(f"shares {given} are not possible; give each lane a part of the device above 0 and up to 100 %")
    rest_pct = Fraction(100)
    if isolation == ISOLATIONS[GREEN_CONTEXTS]:
        without = len(shares) - len(given)
        left_pct = 100 - sum(map(Fraction, given), Fraction(0))
        rest_pct = left_pct / max(1, without)
        if left_pct < 0 or (without and units(rest_pct / 100) == 0):
            raise UserError(f"shares {given} leave nothing for {without} lanes; they may add up to 100 % at most")
    return [units((rest_pct if share is None else Fraction(share)) / 100) for share in shares]


def opening_state(
    file: "DeviceFile", isolation: str, lane_quotas: Sequence[int], slice_phase_ns: int
) -> tuple[Ints, Ints]:
    """Return `scalars` and `lanes` at time 0, before any fault has begun."""
    count = len(lane_quotas)
    scalars = np.zeros(SCALAR_COUNT, np.int64)
    scalars[LANE_COUNT], scalars[MODE] = count, ISOLATIONS.index(isolation)
    scalars[L2_BYTES], scalars[SLICE_NS] = file.l2_bytes, file.slice_ns
    scalars[LOST_LANE], scalars[TURN], scalars[PART] = -1, count - 1, ONE
    scalars[BOUNDARY] = slice_phase_ns  # the boundary at 0, if it is one, finds nothing and passes nothing
    lanes = np.zeros((count + 1, LANE_COLUMNS), np.int64)
    lanes[:, WAKE] = NEVER
    lanes[:count, QUOTA], lanes[count, QUOTA] = lane_quotas, ONE
    _switch_faults_on(file, scalars, lanes)
    return scalars, lanes


def _switch_faults_on(file: "DeviceFile", scalars: Ints, lanes: Ints) -> None:
    faults, lane_count = file.faults, int(scalars[LANE_COUNT])
    for column in (CLOCK_FROM, CLOCK_TO, FOREIGN_FROM, FOREIGN_TO, DEATH_AT, HANG_AT, NEXT_FAULT):
        scalars[column] = NEVER
    if (drop := faults.clock_drop) is not None:
        scalars[CLOCK_FROM], scalars[CLOCK_TO] = drop.at_ns, drop.at_ns + drop.for_ns
        scalars[CLOCK_PART] = max(1, units(drop.part_ratio))
    if (foreign := faults.foreign_load) is not None:
        scalars[FOREIGN_FROM], scalars[FOREIGN_TO] = foreign.at_ns, foreign.at_ns + foreign.for_ns
        row = lanes[lane_count]
        row[SM], row[L2], row[DRAM] = (units(Fraction(pct) / 100) for pct in (foreign.sm, foreign.l2, foreign.dram))
        row[FOOTPRINT] = foreign.footprint_bytes
        if scalars[MODE] == GREEN_CONTEXTS:
            row[SM] = 0
    if (death := faults.lane_death) is not None and death.lane < lane_count:
        scalars[DEATH_LANE], scalars[DEATH_AT] = death.lane, death.at_ns
    if (hang := faults.hang) is not None and hang.lane < lane_count:
        scalars[HANG_LANE], scalars[HANG_AT] = hang.lane, hang.at_ns
