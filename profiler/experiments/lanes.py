"""Lanes as a spec writes them: how many, or each with its part of the device and its priority."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cotenant.runners.protocol import Lane

MAX_LANES = 64


class LaneSpec(BaseModel):
    """One lane of a spec.

    Attributes:
        share_pct: Part of the device granted, in modes that split it; None = all of it.
        priority: Stream priority; 0 = default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share_pct: float | None = Field(default=None, gt=0, le=100)
    priority: int = 0


LaneSpecs = (
    Annotated[int, Field(ge=1, le=MAX_LANES)]
    | Annotated[tuple[LaneSpec, ...], Field(min_length=1, max_length=MAX_LANES)]
)


def lanes_of(specs: LaneSpecs) -> tuple[Lane, ...]:
    """Return the lanes that a spec's `lanes` asks for."""
    if isinstance(specs, int):
        return (Lane(),) * specs
    return tuple(Lane(spec.share_pct, spec.priority) for spec in specs)


def lanes_alike(lanes: Sequence[Lane]) -> list[list[int]]:
    """Return the indices of lanes in groups of the same share and priority, by the first of each."""
    groups: dict[Lane, list[int]] = {}
    for index, lane in enumerate(lanes):
        groups.setdefault(lane, []).append(index)
    return list(groups.values())


def stored_lanes(lanes: Sequence[Lane]) -> dict[str, object]:
    """Return what a cell keeps of its lanes: their number, and shares and priorities that are not default."""
    stored: dict[str, object] = {"lanes": len(lanes)}
    if any(lane.share_pct is not None for lane in lanes):
        stored["lane_share_pct"] = [lane.share_pct for lane in lanes]
    if any(lane.priority for lane in lanes):
        stored["lane_priority"] = [lane.priority for lane in lanes]
    return stored
