"""Green contexts: streams of one primary context, each confined to multiprocessors of its own.

The device's multiprocessors are split into the smallest groups that the driver gives; each lane's green context gets as
many whole groups as its share is worth. What is left over by the split is not used: the driver promises less for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.models.errors import UserError
from cotenant.runners.cuda.driver_errors import done
from cotenant.runners.cuda.gpu import GpuError

SMALLEST_GROUP_SMS = 1  # the driver rounds up to what it can confine


@dataclass(frozen=True)
class GreenContext:
    """One lane's green context as the driver made it."""

    handle: Any
    sm_count: int


def group_counts(shares_pct: Sequence[float | None], groups: int) -> list[int]:
    """Return how many groups each lane gets: at least one, at most its share; those without one split the rest evenly.

    Raises:
        UserError: The shares come to more than 100 %, or there are fewer groups than lanes.
    """
    asked = [share for share in shares_pct if share is not None]
    open_lanes = len(shares_pct) - len(asked)
    left_pct = 100 - sum(asked)
    if left_pct < -1e-9 or (open_lanes and left_pct <= 0):
        raise UserError(f"the lanes' shares are more than the whole device: {shares_pct}")
    even_pct = left_pct / open_lanes if open_lanes else 0.0
    wanted = [even_pct if share is None else share for share in shares_pct]
    counts = [max(1, math.floor(share * groups / 100 + 1e-9)) for share in wanted]
    if sum(counts) > groups:
        raise UserError(
            f"this device has {groups} groups of multiprocessors to confine lanes to; {shares_pct} need more"
        )
    return counts


def create_green_contexts(device: Any, shares_pct: Sequence[float | None]) -> list[GreenContext]:
    """Create one green context a lane; the primary context is current.

    Raises:
        GpuError: The driver has no green contexts (it needs to be 12.4 or newer), or refuses them here.
        UserError: The shares cannot be given.
    """
    from cuda.bindings import driver

    kind = driver.CUdevResourceType.CU_DEV_RESOURCE_TYPE_SM
    try:
        whole = done(driver.cuDeviceGetDevResource(device, kind), "cuDeviceGetDevResource")
    except RuntimeError as error:  # the bindings do not find the function in this driver
        raise GpuError(f"this driver has no green contexts ({error}); they came with driver 550 (CUDA 12.4)") from error
    split = driver.cuDevSmResourceSplitByCount(whole.sm.smCount, whole, 0, SMALLEST_GROUP_SMS)
    groups, count, _ = done(split, "cuDevSmResourceSplitByCount")
    groups = list(groups)[:count]
    made: list[GreenContext] = []
    try:
        for wanted in group_counts(shares_pct, len(groups)):
            made.append(_create(device, groups[:wanted]))
            del groups[:wanted]
    except BaseException:
        destroy_green_contexts(made)
        raise
    return made


def destroy_green_contexts(contexts: Sequence[GreenContext]) -> None:
    """Destroy green contexts; their streams are destroyed already."""
    from cuda.bindings import driver

    for context in contexts:
        done(driver.cuGreenCtxDestroy(context.handle), "cuGreenCtxDestroy")


def _create(device: Any, groups: list[Any]) -> GreenContext:
    from cuda.bindings import driver

    description = done(driver.cuDevResourceGenerateDesc(groups, len(groups)), "cuDevResourceGenerateDesc")
    flag = driver.CUgreenCtxCreate_flags.CU_GREEN_CTX_DEFAULT_STREAM  # the only flag that driver 12.4 knows
    handle = done(driver.cuGreenCtxCreate(description, device, flag), "cuGreenCtxCreate")
    kind = driver.CUdevResourceType.CU_DEV_RESOURCE_TYPE_SM
    granted = done(driver.cuGreenCtxGetDevResource(handle, kind), "cuGreenCtxGetDevResource")
    if not granted.sm.smCount:
        raise GpuError("the driver made a green context without multiprocessors")
    return GreenContext(handle, int(granted.sm.smCount))
