"""An engine's list of kernels as the phases that the event loop runs through."""

from typing import TYPE_CHECKING

import numpy as np

from cotenant.models.errors import WorkError
from cotenant.runners.simulated.state import (
    ONE,
    P_DRAM,
    P_DURATION,
    P_FOOTPRINT,
    P_IS_KERNEL,
    P_L2,
    P_SM,
    P_SPILL,
    PHASE_COLUMNS,
    Ints,
)

if TYPE_CHECKING:
    from cotenant.runners.simulated.kernel_list import KernelList

DEMANDS = ("sm", "l2", "dram")  # from 0 to ONE
COLUMNS = ("gap_ns", "duration_ns", *DEMANDS, "spill", "footprint_bytes")
LIMIT = 1 << 62  # of products that the loop forms in int64


def phases_of(kernels: "KernelList", largest_factor: int, lazy_ns: int = 0) -> Ints:
    """Return the phases in order, without those of 0 ns; no row at all if nothing is left.

    `largest_factor` is the largest noise factor that an execution may have, in units of ONE.

    Raises:
        WorkError: a number is out of its range, or so large that the loop's whole numbers would overflow.
    """
    _check(kernels, largest_factor, lazy_ns)
    rows = np.zeros((len(kernels.gap_ns), 2, PHASE_COLUMNS), np.int64)  # a gap and a kernel each
    rows[:, 0, P_DURATION] = kernels.gap_ns
    rows[:, 1, P_DURATION] = kernels.duration_ns
    rows[:, 1, P_IS_KERNEL] = 1
    rows[:, 1, P_SM], rows[:, 1, P_L2], rows[:, 1, P_DRAM] = kernels.sm, kernels.l2, kernels.dram
    rows[:, 1, P_SPILL], rows[:, 1, P_FOOTPRINT] = kernels.spill, kernels.footprint_bytes
    flat = rows.reshape(-1, PHASE_COLUMNS)
    return flat[flat[:, P_DURATION] > 0]


def shortest_gap() -> Ints:
    """Return the one gap of 1 ns that an engine has of which nothing else is left."""
    row = np.zeros((1, PHASE_COLUMNS), np.int64)
    row[0, P_DURATION] = 1
    return row


def _check(kernels: "KernelList", largest_factor: int, lazy_ns: int) -> None:
    columns = {name: getattr(kernels, name) for name in COLUMNS}
    if len({len(column) for column in columns.values()}) != 1:
        raise WorkError("a kernel list has columns of several lengths; build its engine anew")
    for name, column in columns.items():
        limit = ONE if name in DEMANDS else LIMIT
        if len(column) and not 0 <= column.min() <= column.max() <= limit:
            raise WorkError(f"{name} of a kernel list is outside 0 to {limit}; build its engine anew")
    longest_ns = max(lazy_ns, *(int(columns[name].max(initial=0)) for name in ("gap_ns", "duration_ns")))
    spilt = max((int(s) * int(f) for s, f in zip(kernels.spill, kernels.footprint_bytes, strict=True)), default=0)
    if longest_ns * largest_factor > LIMIT or spilt > LIMIT or kernels.spill.max(initial=0) > LIMIT >> 22:
        raise WorkError(f"a kernel of {longest_ns} ns, or its spill, is beyond the simulator's whole numbers")
