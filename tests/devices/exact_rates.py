"""How fast the kernels in progress go, in rational numbers (docs/decisions/0010, "Rates" and "Isolation").

Shares no code with the simulated GPU. Rounding happens only where the record rounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

ONE = 2**20


@dataclass(frozen=True)
class Kernel:
    """A kernel of a list: `sm`, `l2`, `dram` and `spill` in units of `ONE`."""

    gap_ns: int = 0
    duration_ns: int = 0
    sm: int = 0
    l2: int = 0
    dram: int = 0
    spill: int = 0
    footprint_bytes: int = 0


def fair(demands: Sequence[int], capacity: int) -> list[int]:
    """Max-min fair share: each gets `min(demand, L)`, with `L` the water level of the capacity, rounded down.

    Of n demands in ascending order, whichever k are served whole leave `(capacity - their sum) / (n - k)` to each of
    the others; the level is the highest of these.
    """
    if not demands:
        return []
    ascending = sorted(demands)
    n = len(ascending)
    level = max(Fraction(capacity - sum(ascending[:k]), n - k) for k in range(n))
    return [min(demand, floor(level)) for demand in demands]


def share_units(isolation: str, share_pct: Sequence[float | None]) -> list[int]:
    """The share `q` of each lane."""
    if isolation in ("streams", "processes"):  # "`q = ONE` for every lane"; alone, a lane has all of the device
        return [ONE] * len(share_pct)
    without = Fraction(ONE)  # "`ONE` for a lane without a share"
    if isolation == "green-contexts":  # "lanes without one split what is left evenly"
        left_pct = 100 - sum((Fraction(pct) for pct in share_pct if pct is not None), Fraction(0))
        without = left_pct * ONE / 100 / max(1, share_pct.count(None))
    return [floor(without if pct is None else Fraction(pct) * ONE / 100) for pct in share_pct]


def kept_bytes(kernels: Sequence[Kernel], l2_bytes: int) -> list[int]:
    """What each keeps of the L2: "of `C` bytes kernel i keeps `c = fair(footprints, C)`"."""
    return fair([kernel.footprint_bytes for kernel in kernels], l2_bytes)


def dram_demand(kernel: Kernel, kept: int) -> int:
    """`dram'`: what a kernel lost of the L2 it fetches from DRAM."""
    if kernel.footprint_bytes == 0:
        return kernel.dram
    return kernel.dram + floor(Fraction(kernel.spill * (kernel.footprint_bytes - kept), kernel.footprint_bytes))


def kernel_rates(
    on_lanes: Mapping[int, Kernel], foreign: Sequence[Kernel], q: Sequence[int], l2_bytes: int, own_sms: bool
) -> dict[int, int]:
    """The rate of each lane's kernel beside the others and beside foreign ones; `own_sms` under green contexts."""
    lanes = sorted(on_lanes)
    kernels = [on_lanes[lane] for lane in lanes] + list(foreign)
    wanted = [min(on_lanes[lane].sm, q[lane]) for lane in lanes]
    a_sm = wanted if own_sms else fair(wanted + [kernel.sm for kernel in foreign], ONE)
    a_l2 = fair([kernel.l2 for kernel in kernels], ONE)
    dram = [dram_demand(kernel, kept) for kernel, kept in zip(kernels, kept_bytes(kernels, l2_bytes), strict=True)]
    a_dram = fair(dram, ONE)
    rates = {}
    for i, lane in enumerate(lanes):
        granted = [(a_sm[i], kernels[i].sm), (a_l2[i], kernels[i].l2), (a_dram[i], dram[i])]
        rates[lane] = max(1, min([ONE, *(floor(Fraction(ONE * a, u)) for a, u in granted if u > 0)]))
    return rates
