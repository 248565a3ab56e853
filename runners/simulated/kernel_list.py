"""The kernel list: what an engine of the simulated runner is, in the whole numbers of record 10.

    kernels.json: {"format": 1, "names": [...], "gap_ns": [...], "duration_ns": [...], "sm": [...], ...}

One entry a kernel in every list. The file is canonical JSON, so that the same list has the same bytes everywhere.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cotenant.models.digest import canonical_json
from cotenant.models.errors import WorkError
from cotenant.runners.engine_cache import EntryDamaged, read_meta

ONE = 1 << 20
SPILL_MAX = 64 * ONE  # the law multiplies it by a footprint within int64
FOOTPRINT_BYTES_MAX = 1 << 36
NS_MAX = 10**12
FILE = "kernels.json"
RUNNER = "simulated"
FORMAT = 1
LIMITS = {
    "gap_ns": NS_MAX,
    "duration_ns": NS_MAX,
    "sm": ONE,
    "l2": ONE,
    "dram": ONE,
    "spill": SPILL_MAX,
    "footprint_bytes": FOOTPRINT_BYTES_MAX,
}

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class KernelList:
    """The kernels of one execution in order; int64 arrays of equal length, demands in 1/ONE of the device.

    Attributes:
        gap_ns: Time before the kernel in which the lane demands nothing.
        duration_ns: Alone, at full clock.
        sm, l2, dram: Part of the SMs' time, of the L2 bandwidth and of the memory bandwidth that kernels can reach.
        spill: Memory demand that is added once everything the kernel finds in the L2 cache when alone is lost.
        footprint_bytes: What the kernel finds, and passes, in the L2 cache.
        names: Operator and kind of kernel.
    """

    gap_ns: Numbers
    duration_ns: Numbers
    sm: Numbers
    l2: Numbers
    dram: Numbers
    spill: Numbers
    footprint_bytes: Numbers
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for column, limit in LIMITS.items():
            numbers = getattr(self, column)
            if numbers.dtype != np.int64 or numbers.shape != (len(self.names),):
                raise ValueError(f"{column} must be {len(self.names)} int64, not {numbers.dtype} {numbers.shape}")
            if len(numbers) and not 0 <= numbers.min() <= numbers.max() <= limit:
                raise ValueError(f"{column} must lie in 0 ... {limit}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def solo_ns(self) -> int:
        """Gaps and kernels of one execution alone."""
        return int(self.gap_ns.sum() + self.duration_ns.sum())


def kernel_list(names: Sequence[str], **columns: Sequence[int]) -> KernelList:
    """Return a kernel list of plain numbers; ValueError where a number is out of its range."""
    return KernelList(names=tuple(names), **{key: np.array(columns[key], dtype=np.int64) for key in LIMITS})


def write_kernels(folder: Path, kernels: KernelList) -> Path:
    """Write a kernel list into an engine's folder; the same list gives the same bytes."""
    columns = {column: getattr(kernels, column).tolist() for column in LIMITS}
    path = folder / FILE
    path.write_bytes(canonical_json({"format": FORMAT, "names": list(kernels.names), **columns}) + b"\n")
    return path


def read_kernels(engine_folder: Path) -> KernelList:
    """Return the kernel list of a built engine, its files verified.

    Raises:
        EntryDamaged: The folder is not what was built (WorkError; building again mends it).
        WorkError: Another runner built it.
    """
    meta = read_meta(engine_folder)
    if meta["engine"]["runner"] != RUNNER or FILE not in meta["files"]:
        raise WorkError(f"{engine_folder} was written by another runner; build the engine with {RUNNER}")
    content = json.loads((engine_folder / FILE).read_bytes())
    if content.get("format") != FORMAT:
        raise EntryDamaged(f"{engine_folder / FILE} has format {content.get('format')}, this version reads {FORMAT}")
    return _from_content(content)


def _from_content(content: dict[str, Any]) -> KernelList:
    return kernel_list(content["names"], **{column: content[column] for column in LIMITS})
