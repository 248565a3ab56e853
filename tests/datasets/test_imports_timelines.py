"""Timelines of trtexec and Nsight Systems become executions, and everything that is derived from executions holds."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.imports.nsys import KERNELS, Kernels, read_kernels, stamps_of
from cotenant.datasets.imports.origin import origin_of
from cotenant.datasets.imports.timeline import ImportedTimeline, import_timeline
from cotenant.datasets.imports.timeline_mapping import timeline_mapping
from cotenant.datasets.merge import merge_campaigns
from cotenant.datasets.read import read_table
from cotenant.models.errors import UserError

Row = dict[str, Any]
Kernel = tuple[int, int, int, int]  # start, end, stream, process
PROCESS = 4242


def mapping(form: str, *tenants: Row, **changes: Any) -> Row:
    device = {"name": "L4", "kind": "gpu", "sm_count": 58}
    common = {"device": device, "runner": "tensorrt", "isolation": "streams", "clock_error_ns": 32}
    return {"format": form, **common, "tenants": list(tenants), **changes}


RESNET: Row = {"model": "resnet50", "batch": 8}
TRTEXEC = mapping("trtexec", RESNET)
NSYS = mapping(
    "nsys", {**RESNET, "stream": 7, "gap_ns": 500}, {"model": "vgg19", "batch": 4, "stream": 14, "kernel_count": 2}
)


def imported(source: Path, content: Row, out: Path) -> ImportedTimeline:
    return import_timeline(source, content, "m.yaml", origin_of(source, content, "m.yaml", {"cotenant": "1"}), out)


def tables(out: Path) -> dict[str, list[Row]]:
    report = check_dataset(out)
    assert report.findings == []
    return {name: read_table(out, name).to_pylist() for name in TABLES}


def trtexec_file(path: Path, runs: Sequence[tuple[float, float]], copy_ms: float = 0.0) -> Path:
    """What --exportTimes writes, warm-ups trimmed."""
    told = [
        {
            "startEnqMs": start - 0.1, "endEnqMs": start - 0.05, "startH2dMs": start - copy_ms, "endH2dMs": start,
            "startComputeMs": start, "endComputeMs": end, "startD2hMs": end, "endD2hMs": end + copy_ms,
            "h2dMs": copy_ms, "computeMs": end - start, "d2hMs": copy_ms, "latencyMs": end - start,
        }
        for start, end in runs
    ]  # fmt: skip
    path.write_text(json.dumps(told))
    return path


def sqlite_file(path: Path, kernels: Sequence[Kernel]) -> Path:
    """What `nsys export --type sqlite` writes, as far as kernels go."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT NOT NULL)")
        database.execute(
            f"CREATE TABLE {KERNELS} (start INT NOT NULL, end INT NOT NULL, deviceId INT NOT NULL, "
            "contextId INT NOT NULL, streamId INT NOT NULL, globalPid INT, shortName INT NOT NULL)"
        )
        database.executemany(
            f"INSERT INTO {KERNELS} VALUES (?, ?, 0, 1, ?, ?, 1)",
            [(start, end, stream, 1 << 48 | process << 24) for start, end, stream, process in kernels],
        )
    database.close()
    return path


def co_run_kernels() -> list[Kernel]:
    """Stream 7: runs of three kernels 100 ns apart, 1000 ns between runs; stream 14: runs of two, back to back."""
    left = [
        (10_000 + run * 4300 + place * 1100, 11_000 + run * 4300 + place * 1100)
        for run in range(20)
        for place in range(3)
    ]
    right = [(15_000 + place * 2500, 17_500 + place * 2500) for place in range(40)]
    return sorted([*((*each, 7, PROCESS) for each in left), *((*each, 14, PROCESS) for each in right)])


def test_a_trtexec_file_makes_a_solo_profile(tmp_path: Path) -> None:
    runs = [(place * 2.5, place * 2.5 + 2.0 + (place % 7) * 0.015625) for place in range(300)]
    done = imported(trtexec_file(tmp_path / "times.json", runs), TRTEXEC, tmp_path / "out")
    assert done.execution_counts == {"a": 300}
    found = tables(tmp_path / "out")
    assert [(row["start_ns"], row["end_ns"]) for row in found["executions"]] == [
        (round(start * 10**6), round(end * 10**6)) for start, end in runs
    ]
    assert {(row["role"], row["request_count"], row["h2d_ns"]) for row in found["executions"]} == {("solo", 8, None)}
    (profile,) = found["solo_profiles"]
    assert profile["sample_count"] == 299
    assert profile["span_p50_ns"] == 2_046_875
    (experiment,) = found["experiments"]
    assert (experiment["kind"], experiment["clock_error_ns"], experiment["seed"]) == ("imported", 32, None)


def test_copies_are_known_where_they_were_made(tmp_path: Path) -> None:
    runs = [(place * 3.0, place * 3.0 + 2.0) for place in range(10)]
    imported(trtexec_file(tmp_path / "times.json", runs, copy_ms=0.25), TRTEXEC, tmp_path / "out")
    assert {(row["h2d_ns"], row["d2h_ns"]) for row in tables(tmp_path / "out")["executions"]} == {(250_000, 250_000)}


@pytest.mark.parametrize("form", ["sqlite", "parquet"])
def test_kernels_become_executions_with_overlaps(tmp_path: Path, form: str) -> None:
    kernels = co_run_kernels()
    if form == "sqlite":
        source = sqlite_file(tmp_path / "report.sqlite", kernels)
    else:
        source = tmp_path / "report_pqtdir"
        source.mkdir()
        start, end, stream, process = zip(*kernels, strict=True)
        columns = {"start": start, "end": end, "streamId": stream, "globalPid": [each << 24 for each in process]}
        pq.write_table(pa.table(columns), source / f"{KERNELS}.parquet")
    done = imported(source, NSYS, tmp_path / "out")
    assert done.execution_counts == {"a": 20, "b": 20}
    found = tables(tmp_path / "out")
    spans = {name: {r["span_ns"] for r in found["executions"] if r["tenant"] == name} for name in "ab"}
    assert spans == {"a": {3200}, "b": {5000}}
    assert {row["role"] for row in found["executions"]} == {"main", "warmup", "tail"}
    (block,) = found["blocks"]
    assert (block["window_start_ns"], block["window_end_ns"]) == (15_000, 94_900)
    assert max(row["co_count"] for row in found["overlaps"]) == 1
    again = build_dataset(tmp_path / "out")
    assert read_table(again, "executions").to_pylist() == found["executions"]


def test_a_solo_and_a_co_run_timeline_merge_into_slowdowns(tmp_path: Path) -> None:
    solo = [(place * 4000, place * 4000 + 1600, 7, PROCESS) for place in range(300)]
    imported(sqlite_file(tmp_path / "co.sqlite", co_run_kernels()), NSYS, tmp_path / "co")
    own = mapping("nsys", {**RESNET, "stream": 7, "gap_ns": 500})
    imported(sqlite_file(tmp_path / "solo.sqlite", solo), own, tmp_path / "solo")
    merged = merge_campaigns([tmp_path / "co", tmp_path / "solo"], tmp_path / "all")
    assert check_dataset(merged.dataset).findings == []
    rows = read_table(merged.dataset, "executions").to_pylist()
    assert {row["slowdown_ratio"] for row in rows if row["tenant"] == "a" and row["role"] != "solo"} == {3200 / 1600}


def test_processes_are_told_apart(tmp_path: Path) -> None:
    kernels = [(place * 1000, place * 1000 + 400, 7, 100 + place % 2) for place in range(40)]
    tenants = [{**RESNET, "process": process, "gap_ns": 0} for process in (100, 101)]
    imported(sqlite_file(tmp_path / "report.sqlite", kernels), mapping("nsys", *tenants), tmp_path / "out")
    starts = {
        name: [r["start_ns"] for r in tables(tmp_path / "out")["executions"] if r["tenant"] == name] for name in "ab"
    }
    assert starts == {"a": list(range(0, 40_000, 2000)), "b": list(range(1000, 40_000, 2000))}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 40)), min_size=1, max_size=30), st.integers(0, 30))
def test_gaps_group_kernels_as_they_do_one_after_the_other(steps: list[tuple[int, int]], gap_ns: int) -> None:
    """By another way: kernel by kernel, with the end of the execution so far; kernels may overlap."""
    kernels, now = [], 0
    for step, length in steps:
        now += step
        kernels.append((now, now + length))
    groups: list[list[int]] = []
    for start, end in kernels:
        if groups and start - groups[-1][1] <= gap_ns:
            groups[-1][1] = max(groups[-1][1], end)
        else:
            groups.append([start, end])
    starts, ends = (pa.array(column).to_numpy() for column in zip(*kernels, strict=True))
    own = timeline_mapping(mapping("nsys", {**RESNET, "stream": 0, "gap_ns": gap_ns}), "m.yaml").tenants[0]
    found = stamps_of(Kernels("f", starts, ends, starts * 0, starts * 0), own)
    assert list(zip(found.start_ns.tolist(), found.end_ns.tolist(), strict=True)) == [tuple(group) for group in groups]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"),
        ("{}", "is no list of runs"),
        ("[]", "is no list of runs"),
        ('[{"startComputeMs": 1}]', "run 0: it has no number 'endComputeMs'"),
        ('[{"startComputeMs": 1, "endComputeMs": NaN}]', "'NaN' is no number"),
        ('[{"startComputeMs": 2, "endComputeMs": 1}]', "run 0: endComputeMs is not after"),
        (
            '[{"startComputeMs": 1, "endComputeMs": 3}, {"startComputeMs": 2, "endComputeMs": 4}]',
            "run 1: it begins before run 0 has ended",
        ),
    ],
)
def test_what_is_no_export_of_trtexec_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "times.json").write_text(text)
    with pytest.raises(UserError, match=words):
        imported(tmp_path / "times.json", TRTEXEC, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_export_of_nsys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.sqlite").write_bytes(b"nothing")
    empty = sqlite_file(tmp_path / "empty.sqlite", [])
    folder = tmp_path / "folder"
    folder.mkdir()
    sqlite3.connect(tmp_path / "bare.sqlite").close()
    for source, words in [
        (tmp_path / "no.sqlite", "nsys export --type sqlite"),
        (tmp_path / "bare.sqlite", "no such table"),
        (empty, "has no kernels"),
        (folder, "nsys export --type parquetdir"),
    ]:
        with pytest.raises(UserError, match=words):
            read_kernels(source)


@pytest.mark.parametrize(
    ("tenants", "words"),
    [
        ([{**RESNET, "stream": 8, "gap_ns": 1}], "tenant a has no kernels; there are: stream 7 of process 4242"),
        ([{**RESNET, "stream": 14, "kernel_count": 3}], "40 kernels, which are no whole executions of 3"),
        ([{**RESNET, "stream": 7}], "either gap_ns"),
        ([{**RESNET, "gap_ns": 1}], "needs stream or process"),
        ([{**RESNET, "stream": 7, "gap_ns": 1, "name": "x"}] * 2, "same name"),
    ],
)
def test_a_mapping_that_does_not_fit_the_timeline_is_refused(tmp_path: Path, tenants: list[Row], words: str) -> None:
    with pytest.raises(UserError, match=words):
        imported(sqlite_file(tmp_path / "r.sqlite", co_run_kernels()), mapping("nsys", *tenants), tmp_path / "out")


def test_tenants_that_never_ran_at_once_are_refused(tmp_path: Path) -> None:
    kernels = [(place * 1000, place * 1000 + 400, 7 if place < 10 else 14, PROCESS) for place in range(20)]
    with pytest.raises(UserError, match="never ran at once"):
        imported(sqlite_file(tmp_path / "r.sqlite", kernels), NSYS, tmp_path / "out")
