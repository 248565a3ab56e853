"""Rows of executions and overlaps: who is cut by the window, who ran beside such a one, who does not see whom."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_campaign import Row as RawRow
from raw_campaign import engine, executions_table, metadata

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.read import read_table
from cotenant.models.digest import digest_id

MODELS = ("resnet18@1", "vit_ti_16@1", "vgg11@2")
ENGINES = [digest_id(label) for label in MODELS]
Spans = list[tuple[int, int]]  # of one lane, by time
BY_HAND = {"ids", "windows"}  # of checks: ids are no digests here, and windows are where no run would put them


def write(folder: Path, name: str, lanes: list[Spans], window: tuple[int, int], clock_error_ns: int = 0) -> None:
    """An experiment of one co-run block whose tenants a, b, c run on lanes 0, 1, 2."""
    rows: list[RawRow] = [
        ("abc"[lane], lane, ENGINES[lane], role(start, end, window), 0, start, end)
        for lane, spans in enumerate(lanes)
        for start, end in spans
    ]
    block = {
        "block_index": 0, "quad_index": 0, "arm": "co_run", "tenants": list("abc"[: len(lanes)]),
        "window_start_ns": window[0], "window_end_ns": window[1], "offsets_ns": None,
    }  # fmt: skip
    tenants = [{"tenant": "abc"[lane], "lane": lane, "engine_ids": [ENGINES[lane]]} for lane in range(len(lanes))]
    facts = metadata(
        experiment_id=name, kind="set", engines=[engine(label) for label in MODELS], tenants=tenants, blocks=[block],
        lane_count=len(lanes), clock_error_ns=clock_error_ns,
    )  # fmt: skip
    (folder / "raw").mkdir(exist_ok=True)
    raw.write_raw(folder / "raw", name, executions_table(rows), facts)


def role(start: int, end: int, window: tuple[int, int]) -> str:
    return "warmup" if end <= window[0] else "tail" if start >= window[1] else "main"


def built(folder: Path, table: str) -> list[dict[str, Any]]:
    build_dataset(folder)
    assert {finding.check for finding in check_dataset(folder).findings} <= BY_HAND
    return list(read_table(folder, table).to_pylist())


#   a  |----0----|---------1---------|----2----|         |---------3---------|-4--|
#   b              |--5--|------------6-------------|-7-|        |------8------|
#                     [.................................................) window
LANE_A = [(0, 10), (10, 30), (30, 40), (50, 70), (70, 75)]
LANE_B = [(12, 18), (18, 45), (45, 49), (58, 72)]
CENSORED = ["left", "left", "none", "right", "right", "left", "none", "none", "right"]
CO_CENSORED = ["none", "left", "none", "right", "right", "left", "left", "none", "right"]


@pytest.fixture(scope="module")
def executions(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("rows")
    write(folder, "e0", [LANE_A, LANE_B], (15, 65))
    return built(folder, "executions")


def test_censored_are_those_with_an_end_outside_the_window(executions: list[dict[str, Any]]) -> None:
    assert [row["censored"] for row in executions] == CENSORED


def test_co_censored_are_those_beside_such(executions: list[dict[str, Any]]) -> None:
    assert [row["co_censored"] for row in executions] == CO_CENSORED


def test_roles_tell_warm_up_and_tail(executions: list[dict[str, Any]]) -> None:
    assert [row["role"] for row in executions] == ["warmup", *["main"] * 3, "tail", *["main"] * 4]


def test_the_first_of_a_tenant_is_cold(executions: list[dict[str, Any]]) -> None:
    assert [row["execution_id"] for row in executions if row["marks"] == ["cold"]] == [0, 5]
    assert all(row["marks"] in ([], ["cold"]) for row in executions)


def test_an_execution_across_the_whole_window_is_censored_on_both_sides(tmp_path: Path) -> None:
    write(tmp_path, "e0", [[(0, 100)], [(20, 40)]], (10, 60))
    long, short = built(tmp_path, "executions")
    assert (long["censored"], long["co_censored"]) == ("both", "none")
    assert (short["censored"], short["co_censored"]) == ("none", "both")


def test_the_window_is_half_open_too(tmp_path: Path) -> None:
    write(tmp_path, "e0", [[(0, 10), (10, 60), (60, 70)], [(10, 60)]], (10, 60))
    rows = built(tmp_path, "executions")
    assert [row["censored"] for row in rows] == ["left", "none", "right", "none"]
    assert [row["role"] for row in rows] == ["warmup", "main", "tail", "main"]
    assert [row["co_censored"] for row in rows] == ["none"] * 4, "those that touch do not overlap"


@pytest.mark.parametrize(("clock_error_ns", "short"), [(0, 0), (10, 0), (11, 2), (100, 3)])
def test_intervals_below_the_clock_error_are_flagged_and_kept(tmp_path: Path, clock_error_ns: int, short: int) -> None:
    write(tmp_path, "e0", [[(0, 30)], [(20, 30)]], (20, 30), clock_error_ns)
    rows = built(tmp_path, "overlaps")
    assert [(row["execution_id"], row["start_ns"], row["end_ns"]) for row in rows] == [
        (0, 0, 20), (0, 20, 30), (1, 20, 30),
    ]  # fmt: skip
    assert sum(row["below_clock_error"] for row in rows) == short


@st.composite
def lanes(draw: st.DrawFn) -> list[Spans]:
    steps = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), min_size=1, max_size=6)
    found = []
    for _ in range(draw(st.integers(1, 3))):
        time, spans = 0, []
        for gap, span in draw(steps):
            spans.append((time + gap, time + gap + span))
            time += gap + span
        found.append(spans)
    return found


def oracle(experiment_id: str, own: list[Spans]) -> list[tuple[str, int, int, int, int, list[int], list[str]]]:
    """Rows of one experiment by asking of each elementary segment who runs."""
    flat = [(lane, start, end) for lane, spans in enumerate(own) for start, end in spans]
    rows = []
    for execution, (_, start, end) in enumerate(flat):
        inner = sorted({stamp for _, s, e in flat for stamp in (s, e) if start <= stamp <= end})
        interval, before = -1, None
        for left, right in pairwise(inner):
            others = [k for k, (_, s, e) in enumerate(flat) if k != execution and s <= left and right <= e]
            if others == before:
                rows[-1] = (*rows[-1][:4], right, *rows[-1][5:])
                continue
            interval, before = interval + 1, others
            rows.append(
                (experiment_id, execution, interval, left, right, others, [ENGINES[flat[k][0]] for k in others])
            )
    return rows


@settings(max_examples=25, deadline=None)
@given(st.lists(lanes(), min_size=1, max_size=4))
def test_experiments_share_their_stamps_but_do_not_see_each_other(experiments: list[list[Spans]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        for index, own in enumerate(experiments):
            write(Path(temporary), f"e{index}", own, (0, 100))
        names = ("experiment_id", "execution_id", "interval_index", "start_ns", "end_ns")
        rows = [
            (*(row[name] for name in names), row["co_execution_ids"], row["co_engine_ids"])
            for row in built(Path(temporary), "overlaps")
        ]
    assert rows == [row for index, own in enumerate(experiments) for row in oracle(f"e{index}", own)]


def test_two_at_once_on_one_lane_are_found_by_the_check(tmp_path: Path) -> None:
    write(tmp_path, "e0", [[(0, 30), (20, 40)]], (0, 40))
    build_dataset(tmp_path)
    findings = check_dataset(tmp_path).findings
    assert {finding.check for finding in findings} - BY_HAND == {"lanes"}
