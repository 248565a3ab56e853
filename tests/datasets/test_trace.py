"""Timelines read back: every slice, arrow and counter is what the tables say, to the ns."""

import itertools
import json
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_campaign import SPANS_NS
from raw_serving import Turns

from cotenant.datasets.build import build_dataset
from cotenant.datasets.read import read_table
from cotenant.datasets.trace import _Places, experiment_list, pieces_of_experiment, write_trace
from cotenant.datasets.trace_events import LANES, NOT_SERVED, TENANTS, WINDOWS, level, microseconds, thread_id
from cotenant.models.errors import UserError, WorkError

RESNET, VIT, _ = SPANS_NS
Row = dict[str, Any]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    made = Turns(folder, quads=2)
    made.self_test()
    for label in (RESNET, VIT):
        made.solo(label, repeats=1)
    made.sequential([RESNET, VIT])
    made.pair(RESNET, VIT)
    made.serving([RESNET, VIT], groups=20)
    build_dataset(folder)
    return folder


def of_kind(folder: Path, kind: str) -> str:
    return str(next(row["experiment_id"] for row in experiment_list(folder) if row["kind"] == kind))


def rows_of(folder: Path, table: str, experiment_id: str) -> list[Row]:
    return [row for row in read_table(folder, table).to_pylist() if row["experiment_id"] == experiment_id]


class Timeline:
    """A trace file as a viewer reads it, but for exact times."""

    def __init__(self, folder: Path, kind: str, out: Path) -> None:
        self.experiment_id = of_kind(folder, kind)
        self.done = write_trace(folder, self.experiment_id, out)
        self.file = json.loads(out.read_text(), parse_float=Decimal)
        self.events = self.file["traceEvents"]
        self.origin_ns = int(self.file["otherData"]["origin_ns"])

    def of(self, phase: str, process_id: int | None = None) -> list[Row]:
        return [e for e in self.events if e["ph"] == phase and process_id in (None, e["pid"])]

    def start_ns(self, event: Row) -> int:
        return self.exact_ns(event["ts"]) + self.origin_ns

    def exact_ns(self, time_us: Decimal) -> int:
        assert time_us * 1000 == int(time_us * 1000)
        return int(time_us * 1000)

    def slices(self, process_id: int) -> list[tuple[int, int, Row]]:
        return [(self.start_ns(e), self.start_ns(e) + self.exact_ns(e["dur"]), e) for e in self.of("X", process_id)]

    def counter(self, name: str) -> list[tuple[int, Any]]:
        return [(self.start_ns(e), *e["args"].values()) for e in self.of("C") if e["name"] == name]


@pytest.fixture(params=["self_test", "solo", "pair", "serving"])
def timeline(measured: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Timeline:
    return Timeline(measured, request.param, tmp_path / "trace.json")


def stepwise(rises: list[int], falls: list[int]) -> list[tuple[int, int]]:
    """How many there are after each moment at which that changes."""
    steps = Counter(rises)
    steps.subtract(falls)
    found, count = [], 0
    for at in sorted(steps):
        count += steps[at]
        if steps[at]:
            found.append((at, count))
    return found


def test_lanes_show_every_execution(measured: Path, timeline: Timeline) -> None:
    expected = rows_of(measured, "executions", timeline.experiment_id)
    engines = {
        row["engine_id"]: f"{row['model']}@{row['batch_size']}" for row in read_table(measured, "engines").to_pylist()
    }
    shown = timeline.slices(LANES)
    assert len(shown) == len(expected)
    for (start_ns, end_ns, event), row in zip(shown, expected, strict=True):
        assert (start_ns, end_ns, event["tid"]) == (row["start_ns"], row["end_ns"], thread_id(LANES, row["lane"]))
        assert event["name"] == event["args"]["engine"] == engines[row["engine_id"]]
        assert event["cat"] == row["role"]
        told = {key: float(v) if isinstance(v, Decimal) else v for key, v in event["args"].items() if key != "engine"}
        assert told == {key: value for key, value in row.items() if key != "experiment_id"}


def test_the_file_is_what_viewers_take(timeline: Timeline) -> None:
    assert list(timeline.file) == ["displayTimeUnit", "otherData", "traceEvents"]
    assert timeline.file["displayTimeUnit"] == "ns"
    assert timeline.file["otherData"]["experiment_id"] == timeline.experiment_id
    assert timeline.done.event_count == len(timeline.events)
    assert {e["ph"] for e in timeline.events} <= {"M", "X", "C", "s", "f", "i"}
    for event in timeline.events:
        assert event["ph"] == "M" or event["ts"] >= 0
        assert event["ph"] != "X" or event["dur"] >= 0
        if event["ph"] != "M":  # what a viewer makes of it: a 64-bit float of us, rounded to ns
            assert round(float(event["ts"]) * 1000) == timeline.exact_ns(event["ts"])
    named = {(e["pid"], e["tid"]) for e in timeline.of("M") if e["name"] == "thread_name"}
    used = {(e["pid"], e["tid"]) for e in timeline.events if e["ph"] in "Xsfi"}
    assert used <= named, "every track has a name"


def test_slices_of_a_track_never_overlap(timeline: Timeline) -> None:
    for process_id in {e["pid"] for e in timeline.events}:
        tracks: dict[int, list[tuple[int, int]]] = {}
        for start_ns, end_ns, event in timeline.slices(process_id):
            tracks.setdefault(event["tid"], []).append((start_ns, end_ns))
        for track in tracks.values():
            track.sort()
            assert all(one[1] <= other[0] for one, other in itertools.pairwise(track))


def test_windows_are_those_of_the_blocks(measured: Path, timeline: Timeline) -> None:
    blocks = rows_of(measured, "blocks", timeline.experiment_id)
    shown = [(start, end, e["args"]["block_index"]) for start, end, e in timeline.slices(WINDOWS)]
    assert shown == [(row["window_start_ns"], row["window_end_ns"], row["block_index"]) for row in blocks]


def test_running_is_how_many_run(measured: Path, timeline: Timeline) -> None:
    rows = rows_of(measured, "executions", timeline.experiment_id)
    expected = stepwise([row["start_ns"] for row in rows], [row["end_ns"] for row in rows])
    assert timeline.counter("running") == expected
    assert expected[-1][1] == 0


def test_requests_point_at_their_batches(measured: Path, tmp_path: Path) -> None:
    timeline = Timeline(measured, "serving", tmp_path / "trace.json")
    rows = rows_of(measured, "requests", timeline.experiment_id)
    executions = rows_of(measured, "executions", timeline.experiment_id)
    for place, tenant in enumerate("ab"):
        process_id = TENANTS + place
        own = [row for row in rows if row["tenant"] == tenant]
        served = [row for row in own if row["execution_id"] is not None]
        shown = timeline.slices(process_id)
        assert [(s, e, ev["args"]["request_id"]) for s, e, ev in shown] == [
            (row["intended_arrival_ns"], row["done_ns"], row["request_id"]) for row in served
        ]
        for (_, _, event), row in zip(shown, served, strict=True):
            assert event["args"] == {key: value for key, value in row.items() if key != "experiment_id"}
        begins = {e["id"]: e for e in timeline.of("s", process_id)}
        ends = {e["id"]: e for e in timeline.of("f", LANES)}
        for (_, _, slice_), row in zip(shown, served, strict=True):
            begin, end = begins[row["request_id"]], ends[row["request_id"]]
            batch = executions[row["execution_id"]]
            assert (timeline.start_ns(begin), begin["tid"]) == (row["batched_ns"], slice_["tid"])
            assert (timeline.start_ns(end), end["tid"]) == (batch["start_ns"], thread_id(LANES, batch["lane"]))
            assert begin["name"] == end["name"] == begin["cat"] == end["cat"], "viewers match arrows by these"
        instants = [(timeline.start_ns(e), e["name"], e["tid"]) for e in timeline.of("i", process_id)]
        left = [row for row in own if row["execution_id"] is None]
        assert instants == [
            (row["intended_arrival_ns"], row["outcome"], thread_id(process_id, NOT_SERVED)) for row in left
        ]
        queued = [row for row in own if row["outcome"] != "dropped"]
        batched = [row["batched_ns"] for row in queued if row["batched_ns"] is not None]
        assert timeline.counter(f"queued {tenant}") == stepwise([r["intended_arrival_ns"] for r in queued], batched)
    assert len(timeline.of("s")) == len(timeline.of("f")) > 50


def bound(events: list[Row]) -> dict[int, tuple[int, int]]:
    """Bind arrows as viewers do: what is at both ends of each, request_id and execution_id.

    Events go by time, then by place in the file. An arrow begins at the open slice of its track and ends at the slice
    that begins next.
    """
    opened: dict[int, tuple[Decimal, Row]] = {}
    begun: dict[int, int] = {}
    pending: dict[int, list[int]] = {}
    found = {}
    for event in sorted((e for e in events if e["ph"] in "Xsf"), key=lambda e: e["ts"]):
        track = event["tid"]
        if event["ph"] == "X":
            for arrow in pending.pop(track, []):
                found[arrow] = (begun[arrow], event["args"]["execution_id"])
            opened[track] = (event["ts"] + event["dur"], event["args"])
        elif event["ph"] == "s":
            end, args = opened[track]
            assert event["ts"] < end
            begun[event["id"]] = args["request_id"]
        else:
            pending.setdefault(track, []).append(event["id"])
    assert not pending
    return found


def test_viewers_bind_arrows_to_the_batch(measured: Path, tmp_path: Path) -> None:
    timeline = Timeline(measured, "serving", tmp_path / "trace.json")
    rows = rows_of(measured, "requests", timeline.experiment_id)
    expected = {r["request_id"]: (r["request_id"], r["execution_id"]) for r in rows if r["execution_id"] is not None}
    assert bound(timeline.events) == expected


def test_tracks_have_ids_of_their_own(timeline: Timeline) -> None:
    owners = {(e["tid"], e["pid"]) for e in timeline.events}
    assert len(owners) == len(dict(owners)), "no thread id in two processes"
    assert 0 not in dict(owners)


def test_closed_loops_have_no_requests(measured: Path, tmp_path: Path) -> None:
    timeline = Timeline(measured, "pair", tmp_path / "trace.json")
    assert {e["pid"] for e in timeline.events} == {WINDOWS, LANES}
    assert {e["name"] for e in timeline.of("C")} == {"running"}


def test_telemetry_becomes_counters(measured: Path, tmp_path: Path) -> None:
    experiment_id = of_kind(measured, "pair")
    begin = rows_of(measured, "executions", experiment_id)[0]["start_ns"]
    part = measured / "dataset" / "telemetry" / "part-0.parquet"
    before = part.read_bytes()
    table = pa.table(
        {
            "experiment_id": pa.array(["other", experiment_id, experiment_id]).dictionary_encode(),
            "t_ns": [0, begin + 5, begin + 7],
            "sm_clock_mhz": [1, 1980, 1965],
            "power_mw": [1, None, 350_000],
            "marks": [["x"], [], []],
        }
    )
    pq.write_table(table, part)
    try:
        timeline = Timeline(measured, "pair", tmp_path / "trace.json")
    finally:
        part.write_bytes(before)
    assert timeline.counter("sm_clock_mhz") == [(begin + 5, 1980), (begin + 7, 1965)]
    assert timeline.counter("power_mw") == [(begin + 7, 350_000)]
    assert {e["name"] for e in timeline.of("C")} == {"running", "sm_clock_mhz", "power_mw"}


@pytest.mark.parametrize("group_rows", [1, 100, 10**6])
def test_only_one_experiments_rows_are_read(measured: Path, tmp_path: Path, group_rows: int) -> None:
    dataset = tmp_path / "dataset"
    (dataset / "experiments").mkdir(parents=True)
    (dataset / "executions").mkdir()
    rows = read_table(measured, "executions")[:500] if group_rows == 1 else read_table(measured, "executions")
    pq.write_table(rows, dataset / "executions" / "part-0.parquet", row_group_size=group_rows)
    for experiment_id in rows["experiment_id"].unique().to_pylist():
        expected = [row for row in rows.to_pylist() if row["experiment_id"] == experiment_id]
        found = [
            row for piece in pieces_of_experiment(dataset, "executions", experiment_id) for row in piece.to_pylist()
        ]
        assert found == expected
    assert list(pieces_of_experiment(dataset, "executions", "no such")) == []


def test_an_experiment_is_named_by_number_or_beginning(measured: Path, tmp_path: Path) -> None:
    ids = [row["experiment_id"] for row in experiment_list(measured)]
    assert write_trace(measured, "2", tmp_path / "a.json").experiment_id == ids[1]
    assert write_trace(measured, ids[2][:12], tmp_path / "b.json").experiment_id == ids[2]
    for wrong, says in (
        ("0", "from 1 to 6"),
        ("7", "from 1 to 6"),
        ("xyz", "no experiment's id"),
        ("", "6 experiments"),
    ):
        with pytest.raises(UserError, match=says):
            write_trace(measured, wrong, tmp_path / "c.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


@given(st.integers(0, 10**15))
def test_times_lose_nothing(time_ns: int) -> None:
    assert Decimal(microseconds(time_ns)) * 1000 == time_ns


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=30))
def test_level_and_places_of_any_schedule(spans: list[tuple[int, int]]) -> None:
    spans = sorted((begin, begin + length) for begin, length in spans)
    rises, falls = [begin for begin, _ in spans], [end for _, end in spans]
    times, counts = level(np.array(rises, np.int64), np.array(falls, np.int64))
    expected = stepwise(rises, falls)
    assert list(zip(times.tolist(), counts.tolist(), strict=True)) == expected
    places = _Places()
    taken = [places.take(begin, end) for begin, end in spans]
    most = max((sum(b <= at < e for b, e in spans) for at in rises), default=0)
    assert places.count == most, "no more tracks than needed"
    for one in range(len(spans)):
        for other in range(one):
            if taken[one] == taken[other]:
                assert spans[other][1] <= spans[one][0]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("tenant", "z", "of 'z', which is no tenant"),
        ("execution_id", 10**6, "of execution 1000000"),
        ("done_ns", None, "not serve"),
    ],
)
def test_requests_that_refer_to_nothing_are_told(
    measured: Path, tmp_path: Path, column: str, value: Any, says: str
) -> None:
    folder = Path(shutil.copytree(measured / "dataset", tmp_path / "dataset"))
    path = next((folder / "requests").rglob("*.parquet"))
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[3][column] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    with pytest.raises(WorkError, match=says):
        write_trace(folder, of_kind(folder, "serving"), tmp_path / "trace.json")
    assert not (tmp_path / "trace.json").exists()
