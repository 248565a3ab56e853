"""The solo_profiles table: executions alone, back to back or in turns, pooled over an engine's experiments."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from cotenant.datasets.columns import SOLO_PROFILES
from cotenant.datasets.derive.measured import Ints
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import ProfilePart, Summary
from cotenant.datasets.statistics import quantile_bounds, seed_of
from cotenant.datasets.words import KINDS

SAMPLES_MIN = 256  # design section 6
BLOCKS_MIN = 8
P99_SAMPLES_MIN = 400
P95_SAMPLES_MIN = 20  # below it the 95th percentile is the largest value
ALPHA = 0.05
UTILIZATION_SOURCES = ("nvml", "simulated")


@dataclass(frozen=True)
class ProfileKey:
    """Whose solo profile, and how it was measured.

    Attributes:
        share_pct: Part of the device granted; None for all of it.
        condition: What was changed on purpose; None for nothing, and only such profiles divide slowdowns.
    """

    engine_id: str
    device_id: str
    isolation: str
    share_pct: float | None
    pattern: str
    condition: str | None


@dataclass(frozen=True)
class Pool:
    """Spans that count, one array per block, with CPU times and clocks where all are known."""

    batch_size: int
    spans_ns: list[Ints]
    cpu_ns: list[Ints] | None
    clock_khz: list[Ints] | None


def pool_profiles(summaries: Sequence[Summary]) -> dict[ProfileKey, Pool]:
    """Pool the blocks of each profile, in the order of the experiments.

    The condition of an open-loop experiment is its load, which its solo rounds do not know of: theirs is None.
    """
    pools: dict[ProfileKey, Pool] = {}
    for summary in summaries:
        facts = summary.metadata
        sizes = {engine["engine_id"]: engine["batch_size"] for engine in facts["engines"]}
        condition = None if KINDS[facts["kind"]].open_loop else facts["condition"]
        where = facts["device"]["device_id"], facts["isolation_observed"]
        for part, blocks in summary.profile_spans_ns.items():
            key = ProfileKey(part.engine_id, *where, part.share_pct, part.pattern, condition)
            before = pools.get(key, Pool(sizes[part.engine_id], [], [], []))
            cpu = _joined(before.cpu_ns, summary.profile_cpu_ns, part)
            clocks = _joined(before.clock_khz, summary.profile_clock_khz, part)
            pools[key] = Pool(before.batch_size, [*before.spans_ns, *blocks], cpu, clocks)
    return pools


def _joined(
    before: list[Ints] | None, more: Mapping[ProfilePart, list[Ints]] | None, part: ProfilePart
) -> list[Ints] | None:
    """Return both; None once either is unknown."""
    return None if before is None or more is None else [*before, *more.get(part, [])]


def profile_rows(
    pools: Mapping[ProfileKey, Pool], utilizations_pct: Mapping[tuple[str, str], float]
) -> list[dict[str, Any]]:
    """Return one row per pool.

    Args:
        utilizations_pct: (engine, device) -> what `utilizations` found.
    """
    return [_row(key, pool, _utilization(key, utilizations_pct)) for key, pool in pools.items()]


def utilizations(throughputs: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """Return (engine, device) -> GPU utilisation back to back, as the driver or the device's own law tells."""
    return {
        (row["engine_id"], row["device_id"]): row["gpu_utilization_pct"]
        for row in throughputs
        if row["counter_source"] in UTILIZATION_SOURCES and row["gpu_utilization_pct"] is not None
    }


def _utilization(key: ProfileKey, known: Mapping[tuple[str, str], float]) -> float | None:
    """Return what holds for a profile: utilisation is measured back to back on the whole device."""
    like_measured = key.pattern == "back_to_back" and key.share_pct is None and key.condition is None
    return known.get((key.engine_id, key.device_id)) if like_measured else None


def _row(key: ProfileKey, pool: Pool, utilization_pct: float | None) -> dict[str, Any]:
    blocks = [spans for spans in pool.spans_ns if len(spans)]
    spans = np.concatenate(blocks) if blocks else np.empty(0, np.int64)
    marks = ["too_few_blocks"] if len(blocks) < BLOCKS_MIN else []
    marks += ["too_few_samples"] if len(spans) < SAMPLES_MIN else []
    values = {
        "engine_id": key.engine_id,
        "device_id": key.device_id,
        "isolation": key.isolation,
        "share_pct": key.share_pct,
        "pattern": key.pattern,
        "condition": key.condition,
        "sample_count": len(spans),
        "block_count": len(blocks),
        "marks": marks,
        "gpu_utilization_pct": utilization_pct,
        **_moments(spans, pool),
        **_quantiles(key, blocks, spans),
    }
    return row_of(SOLO_PROFILES, values, _reasons(len(spans), pool))


def _moments(spans: Ints, pool: Pool) -> dict[str, Any]:
    if not len(spans):
        return {}
    mean = math.fsum(spans.tolist()) / len(spans)
    cpu = np.concatenate(pool.cpu_ns) if pool.cpu_ns else np.empty(0, np.int64)
    clocks = np.concatenate(pool.clock_khz) if pool.clock_khz else np.empty(0, np.int64)
    squares = math.fsum((span - mean) ** 2 for span in spans.tolist())
    return {
        "span_min_ns": int(spans.min()),
        "span_mean_ns": round(mean),
        "span_std_ns": round(math.sqrt(squares / (len(spans) - 1))) if len(spans) > 1 else None,
        "throughput_items_per_s": pool.batch_size / (mean * 1e-9),
        "cpu_p50_ns": round(float(np.median(cpu))) if len(cpu) else None,
        "sm_clock_mhz": math.fsum(clocks.tolist()) / len(clocks) / 1000 if len(clocks) else None,
    }


def _quantiles(key: ProfileKey, blocks: list[Ints], spans: Ints) -> dict[str, Any]:
    if not len(spans):
        return {}
    found: dict[str, Any] = {"span_p50_ns": round(float(np.quantile(spans, 0.5)))}
    if len(spans) >= P95_SAMPLES_MIN:
        found["span_p95_ns"] = round(float(np.quantile(spans, 0.95)))
    if len(spans) >= P99_SAMPLES_MIN:
        found["span_p99_ns"] = round(float(np.quantile(spans, 0.99)))
    for name, probability in (("span_p50", 0.5), ("span_p95", 0.95)):
        seed = seed_of(*map(str, astuple(key)), name)
        bounds = quantile_bounds(blocks, probability, ALPHA, seed)
        if bounds is not None and f"{name}_ns" in found:
            found[f"{name}_lower_ns"], found[f"{name}_upper_ns"] = (round(bound) for bound in bounds)
    return found


def _reasons(sample_count: int, pool: Pool) -> dict[str, str]:
    few = "too_few_samples" if sample_count else "no_samples"
    bounded = few if sample_count < P95_SAMPLES_MIN else "too_few_blocks"
    return {
        "share_pct": "whole_device",
        "condition": "not_applicable",
        "span_min_ns": few,
        "span_p50_ns": few,
        "span_p50_lower_ns": "too_few_blocks" if sample_count else few,
        "span_p50_upper_ns": "too_few_blocks" if sample_count else few,
        "span_mean_ns": few,
        "span_p95_ns": few,
        "span_p95_lower_ns": bounded,
        "span_p95_upper_ns": bounded,
        "span_p99_ns": few,
        "span_std_ns": few,
        "cpu_p50_ns": "not_measured" if pool.cpu_ns is None else few,
        "throughput_items_per_s": few,
        "busy_ns": "not_measured",
        "sm_clock_mhz": "not_measured" if pool.clock_khz is None else few,
        "gpu_utilization_pct": "not_measured",
    }
