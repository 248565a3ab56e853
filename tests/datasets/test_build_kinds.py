"""Every kind of experiment by what it says of itself: several tenants, shared lanes, shares, conditions."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from raw_campaign import MS, QUALITY, SPANS_NS, Maker
from raw_campaign import Row as RawRow
from raw_serving import Turns

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.read import read_table
from cotenant.datasets.solo import SoloProfiles, granted, solo_of
from cotenant.datasets.words import KINDS
from cotenant.models.digest import digest_id

RESNET, VIT, VGG = SPANS_NS
Row = dict[str, Any]


def tables(folder: Path) -> dict[str, list[Row]]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    return {name: read_table(folder, name).to_pylist() for name in TABLES}


def only(rows: list[Row], **wanted: Any) -> Row:
    (found,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return found


def reasons(row: Row) -> dict[str, str]:
    return dict(row["null_reasons"])


@pytest.mark.parametrize("tenants", [2, 3, 4])
def test_each_of_k_tenants_has_its_slowdown_beside_all_others(tmp_path: Path, tenants: int) -> None:
    labels = [RESNET, VIT, RESNET, VGG][:tenants]
    Maker(tmp_path, noise=1e-5, quads=2, slowdown=1.5, lanes=tenants).together("set", labels)
    found = tables(tmp_path)["slowdowns"]
    assert [(row["tenant"], row["lane"]) for row in found] == list(zip("abcd", range(tenants), strict=False))
    for place, row in enumerate(found):
        assert row["slowdown_ratio"] == pytest.approx(1.5, rel=1e-4)
        assert row["co_engine_ids"] == [digest_id(label) for k, label in enumerate(labels) if k != place]


def test_the_delays_of_all_tenants_are_kept(tmp_path: Path) -> None:
    Maker(tmp_path, quads=1, lanes=3).together("set", [RESNET, VIT, VGG])
    found = tables(tmp_path)["blocks"]
    together = [row for row in found if row["arm"] == "co_run"]
    for row in together:
        first, second, third = row["offsets_ns"]
        assert (first, third) == (0, 2 * second)
    assert len({tuple(row["offsets_ns"]) for row in together}) == 2
    assert all(row["offsets_ns"] is None for row in found if row["arm"] == "solo")


class Chained(Maker):
    """Tenants a and c on lane 0, one after the other, b on lane 1 beside both."""

    def chain(self, quads: int = 2, **changes: Any) -> str:
        labels = [RESNET, VIT, VGG]
        lanes = (0, 1, 0)
        rows: list[RawRow] = []
        blocks: list[dict[str, Any]] = []
        for quad in range(quads):
            for arm in ("solo", "co_run", "co_run", "solo"):
                groups = [[0, 1, 2]] if arm == "co_run" else [[0], [1], [2]]
                for group in groups:
                    blocks.append(
                        self._burst(rows, [(place, lanes[place]) for place in group], labels, arm, quad, len(blocks))
                    )
        return self._write("chain", labels, rows, blocks, **changes)

    def _burst(
        self, rows: list[RawRow], group: list[tuple[int, int]], labels: list[str], arm: str, quad: int, index: int
    ) -> dict[str, Any]:
        begin, own = self.now_ns, []
        for turn in range(4):
            free = {lane: self.now_ns for _, lane in group}
            for place, lane in group:
                span = int(SPANS_NS[labels[place]] * (self.slowdown if arm == "co_run" else 1.0))
                own.append(("abc"[place], lane, digest_id(labels[place]), free[lane], free[lane] + span))
                free[lane] += span
            self.now_ns = max(free.values()) + MS
            if turn == 0:
                begin = self.now_ns
        role = "main" if arm == "co_run" else "solo"
        begin = min(row[3] for row in own if row[3] >= begin)
        ordered = sorted(own, key=lambda row: (row[3], row[1]))
        rows += [(*row[:3], "warmup" if row[4] <= begin else role, index, *row[3:]) for row in ordered]
        return {
            "block_index": index, "quad_index": quad, "arm": arm, "tenants": ["abc"[place] for place, _ in group],
            "window_start_ns": begin, "window_end_ns": max(row[4] for row in own),
            "offsets_ns": [0] * len(group) if len(group) > 1 else None,
        }  # fmt: skip


def test_tenants_that_share_a_lane_are_not_beside_each_other(tmp_path: Path) -> None:
    Chained(tmp_path, slowdown=1.3).chain()
    found = tables(tmp_path)
    rows = {row["tenant"]: row for row in found["slowdowns"]}
    assert {name: row["lane"] for name, row in rows.items()} == {"a": 0, "b": 1, "c": 0}
    assert {name: row["slowdown_ratio"] for name, row in rows.items()} == pytest.approx(dict.fromkeys("abc", 1.3))
    assert rows["a"]["co_engine_ids"] == rows["c"]["co_engine_ids"] == [digest_id(VIT)]
    assert rows["b"]["co_engine_ids"] == [digest_id(RESNET), digest_id(VGG)]
    (experiment,) = found["experiments"]
    assert experiment["tenants"] == ["a", "b", "c"]
    assert (experiment["tenant_engine_count"], len(experiment["deployed_engine_ids"])) == ([1, 1, 1], 3)
    assert reasons(experiment)["enqueue_bound_ratio"] == "not_applicable", "lanes pause by plan"


def test_a_planned_offset_is_that_of_the_cell(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=1)
    maker.together("offset_sweep", [RESNET, VIT], spec={"options": {"offset_ratio": 0.25}})
    maker.pair(RESNET, VIT)
    found = {row["kind"]: row for row in tables(tmp_path)["experiments"]}
    assert found["offset_sweep"]["planned_offset_ratio"] == 0.25
    assert reasons(found["pair"])["planned_offset_ratio"] == "not_applicable"


def test_solo_runs_under_a_condition_are_a_profile_of_their_own_that_nothing_is_divided_by(tmp_path: Path) -> None:
    maker = Maker(tmp_path, noise=0.0, quads=1)
    maker.solo(VIT, repeats=2)
    maker.stretched = 3.0
    maker.solo(VIT, repeats=3, condition="clock drop")
    maker.stretched = 1.0
    maker.pair(VIT, VIT)
    found = tables(tmp_path)
    plain, slow = sorted(found["solo_profiles"], key=lambda row: int(row["span_p50_ns"]))
    assert (plain["condition"], plain["span_p50_ns"], plain["block_count"]) == (None, SPANS_NS[VIT], 2)
    assert (slow["condition"], slow["span_p50_ns"], slow["block_count"]) == ("clock drop", 3 * SPANS_NS[VIT], 3)
    conditions = {row["experiment_id"]: row["condition"] for row in found["experiments"]}
    for row in found["executions"]:
        assert row["slowdown_ratio"] == row["span_ns"] / plain["span_p50_ns"]
    assert "clock drop" in conditions.values()
    assert len(found["throughputs"]) == 1


def test_nulls_under_a_condition_are_no_part_of_the_noise_floor(tmp_path: Path) -> None:
    maker = Maker(tmp_path, quads=3)
    maker.null(VIT, RESNET)
    before = tables(tmp_path)["devices"][0]
    maker.noise = 0.2
    maker.null(VIT, RESNET, condition="clock drop")
    after = tables(tmp_path)["devices"][0]
    assert before["null_experiment_count"] == after["null_experiment_count"] == 1
    assert before["noise_floor_ratio"] == after["noise_floor_ratio"]


def test_a_share_of_the_device_has_its_own_profile(tmp_path: Path) -> None:
    maker = Maker(tmp_path, noise=0.0, quads=1)
    maker.solo(VIT, repeats=1)
    maker.stretched = 2.0
    maker.solo(VIT, repeats=1, lane_share_pct=[50.0, 50.0])
    maker.pair(VIT, VIT, lane_share_pct=[50.0, 100.0])
    found = tables(tmp_path)
    assert {row["share_pct"]: row["span_p50_ns"] for row in found["solo_profiles"]} == {
        None: SPANS_NS[VIT], 50.0: 2 * SPANS_NS[VIT],
    }  # fmt: skip
    pair = only(found["experiments"], kind="pair")
    assert pair["lane_share_pct"] == [50.0, 100.0]
    for row in (row for row in found["executions"] if row["kind"] == "pair"):
        own = 2 * SPANS_NS[VIT] if row["lane"] == 0 else SPANS_NS[VIT]
        assert row["slowdown_ratio"] == row["span_ns"] / own
    assert len(found["throughputs"]) == 1


def test_turns_are_a_profile_of_each_engine_by_itself(tmp_path: Path) -> None:
    maker = Turns(tmp_path, noise=0.0)
    maker.solo(VIT, repeats=1)
    for _ in range(2):
        maker.sequential([RESNET, VIT], rounds=10)
    found = tables(tmp_path)
    rows = {(row["engine_id"], row["pattern"]): row for row in found["solo_profiles"]}
    assert set(rows) == {(digest_id(VIT), "back_to_back"), *((digest_id(x), "interleaved") for x in (RESNET, VIT))}
    for label in (RESNET, VIT):
        row = rows[digest_id(label), "interleaved"]
        assert (row["sample_count"], row["block_count"]) == (20, 2)
        assert row["span_p50_ns"] == int(SPANS_NS[label] * 1.1)
    for row in (row for row in found["executions"] if row["kind"] == "sequential"):
        own = rows.get((row["engine_id"], "back_to_back"))
        assert row["slowdown_ratio"] == (row["span_ns"] / own["span_p50_ns"] if own else None)
    chosen = {row["engine_id"]: row for row in found["throughputs"]}
    seconds = SPANS_NS[VIT] * 1e-9
    assert chosen[digest_id(VIT)]["flop_per_s"] == pytest.approx(SPANS_NS[VIT] * 30 / seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_only_open_loops_refer_to_turns(kind: str) -> None:
    common = {"engine_id": "e", "device_id": "d", "isolation": "i", "share_pct": None, "condition": None}
    rows = [{**common, "pattern": name, "span_p50_ns": 1} for name in ("interleaved", "back_to_back")]
    both = SoloProfiles(rows).of(kind, "e", "d", "i", None)
    assert both is not None
    assert both["pattern"] == solo_of(kind)[0] == ("interleaved" if kind == "serving" else "back_to_back")
    alone = SoloProfiles(rows[1:]).of(kind, "e", "d", "i", None)
    assert alone is not None
    turns = SoloProfiles(rows[:1]).of(kind, "e", "d", "i", None)
    assert (turns is not None) == (kind == "serving")
    hollow = SoloProfiles([{**rows[0], "span_p50_ns": None}, rows[1]]).of(kind, "e", "d", "i", None)
    assert hollow is not None
    assert hollow["pattern"] == "back_to_back"
    assert SoloProfiles(rows).of(kind, "e", "d", "i", 50.0) is None
    assert (granted(100.0), granted(None), granted(50.0)) == (None, None, 50.0)


@pytest.mark.parametrize(("late", "verdict"), [(0.0, []), (0.04, []), (0.5, ["enqueue_bound"])])
def test_lanes_that_ran_dry_are_told(tmp_path: Path, late: float, verdict: list[str]) -> None:
    identity = Maker(tmp_path, quads=3).pair(VIT, VIT)
    path = tmp_path / "raw" / f"{identity}.parquet"
    found = raw.read_raw(path)
    rows = found.executions.to_pylist()
    rng = np.random.default_rng(3)
    before: dict[tuple[int, int], Row] = {}
    late_ids, counted = set(), 0
    for row in rows:
        last = before.get((row["block_index"], row["lane"]))
        if last is not None:
            counted += 1
            if rng.random() < late:
                late_ids.add(row["execution_id"])
        before[row["block_index"], row["lane"]] = row
    table = found.executions.to_pandas()
    table.loc[table.execution_id.isin(late_ids), "dispatched_ns"] = table["start_ns"]
    table["dispatched_ns"] = table["dispatched_ns"].astype("int64")
    changed = pa.Table.from_pandas(table, schema=raw.RAW_EXECUTIONS, preserve_index=False).replace_schema_metadata(None)
    raw.write_raw(path.parent, identity, changed, found.metadata)
    build_dataset(tmp_path)
    (experiment,) = read_table(tmp_path, "experiments").to_pylist()
    told = [word for word in experiment["verdict_reasons"] if word == "enqueue_bound"]
    assert told == verdict
    assert experiment["enqueue_bound_ratio"] == pytest.approx(len(late_ids) / counted, abs=0.06)
    raw.write_raw(
        path.parent, identity, changed, {**found.metadata, "quality": QUALITY | {"enqueue_bound_max_ratio": 0.9}}
    )
    build_dataset(tmp_path)
    assert "enqueue_bound" not in read_table(tmp_path, "experiments").to_pylist()[0]["verdict_reasons"]
