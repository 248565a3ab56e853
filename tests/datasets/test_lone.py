"""The slowdown of serving executions that nobody ran beside, by another way than the derivation's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_campaign import QUALITY, SPANS_NS, engine, executions_table, metadata

from cotenant.datasets.derive.lone import STRETCHES, lone_slowdown, ran_alone
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.overlap import overlap_intervals
from cotenant.datasets.solo import SoloProfiles
from cotenant.models.digest import digest_id

RESNET = next(iter(SPANS_NS))
PROFILE = {
    "engine_id": digest_id(RESNET), "device_id": "cpu-0", "isolation": "processes", "share_pct": None,
    "pattern": "interleaved", "condition": None, "span_p50_ns": 1000, "span_p50_lower_ns": 990,
    "span_p50_upper_ns": 1010,
}  # fmt: skip


def lone_run(spans: list[tuple[int, int]], window: tuple[int, int]) -> Measured:
    block = {
        "block_index": 0, "quad_index": None, "arm": "serving", "tenants": ["a"], "window_start_ns": window[0],
        "window_end_ns": window[1], "offsets_ns": None,
    }  # fmt: skip
    rows = [("a", place % 2, digest_id(RESNET), "main", 0, start, end) for place, (start, end) in enumerate(spans)]
    tenants = [{"tenant": "a", "lane": None, "engine_ids": [digest_id(RESNET)]}]
    facts = metadata(kind="serving", engines=[engine(RESNET)], tenants=tenants, blocks=[block], quality=QUALITY)
    return Measured(facts, executions_table(rows))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(500, 3000)), min_size=2, max_size=60), st.integers(0, 2000))
def test_lone_slowdown_is_that_of_stretches(steps: list[tuple[int, int]], begin: int) -> None:
    """By another way: who overlaps nobody is asked pair by pair, and the interval is written out."""
    spans, now = [], 0
    for gap, span in steps:
        now += gap
        spans.append((now, now + span))
    spans.sort()
    window = (begin, max(end for _, end in spans) + 1)
    measured = lone_run(spans, window)
    found = lone_slowdown(
        measured, ran_alone(measured, overlap_intervals(measured.start_ns, measured.end_ns)), SoloProfiles([PROFILE])
    )
    assert found is not None
    alone = [
        (start, end)
        for place, (start, end) in enumerate(spans)
        if place > 0
        and start >= begin
        and not any(s < end and start < e for other, (s, e) in enumerate(spans) if other != place)
    ]
    assert found.execution_count == len(alone)
    if not alone:
        assert found.ratio is None
        return
    by_stretch: dict[int, list[float]] = {}
    for start, end in alone:
        stretch = math.floor((start - window[0]) / ((window[1] - window[0]) / STRETCHES) + 1e-12)
        by_stretch.setdefault(stretch, []).append(math.log((end - start) / 1000))
    logs = [float(np.median(values)) for values in by_stretch.values()]
    assert found.ratio == pytest.approx(math.exp(np.mean(logs)))
    assert (found.lower is None) == (len(logs) < 2)
    if found.lower is not None and found.upper is not None:
        assert math.log(found.upper / found.ratio) >= math.log(1010 / 1000) - 1e-12, "the profile's own error stays"
        assert found.upper / found.ratio == pytest.approx(found.ratio / found.lower)


def test_a_profile_without_bounds_leaves_lone_rows_without_them() -> None:
    measured = lone_run([(k * 3000, k * 3000 + 1000) for k in range(40)], (0, 120_000))
    unbounded = {**PROFILE, "span_p50_lower_ns": None, "span_p50_upper_ns": None}
    alone = np.ones(40, dtype=bool)
    found = lone_slowdown(measured, alone, SoloProfiles([unbounded]))
    assert found is not None
    assert (found.ratio, found.lower, found.upper, found.execution_count) == (1.0, None, None, 39)
    bounded = lone_slowdown(measured, alone, SoloProfiles([PROFILE]))
    assert bounded is not None
    assert bounded.upper == pytest.approx(1000 / 990), "no spread among stretches: what is left is the profile's error"
    assert (
        lone_slowdown(Measured({**measured.metadata, "kind": "pair"}, measured.executions), alone, SoloProfiles([]))
        is None
    )
