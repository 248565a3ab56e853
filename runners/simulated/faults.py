"""Faults that a device file may switch on, so that gates, self-test and recovery have something to run on (record 10).

time    | as listed | clock_drop | as listed | lane_death: lane 1 is lost |
                    ^ at_ns      ^ at_ns + for_ns
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

TimeNs = Annotated[int, Field(ge=0, le=1 << 60)]
DurationNs = Annotated[int, Field(ge=1, le=1 << 60)]
Pct = Annotated[float, Field(ge=0, le=100)]


class _Entry(BaseModel):
    """What all entries refuse: unknown keys, text where a number belongs, changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ClockDrop(_Entry):
    """Kernels go on at a part of their rate.

    Attributes:
        part_ratio: 1.0 changes nothing; kept as floor(part_ratio x ONE), at least 1.
    """

    at_ns: TimeNs
    for_ns: DurationNs
    part_ratio: Annotated[float, Field(gt=0, le=1)]


class ForeignLoad(_Entry):
    """A kernel of somebody else takes part in every fair share; `sm`, `l2` and `dram` in % of the device."""

    at_ns: TimeNs
    for_ns: DurationNs
    sm: Pct = 0
    l2: Pct = 0
    dram: Pct = 0
    footprint_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = 0


class LaneDeath(_Entry):
    """A lane is lost with everything that it has."""

    lane: Annotated[int, Field(ge=0)]
    at_ns: TimeNs


class Hang(_Entry):
    """A lane makes no progress from an instant on."""

    lane: Annotated[int, Field(ge=0)]
    at_ns: TimeNs


class LazyLoad(_Entry):
    """Loading does not warm: the first execution of each loaded engine begins with a phase of `gap_ns`."""

    gap_ns: DurationNs


class Faults(_Entry):
    """What is switched on; None = it does not happen. A fault of a lane that a session does not have stays silent."""

    clock_drop: ClockDrop | None = None
    foreign_load: ForeignLoad | None = None
    lane_death: LaneDeath | None = None
    hang: Hang | None = None
    lazy_load: LazyLoad | None = None
