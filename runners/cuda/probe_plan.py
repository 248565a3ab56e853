"""What the probes `probe:{compute,cache,dram,half}:<0-100>` do on a GPU: pure arithmetic, the same in every process.

Work is fixed by these numbers and by what the driver says of the device, not by a timing: an engine id must not depend
on one. Only the pace of full rate is measured, by the lane as it loads the probe.

    compute  chains of fused multiply-adds on every multiprocessor: 8192 a step and multiprocessor
    cache    copies within half of the L2 cache: two lanes fill it
    dram     copies within four times the L2 cache
    half     compute on half of the multiprocessors, one block each: a block takes all shared memory that a block may
             have, so that two such loads lie side by side; for the co-residency self-test, at least 100 ms
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

ProbeKind = Literal["compute", "cache", "dram", "half"]
REVISION = 1  # counts changes of what a probe does
COPY_THREADS = 256
COPY_STEPS = 16
COPY_ROW_BYTES = 16  # a thread moves one uint4 at a time
COPY_PIECE_BYTES = COPY_THREADS * COPY_STEPS * COPY_ROW_BYTES
BLOCKS_PER_SM = 4  # with 256 threads: enough loads in flight, enough warps to hide the latency of arithmetic
COMPUTE_SLOTS, COMPUTE_STEPS = 100, 2048  # 64 clocks a step with 128 lanes: 13 million clocks
HALF_SLOTS, HALF_STEPS = 1250, 4096  # 328 million clocks: above 100 ms up to 3.2 GHz
CACHE_SLOTS = 600
DRAM_AIM_NS = 10_000_000
DRAM_SLOTS = (50, 2000)  # bounds; the lower where the driver does not tell the memory's speed
MIN_FOOTPRINT_BYTES = 2 * COPY_PIECE_BYTES


@dataclass(frozen=True)
class ProbePlan:
    """One execution of a probe.

    Attributes:
        blocks, threads: The grid.
        fills_sm: Whether each block takes all the shared memory it can, so that it has a multiprocessor alone.
        slot_count: Slots of one execution; `intensity_pct` of them do work.
        steps: Steps of a slot: fused multiply-adds x 8 a thread, or rows of 16 bytes a thread.
        footprint_bytes: Source and target of the copies together; 0 for compute and half.
    """

    kind: ProbeKind
    intensity_pct: int
    blocks: int
    threads: int
    fills_sm: bool
    slot_count: int
    steps: int
    footprint_bytes: int
    revision: int = REVISION

    @property
    def copies(self) -> bool:
        """Whether slots are copies, not arithmetic."""
        return self.footprint_bytes > 0

    @property
    def active_count(self) -> int:
        """Slots that do work."""
        return self.slot_count * self.intensity_pct // 100

    @property
    def mac_count(self) -> int:
        """Multiply-accumulates of one execution, on the vector units."""
        return 0 if self.copies else self.active_count * self.steps * 8 * self.blocks * self.threads

    @property
    def copied_bytes(self) -> int:
        """Bytes that one execution copies: read once and written once, in the cache or in memory as the kind says."""
        return self.active_count * self.blocks * COPY_PIECE_BYTES if self.copies else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them; `ProbePlan(**fields)` takes them back."""
        return asdict(self)


def plan_probe(
    kind: ProbeKind, intensity_pct: int, sm_count: int, l2_bytes: int, dram_bytes_per_s: float | None
) -> ProbePlan:
    """Return what a probe does on a device of these sizes; `dram_bytes_per_s` None = the driver does not tell."""
    blocks = sm_count * BLOCKS_PER_SM
    if kind == "compute":
        return ProbePlan(kind, intensity_pct, blocks, 256, False, COMPUTE_SLOTS, COMPUTE_STEPS, 0)
    if kind == "half":
        return ProbePlan(kind, intensity_pct, max(1, sm_count // 2), 1024, True, HALF_SLOTS, HALF_STEPS, 0)
    footprint_bytes = max(MIN_FOOTPRINT_BYTES, l2_bytes // 2 if kind == "cache" else l2_bytes * 4)
    slots = CACHE_SLOTS if kind == "cache" else _dram_slots(blocks, dram_bytes_per_s)
    return ProbePlan(kind, intensity_pct, blocks, COPY_THREADS, False, slots, COPY_STEPS, footprint_bytes)


def _dram_slots(blocks: int, dram_bytes_per_s: float | None) -> int:
    least, most = DRAM_SLOTS
    if dram_bytes_per_s is None:
        return least
    slot_bytes = 2 * blocks * COPY_PIECE_BYTES
    return min(most, max(least, round(DRAM_AIM_NS / 1e9 * dram_bytes_per_s / slot_bytes)))
