"""Sets, sweeps, chains, turns and probes recover what a device in virtual time is known to do."""

from itertools import pairwise

import numpy as np
import pytest
from virtual_session import VirtualSession, engine

from cotenant.datasets.quads import estimate_slowdown
from cotenant.models.errors import UserError
from cotenant.profiler.experiments import chain, offset_sweep, sensitivity, sequential
from cotenant.profiler.experiments import set as set_kind
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.kinds import Cell, EngineKey
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Lane

MS = 1_000_000
TWO = [Lane()] * 2
THREE = [Lane()] * 3
KEYS = [EngineKey(name, 1, "fp32") for name in ("a", "b", "c", "d")]
SPANS = {"a": 10 * MS, "b": 7 * MS, "c": 16 * MS, "d": 5 * MS}


def bench(session: VirtualSession, **quality: object) -> Bench:
    return Bench(session, Quality.model_validate({"look_quads": (4,), **quality}).resolved("gpu"))


def slowdown(record: Record, tenant: str) -> float:
    return estimate_slowdown(record.quad_spans()[tenant], 0.05).ratio


def rows(record: Record) -> list[dict[str, object]]:
    return record.executions().to_pylist()


@pytest.mark.parametrize("lanes", [2, 3, 4])
def test_a_set_recovers_the_slowdown_of_so_many_lanes(lanes: int) -> None:
    law = (1.0, 1.3, 1.8, 2.5)
    session = VirtualSession(lanes, SPANS, slowdown=law)
    cell = Cell("set", tuple(KEYS[:lanes]), 0)
    record = set_kind.run(bench(session), cell, [engine(key.model) for key in KEYS[:lanes]], np.random.default_rng(1))
    for tenant in "abcd"[:lanes]:
        assert slowdown(record, tenant) == pytest.approx(law[lanes - 1], rel=1e-6)
    together = [block for block in record.blocks if block.arm == "co_run"]
    assert all(len(block.offsets_ns) == lanes and block.offsets_ns[0] == 0 for block in together)
    assert len({block.offsets_ns for block in together}) == 8


def test_sets_are_all_random_or_listed() -> None:
    spec = set_kind.SetSpec(kind="set")
    assert len(set_kind.cells(spec, KEYS, THREE)) == 20, "combinations of 4 with repetition, 3 at a time"
    assert len(set_kind.cells(spec.model_copy(update={"repeated": False}), KEYS, THREE)) == 4
    drawn = set_kind.SetSpec.model_validate({"kind": "set", "sets": {"count": 5, "seed": 3}, "sizes": [2, 3]})
    cells = set_kind.cells(drawn, KEYS, THREE)
    assert [len(cell.tenants) for cell in cells] == [2] * 5 + [3] * 5
    assert len({cell.tenants for cell in cells}) == 10
    assert cells == set_kind.cells(drawn, KEYS, THREE)
    listed = set_kind.SetSpec.model_validate({"kind": "set", "sets": [["c@1", "a@1", "a@1"]]})
    assert [cell.tenants for cell in set_kind.cells(listed, KEYS, THREE)] == [(KEYS[2], KEYS[0], KEYS[0])]


@pytest.mark.parametrize(
    ("keys", "lanes", "told"),
    [
        ({"sizes": [3]}, 2, "at least 3 lanes"),
        ({"sizes": [1]}, 3, "from 2"),
        ({"sets": [["a@1"]]}, 3, "fewer than 2"),
        ({"sets": [["a@1", "aa@1"]]}, 3, "did you mean 'a@1'"),
        ({"sizes": [5], "repeated": False}, 5, "finds no set"),
    ],
)
def test_sets_that_cannot_be_are_told(keys: dict[str, object], lanes: int, told: str) -> None:
    with pytest.raises(UserError, match=told):
        set_kind.cells(set_kind.SetSpec.model_validate({"kind": "set", **keys}), KEYS, [Lane()] * lanes)


def sweep(offset: float, names: str = "ab", slow: float = 1.5) -> Record:
    session = VirtualSession(2, SPANS, slowdown=(1.0, slow))
    cell = Cell("offset_sweep", (KEYS[0], KEYS[1]), 0, None, {"offset_ratio": offset})
    return offset_sweep.run(bench(session), cell, [engine(name) for name in names], np.random.default_rng(1))


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_later_tenant_begins_where_it_was_planned(offset: float) -> None:
    record = sweep(offset)
    for block in record.blocks:
        own = [row for row in rows(record) if row["block_index"] == block.block_index]
        if block.arm == "co_run":
            first, later = ([row for row in own if row["tenant"] == name] for name in "ab")
            assert len(first) == len(later) == 4
            assert {b["start_ns"] - a["start_ns"] for a, b in zip(first, later, strict=True)} == {offset * 10 * MS}
            assert block.offsets_ns == (0, offset * 10 * MS)
    assert {row["role"] for row in rows(record)} == {"warmup", "main", "solo"}


def test_slowdown_grows_with_overlap_by_the_law() -> None:
    ratios = [slowdown(sweep(offset, "aa"), "a") for offset in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert ratios[0] == pytest.approx(1.0, abs=1e-6)
    assert ratios[-1] == pytest.approx(1.5, rel=1e-6)
    assert all(more > less for less, more in pairwise(ratios))


def test_both_arms_of_a_sweep_begin_from_the_same_rest() -> None:
    """A device that wakes up slowly shows no slowdown where there is no overlap."""
    session = VirtualSession(2, SPANS, wake_up=(1.3, 1.1))
    cell = Cell("offset_sweep", (KEYS[0], KEYS[1]), 0, None, {"offset_ratio": 1.5})
    record = offset_sweep.run(bench(session), cell, [engine("a"), engine("b")], np.random.default_rng(1))
    assert slowdown(record, "a") == pytest.approx(1.0, abs=1e-6)
    assert slowdown(record, "b") == pytest.approx(1.0, abs=1e-6)


def test_a_sweep_has_a_cell_for_each_pair_and_offset() -> None:
    cells = offset_sweep.cells(offset_sweep.OffsetSweepSpec(kind="offset_sweep"), KEYS[:2], TWO)
    assert len(cells) == 3 * 5
    assert {cell.options["offset_ratio"] for cell in cells} == {0.0, 0.25, 0.5, 0.75, 1.0}
    with pytest.raises(UserError, match="from 0 to 2"):
        offset_sweep.cells(offset_sweep.OffsetSweepSpec(kind="offset_sweep", offsets=(-0.5,)), KEYS, TWO)


@pytest.mark.parametrize("lanes", [2, 3])
def test_a_chain_overlaps_short_and_then_long(lanes: int) -> None:
    """Figure 4: b is beside a for the last fifth of a's span, and then beside c until it ends."""
    session = VirtualSession(lanes, SPANS, slowdown=(1.0, 1.0, 1.0))
    keys = KEYS[: lanes + 1]
    cell = chain.cells(chain.ChainSpec(kind="chain"), keys, [Lane()] * lanes)[0]
    record = chain.run(bench(session), cell, [engine(key.model) for key in keys], np.random.default_rng(1))
    block = next(block for block in record.blocks if block.arm == "co_run")
    own = [row for row in rows(record) if row["block_index"] == block.block_index]
    first = {
        name: min((row["start_ns"], row["end_ns"]) for row in own if row["tenant"] == name)
        for name in "abcd"[: lanes + 1]
    }
    last = "abcd"[lanes]
    assert first["b"][0] - first["a"][0] == 8 * MS
    assert first[last][0] == first["a"][1], "the last follows on lane 0 as soon as a has ended"
    assert {row["lane"] for row in own if row["tenant"] in ("a", last)} == {0}
    if lanes == 2:
        assert first["a"][1] - first["b"][0] == 2 * MS, "short"
        assert first["b"][1] - first["c"][0] == 5 * MS, "long"


def test_chains_are_the_engines_in_turn_or_listed() -> None:
    spec = chain.ChainSpec(kind="chain")
    assert [len(cell.tenants) for cell in chain.cells(spec, KEYS, TWO)] == [3, 3, 3, 3]
    assert chain.cells(spec, KEYS, TWO)[3].tenants == (KEYS[3], KEYS[0], KEYS[1])
    with pytest.raises(UserError, match="3 tenants each"):
        chain.cells(chain.ChainSpec(kind="chain", chains=(("a@1", "b@1"),)), KEYS, TWO)


def test_tenants_that_take_turns_never_overlap_and_show_their_solo_span() -> None:
    session = VirtualSession(2, SPANS, slowdown=(1.0, 3.0))
    cell = sequential.cells(sequential.SequentialSpec(kind="sequential"), KEYS[:3], TWO)[0]
    record = sequential.run(bench(session), cell, [engine(key.model) for key in KEYS[:3]], np.random.default_rng(1))
    found = sorted((row["start_ns"], row["end_ns"]) for row in rows(record))
    assert all(after[0] >= before[1] for before, after in pairwise(found))
    counted = [row for row in rows(record) if row["role"] == "solo"]
    assert {(row["tenant"], row["end_ns"] - row["start_ns"]) for row in counted} == {(n, SPANS[n]) for n in "abc"}
    assert len(counted) == 3 * 32
    assert {row["role"] for row in rows(record)} == {"warmup", "solo"}


def test_turns_move_on_by_a_lane_with_each_repeat() -> None:
    cells = sequential.cells(sequential.SequentialSpec(kind="sequential"), KEYS[:3], TWO)
    assert [cell.options["lanes"] for cell in cells[:3]] == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert len(cells) == 8


def test_an_engine_is_measured_beside_every_probe_and_intensity() -> None:
    spec = sensitivity.SensitivitySpec(
        kind="sensitivity", engines=("b@1",), intensities_pct=(50, 100), calibration_pct=()
    )
    cells = sensitivity.cells(spec, KEYS, TWO)
    assert [[key.model for key in cell.tenants] for cell in cells] == [
        ["b", f"probe:{kind}:{pct}"] for kind in ("compute", "cache", "dram") for pct in (50, 100)
    ]
    with pytest.raises(UserError, match="from 0 to 100"):
        sensitivity.cells(spec.model_copy(update={"intensities_pct": (101,)}), KEYS, TWO)
    session = VirtualSession(2, {"b": 7 * MS, "probe:dram:50": 9 * MS}, slowdown=(1.0, 1.25))
    record = sensitivity.run(
        bench(session), cells[-1], [engine("b"), engine("probe:dram:50")], np.random.default_rng(1)
    )
    assert slowdown(record, "a") == pytest.approx(1.25, rel=1e-6)
