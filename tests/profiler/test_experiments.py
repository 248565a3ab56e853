"""Each experiment kind recovers what a device in virtual time is known to do."""

import numpy as np
import pyarrow.compute as pc
import pytest
from virtual_session import VirtualSession, engine

from cotenant.datasets.quads import estimate_slowdown
from cotenant.models.errors import UserError
from cotenant.profiler.experiments import null, pair, self_test, solo
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.kinds import Cell, EngineKey, experiment_kind, kind_names
from cotenant.profiler.experiments.quads import drawn_offsets, offset_strata
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Lane

MS = 1_000_000
TWO = [Lane()] * 2
KEYS = [EngineKey(name, 1, "fp32") for name in ("a", "b", "c")]


def run_pair(session: VirtualSession, names: tuple[str, str] = ("a", "b"), **quality: object) -> Record:
    bench = Bench(session, Quality.model_validate(quality).resolved("gpu"))
    cell = Cell("pair", (KEYS[0], KEYS[1]), 0)
    return pair.run(bench, cell, [engine(name) for name in names], np.random.default_rng(7))


def slowdown(record: Record, tenant: str) -> tuple[float, float, float]:
    estimate = estimate_slowdown(record.quad_spans()[tenant], 0.05)
    return estimate.ratio, estimate.lower, estimate.upper


def test_a_pair_recovers_the_known_slowdown_without_noise() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}, slowdown=(1.0, 1.3))
    record = run_pair(session)
    for tenant in "ab":
        ratio, lower, upper = slowdown(record, tenant)
        assert ratio == pytest.approx(1.3, rel=1e-6)
        assert lower <= ratio <= upper
    assert record.stops == {"a": "narrow", "b": "narrow"}
    assert {block.quad_index for block in record.blocks} == set(range(8)), "narrow at the first look"


def test_a_linear_drift_cancels_within_quads() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}, slowdown=(1.0, 1.3), noise=0.01, drift_per_s=0.02)
    ratio, lower, upper = slowdown(run_pair(session, look_quads=(16,)), "a")
    assert lower <= 1.3 <= upper
    assert ratio == pytest.approx(1.3, rel=0.01)


def test_a_noisy_pair_stops_at_the_cap_and_says_so() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}, slowdown=(1.0, 1.3), noise=0.5)
    record = run_pair(session, look_quads=(2, 4), half_width_max_ratio=0.001)
    assert set(record.stops.values()) == {"cap"}
    assert {block.quad_index for block in record.blocks} == set(range(4))


def test_a_pair_has_sixteen_co_run_blocks_at_spread_offsets() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS})
    record = run_pair(session)
    offsets = [block.offsets_ns[1] for block in record.blocks if block.arm == "co_run"]
    assert len(offsets) == 16
    assert all(0 <= offset < 10 * MS for offset in offsets)
    assert len(set(offsets)) == 16


def test_offset_strata_meet_every_phase_once() -> None:
    offsets = np.array(list(offset_strata(32, 3, np.random.default_rng(1))))
    assert offsets.shape == (32, 3)
    for column in offsets.T:
        assert sorted((column * 32).astype(int)) == list(range(32))


def test_offsets_meet_every_phase_by_each_look() -> None:
    offsets = np.array(list(drawn_offsets((8, 16, 32), 1, np.random.default_rng(1))))[:, 0]
    assert len(offsets) == 64
    for begin, end in ((0, 16), (16, 32), (32, 64)):
        assert sorted((offsets[begin:end] * (end - begin)).astype(int)) == list(range(end - begin))


def test_solo_blocks_mirror_their_order_within_a_quad() -> None:
    record = run_pair(VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}))
    first_ones = []
    for quad_index in range(8):
        order = [b.tenants[0] for b in record.blocks if b.quad_index == quad_index and b.arm == "solo"]
        assert order == order[::-1]
        first_ones.append(order[0])
    assert set(first_ones) == {"a", "b"}


@pytest.mark.parametrize("spans_ms", [(10, 9), (60, 5), (5, 60)])
def test_a_pair_that_only_wakes_up_slowly_shows_no_slowdown(spans_ms: tuple[int, int]) -> None:
    """Lanes that have idled are slow for a while, as processors are; the lead-in of each block takes that away."""
    session = VirtualSession(2, {"a": spans_ms[0] * MS, "b": spans_ms[1] * MS}, wake_up=(1.3, 1.2, 1.1, 1.05, 1.02))
    record = run_pair(session)
    for tenant in "ab":
        assert slowdown(record, tenant)[0] == pytest.approx(1.0, abs=1e-3)


def test_a_null_on_a_device_that_wakes_up_slowly_shows_nothing() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}, wake_up=(1.4, 1.3, 1.2, 1.1, 1.05, 1.02), load_ns=400 * MS)
    bench = Bench(session, Quality(look_quads=(8,)).resolved("gpu"))
    record = null.run(bench, Cell("null", (KEYS[0], KEYS[1]), 0), [engine("a"), engine("b")], np.random.default_rng(3))
    assert slowdown(record, "a")[0] == pytest.approx(1.0, abs=1e-3)


def test_without_lead_ins_waking_up_would_look_like_a_slowdown() -> None:
    """The law above does reach what is counted: a check that the two tests before can fail."""
    session = VirtualSession(2, {"a": 60 * MS, "b": 5 * MS}, wake_up=(1.3, 1.2, 1.1, 1.05, 1.02))
    quick = {"lead_in_s": 0, "lead_in_executions": 1, "settle_s": 0, "settle_executions": 1}
    ratios = [slowdown(run_pair(session, **quick), tenant)[0] for tenant in "ab"]
    assert max(abs(ratio - 1) for ratio in ratios) > 0.01


def test_the_same_seed_gives_the_same_blocks() -> None:
    first, second = (run_pair(VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}, noise=0.02)) for _ in range(2))
    assert first.blocks == second.blocks
    assert first.executions().equals(second.executions())


def test_a_self_pair_runs_on_two_lanes() -> None:
    record = run_pair(VirtualSession(2, {"a": 10 * MS}, slowdown=(1.0, 1.5)), names=("a", "a"))
    assert [tenant.lane for tenant in record.tenants] == [0, 1]
    assert slowdown(record, "b")[0] == pytest.approx(1.5, rel=1e-6)


def test_a_null_loads_and_unloads_the_idle_tenant_and_finds_nothing() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}, noise=0.01)
    bench = Bench(session, Quality(look_quads=(8,)).resolved("gpu"))
    cell = Cell("null", (KEYS[0], KEYS[1]), 0)
    record = null.run(bench, cell, [engine("a"), engine("b")], np.random.default_rng(3))
    ratio, lower, upper = slowdown(record, "a")
    assert lower <= 1.0 <= upper
    assert ratio == pytest.approx(1.0, abs=0.02)
    assert {block.arm for block in record.blocks} == {"solo", "null"}
    assert session.loads.count(("load", 1, "b")) >= 8
    assert set(pc.unique(record.executions()["tenant"]).to_pylist()) == {"a"}


@pytest.mark.parametrize(("together", "passed"), [(1.0, True), (1.1, True), (2.0, False)])
def test_the_self_test_tells_side_by_side_from_turns(together: float, passed: bool) -> None:
    session = VirtualSession(2, {"half": 120 * MS}, slowdown=(1.0, together))
    bench = Bench(session, Quality())
    cell = self_test.cells(self_test.SelfTestSpec(kind="self_test"), KEYS, TWO)[0]
    record = self_test.run(bench, cell, [engine("half")] * 2, np.random.default_rng(0))
    assert record.self_test is not None
    assert record.self_test["passed"] is passed
    assert record.self_test["makespan_ratio"] == pytest.approx(together, rel=1e-6)


def test_solo_cells_spread_over_lanes_and_hold_enough_executions() -> None:
    cells = solo.cells(solo.SoloSpec(kind="solo"), KEYS, TWO)
    assert len(cells) == 8 * len(KEYS)
    assert [cell.options["lane"] for cell in cells[:4]] == [0, 1, 0, 1]
    bench = Bench(VirtualSession(2, {"a": MS}), Quality())
    record = solo.run(bench, cells[1], [engine("a")], np.random.default_rng(0))
    roles = record.executions()["role"].to_pylist()
    assert roles == ["warmup"] * 150 + ["solo"] * 32, "150 ms of 1 ms each lead in"
    (block,) = record.blocks
    assert block.window_end_ns - block.window_start_ns == 32 * MS


def test_an_engine_has_a_solo_profile_for_each_share_of_the_device() -> None:
    cells = solo.cells(solo.SoloSpec(kind="solo"), KEYS[:1], [Lane(40.0), Lane(30.0), Lane(30.0)])
    assert [cell.options["lane"] for cell in cells] == [0] * 8 + [1, 2] * 4


def test_pairs_are_all_unordered_ones_or_the_listed_ones() -> None:
    spec = pair.PairSpec(kind="pair")
    assert len(pair.cells(spec, KEYS, TWO)) == 6
    assert len(pair.cells(spec.model_copy(update={"self_pairs": False}), KEYS, TWO)) == 3
    listed = pair.PairSpec(kind="pair", pairs=(("c@1", "a@1"),))
    assert [cell.tenants for cell in pair.cells(listed, KEYS, TWO)] == [(KEYS[2], KEYS[0])]
    with pytest.raises(UserError, match="'d@1'"):
        pair.cells(pair.PairSpec(kind="pair", pairs=(("d@1", "a@1"),)), KEYS, TWO)
    with pytest.raises(UserError, match="at least 2 lanes"):
        pair.cells(spec, KEYS, [Lane()])


def test_kinds_are_discovered_and_unknown_ones_named() -> None:
    assert {"null", "pair", "self_test", "solo", "set", "offset_sweep", "chain", "sequential"} <= set(kind_names())
    with pytest.raises(UserError, match="did you mean `pair`"):
        experiment_kind("pairs")
