"""Throughputs of an engine without counters: its operator costs over its measured solo time, against measured peaks.

    seconds    = median solo span
    sm_pct     = 100 x flop_count / seconds / peak flop/s
    l2_pct     = 100 x (read_bytes + write_bytes) / seconds / peak cache bytes/s
    dram_pct   = 100 x max(0, read_bytes + write_bytes - l2_bytes) / seconds / peak DRAM bytes/s

What an execution moves in all goes through the cache; what fits into the last-level cache can have stayed there since
the execution before, so only the rest must have come from memory. This is a lower estimate of memory traffic: the cache
is never used perfectly, and tenants share it. A value above 100 would mean that the cost model or the peak is wrong for
this engine; it is null with the reason `exceeds_peak`, never clipped, but for rounding. The compute peak is one of
32-bit floats, because the probe that measures it is; of an engine in another precision sm_pct is null (reason
`other_precision`).
"""

from dataclasses import dataclass

PEAK_PRECISION = "fp32"  # of the probe that measures the compute peak
ROUNDING_PCT = 0.01  # a peak probe measured against itself may come out at 100 plus the rounding of its median


@dataclass(frozen=True)
class Work:
    """What one execution does; None where the costs are not known."""

    flop_count: int | None
    read_bytes: int | None
    write_bytes: int | None


@dataclass(frozen=True)
class Peaks:
    """What the device does at most; None where it was not measured."""

    flop_per_s: float | None
    cache_bytes_per_s: float | None
    dram_bytes_per_s: float | None
    l2_bytes: int | None


@dataclass(frozen=True)
class Throughput:
    """A rate and its part of the peak, or the reasons why they are not known."""

    per_s: float | None
    pct: float | None
    per_s_reason: str | None = None
    pct_reason: str | None = None


def sm_throughput(work: Work, span_ns: int | None, peaks: Peaks, precision: str = PEAK_PRECISION) -> Throughput:
    """Return the compute throughput; no part of the peak where the engine computes in another precision than it."""
    found = _against(work.flop_count, span_ns, peaks.flop_per_s)
    if found.per_s is None or precision == PEAK_PRECISION:
        return found
    return Throughput(found.per_s, None, None, "other_precision")


def l2_throughput(work: Work, span_ns: int | None, peaks: Peaks) -> Throughput:
    """Return the cache throughput."""
    return _against(_moved_bytes(work), span_ns, peaks.cache_bytes_per_s)


def dram_throughput(work: Work, span_ns: int | None, peaks: Peaks) -> Throughput:
    """Return the memory throughput, a lower estimate."""
    moved = _moved_bytes(work)
    if moved is not None and peaks.l2_bytes is None:
        return Throughput(None, None, "no_cache_size", "no_cache_size")
    beyond = None if moved is None else max(0, moved - (peaks.l2_bytes or 0))
    return _against(beyond, span_ns, peaks.dram_bytes_per_s)


def _moved_bytes(work: Work) -> int | None:
    if work.read_bytes is None or work.write_bytes is None:
        return None
    return work.read_bytes + work.write_bytes


def _against(amount: int | None, span_ns: int | None, peak: float | None) -> Throughput:
    if amount is None:
        return Throughput(None, None, "not_reported", "not_reported")
    if not span_ns:
        return Throughput(None, None, "no_profile", "no_profile")
    per_s = amount / (span_ns * 1e-9)
    if not peak:
        return Throughput(per_s, None, None, "no_peak")
    pct = 100 * per_s / peak
    if pct > 100 + ROUNDING_PCT:
        return Throughput(per_s, None, None, "exceeds_peak")
    return Throughput(per_s, min(pct, 100.0))
