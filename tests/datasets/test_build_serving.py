"""Serving: labels divide by turns, lone rows tell whether that was right, what was known at dispatch is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from raw_campaign import SPANS_NS
from raw_serving import HALVES, Turns

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.read import read_table

RESNET, VIT, _ = SPANS_NS
Row = dict[str, Any]


def tables(folder: Path) -> dict[str, list[Row]]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    return {name: read_table(folder, name).to_pylist() for name in TABLES}


def campaign(folder: Path, served: dict[str, Any] | None = None, lone: float = 1.1, **changes: Any) -> Turns:
    made = Turns(folder)
    made.lone_ratio = lone
    made.self_test()
    for label in (RESNET, VIT):
        made.solo(label, repeats=1)
    for _ in range(8):
        made.sequential([RESNET, VIT])
    made.serving([RESNET, VIT], served=served, **changes)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("serving")
    campaign(place, condition="load 0.6")
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, list[Row]]:
    return tables(folder)


def served(found: dict[str, list[Row]]) -> Row:
    (row,) = [row for row in found["experiments"] if row["kind"] == "serving"]
    return row


def of_serving(found: dict[str, list[Row]]) -> list[Row]:
    return [row for row in found["executions"] if row["kind"] == "serving" and row["block_index"] == 1]


def test_slowdowns_of_serving_refer_to_turns(found: dict[str, list[Row]]) -> None:
    turns = {row["engine_id"]: row for row in found["solo_profiles"] if row["pattern"] == "interleaved"}
    assert len(turns) == 2
    for row in found["executions"]:
        if row["kind"] == "serving":
            assert row["slowdown_ratio"] == row["span_ns"] / turns[row["engine_id"]]["span_p50_ns"]
            assert row["interference_ratio"] == row["span_ns"] / turns[row["engine_id"]]["span_p95_ns"]


def test_the_turns_around_serving_count_whatever_its_load(found: dict[str, list[Row]]) -> None:
    """8 experiments of 40 rounds, and 20 before and 20 after serving, whose condition is its load."""
    turns = [row for row in found["solo_profiles"] if row["pattern"] == "interleaved"]
    assert [(row["sample_count"], row["block_count"], row["condition"]) for row in turns] == [(360, 10, None)] * 2


def test_drift_is_told_by_the_turns_before_and_after(found: dict[str, list[Row]]) -> None:
    assert 1.0 <= served(found)["canary_drift_ratio"] < 1.005


@pytest.mark.parametrize(("ratio", "reasons"), [(1.2, ["canary_drift"]), (0.8, ["canary_drift"]), (1.05, [])])
def test_turns_that_changed_meanwhile_are_told(tmp_path: Path, ratio: float, reasons: list[str]) -> None:
    maker = Turns(tmp_path)
    maker.late_ratio = ratio
    maker.serving([RESNET, VIT], groups=3)
    row = served(tables(tmp_path))
    assert row["canary_drift_ratio"] == pytest.approx(max(ratio, 1 / ratio), rel=0.01)
    assert [word for word in row["verdict_reasons"] if word == "canary_drift"] == reasons


def test_what_the_run_says_of_itself_is_kept(folder: Path, found: dict[str, list[Row]]) -> None:
    row = served(found)
    said = raw.read_metadata(folder / "raw" / f"{row['experiment_id']}.parquet")["serving"]
    names = ("offered_load", "concurrency", "generator_lag_p99_ns", "generator_lag_limit_ns", "stationary", *HALVES)
    assert {name: row[name] for name in names} == {name: said[name] for name in names}
    assert all(row[name] for name in names)
    assert (row["verdict"], row["verdict_reasons"], row["condition"]) == ("ok", [], "load 0.6")
    assert row["request_count"] == len(found["requests"]) == 322


def test_lone_rows_are_those_that_nobody_ran_beside(found: dict[str, list[Row]]) -> None:
    row = served(found)
    beside = {(o["experiment_id"], o["execution_id"]) for o in found["overlaps"] if o["co_count"]}
    main = [e for e in of_serving(found) if e["role"] == "main" and e["censored"] != "left"]
    lone = [e for e in main if (e["experiment_id"], e["execution_id"]) not in beside]
    assert row["lone_execution_count"] == len(lone) > 100
    assert row["lone_slowdown_ratio"] == pytest.approx(np.median([e["slowdown_ratio"] for e in lone]), rel=0.002)
    assert row["lone_slowdown_lower_ratio"] < 1 < row["lone_slowdown_upper_ratio"]
    assert row["lone_slowdown_upper_ratio"] < 1.01
    together = [e["slowdown_ratio"] for e in main if e not in lone]
    assert np.median(together) == pytest.approx(1.2, rel=0.01)


def test_what_was_known_at_dispatch_stands_beside_each_batch(found: dict[str, list[Row]]) -> None:
    rows = of_serving(found)
    names = ("in_flight_execution_ids", "remaining_solo_ns", "queued_count", "queue_age_ns", "arrival_items_per_s")
    assert [rows[0][name] for name in names] == [[], [], [0, 0], [None, None], [50.0, None]]
    assert [rows[2][name] for name in names] == [[], [], [0, 1], [None, 200_000], [50.0, 40.0]]
    assert [rows[3][name] for name in names] == [
        [rows[2]["execution_id"]], [7_000_000], [0, 0], [None, None], [50.0, 40.0],
    ]  # fmt: skip
    turns = [row for row in found["executions"] if row["kind"] == "serving" and row["block_index"] != 1]
    assert {row[name] for row in turns for name in names} == {None}


def test_requests_are_kept_with_what_became_of_them(found: dict[str, list[Row]]) -> None:
    *rows, dropped, unfinished = found["requests"]
    executions = {row["execution_id"]: row for row in found["executions"] if row["kind"] == "serving"}
    assert {row["outcome"] for row in rows} == {"served"}
    for row in rows:
        execution = executions[row["execution_id"]]
        assert (row["tenant"], row["done_ns"]) == (execution["tenant"], execution["end_ns"])
        assert (row["deadline_ns"] is None) == (row["tenant"] == "a")
    assert (dropped["outcome"], dropped["blocked_ns"], dropped["latency_ns"]) == ("dropped", None, None)
    assert (unfinished["outcome"], unfinished["blocked_ns"], unfinished["execution_id"]) == ("unfinished", 0, None)
    told = dict(served(found)["null_reasons"])
    assert {told[f"requests.{name}"] for name in ("latency_ns", "execution_id", "blocked_ns")} == {"not_served"}
    assert told["requests.deadline_ns"] == "not_applicable"


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"offered_load": 1.2}, ["overload"]),
        ({"stationary": False}, ["not_stationary"]),
        ({"generator_lag_p99_ns": 2_000_000}, ["generator_lag"]),
    ],
)
def test_facts_of_the_run_lead_to_verdicts(tmp_path: Path, changes: dict[str, Any], reasons: list[str]) -> None:
    campaign(tmp_path, changes)
    row = served(tables(tmp_path))
    assert (row["verdict"], row["verdict_reasons"]) == ("marked", reasons)


def test_lone_rows_that_take_longer_than_turns_are_told(tmp_path: Path) -> None:
    campaign(tmp_path, lone=1.15)
    row = served(tables(tmp_path))
    assert row["lone_slowdown_ratio"] == pytest.approx(1.15 / 1.1, rel=0.003)
    assert (row["verdict"], row["verdict_reasons"]) == ("marked", ["solo_not_representative"])


def test_a_load_that_changes_has_no_halves(tmp_path: Path) -> None:
    unknown = dict.fromkeys(("stationary", *HALVES))
    campaign(tmp_path, {"pieces": [{}, {}], **unknown})
    told = dict(served(tables(tmp_path))["null_reasons"])
    assert {told[name] for name in unknown} == {"load_changes"}


def test_without_profiles_nothing_is_known_of_lone_rows(tmp_path: Path) -> None:
    Turns(tmp_path).serving([RESNET, VIT], groups=3)
    row = served(tables(tmp_path))
    told = dict(row["null_reasons"])
    assert row["lone_slowdown_ratio"] is not None, "the turns around it are a profile"
    assert "too_few_samples" in row["verdict_reasons"] or row["lone_slowdown_lower_ratio"] is not None
    assert told.get("lone_slowdown_lower_ratio", "too_few_blocks") == "too_few_blocks"


@pytest.mark.parametrize(
    ("sibling", "change", "says"),
    [
        ("dispatches", lambda rows: rows[1:], "its dispatches are not those of its executions, one each"),
        ("dispatches", lambda rows: [*rows, rows[0]], "its dispatches are not those of its executions, one each"),
        ("requests", lambda rows: rows[1:], "requests are not numbered"),
        ("requests", lambda rows: [{**rows[0], "tenant": "z"}, *rows[1:]], "z is none of a, b"),
        ("requests", lambda rows: [{**rows[0], "outcome": "lost"}, *rows[1:]], "lost is none of served"),
        ("requests", lambda rows: [{**rows[0], "marks": ["odd"]}, *rows[1:]], "odd is none of lagged"),
        ("requests", lambda rows: [{**rows[0], "execution_id": 10**6}, *rows[1:]], "by an execution that there is not"),
    ],
)
def test_siblings_that_do_not_fit_are_refused(tmp_path: Path, sibling: str, change: Any, says: str) -> None:
    identity = Turns(tmp_path).serving([RESNET, VIT], groups=3)
    path = tmp_path / "raw" / f"{identity}.parquet"
    whole = raw.read_raw(path)
    tables_ = {name: raw.read_sibling(path, whole.metadata, name) for name in ("requests", "dispatches")}
    kept = {name: table for name, table in tables_.items() if table is not None}
    kept[sibling] = pa.Table.from_pylist(change(kept[sibling].to_pylist()), schema=kept[sibling].schema)
    raw.write_raw(path.parent, identity, whole.executions, whole.metadata, kept)
    with pytest.raises(raw.RawDamagedError, match=says) as caught:
        build_dataset(tmp_path)
    assert str(path) in str(caught.value)


def test_an_exchanged_sibling_is_refused(tmp_path: Path) -> None:
    Turns(tmp_path).serving([RESNET, VIT], groups=3)
    (sibling,) = (tmp_path / "raw").glob("*.requests.parquet")
    sibling.write_bytes(sibling.read_bytes() + b".")
    with pytest.raises(raw.RawDamagedError, match=r"lists another .*requests\.parquet than there is"):
        build_dataset(tmp_path)
