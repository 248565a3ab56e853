"""`cotenant colocate`: pairs, sets, offset sweeps and chains on a simulated GPU, and what is said of them."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from command_line import Cotenant

from cotenant.profiler.cli.sentence import doubt_lines, overlap_sentence, sentence, sweep_sentence

Row = dict[str, Any]

SIMULATED = ("--runner", "simulated", "--device", "l4:noise_pct=0", "--precision", "fp16")
RATIO = r"\d+\.\d\dx \[\d+\.\d\d, \d+\.\d\d\]( \(within noise\))?"


def models(*names: str) -> list[str]:
    return [word for name in names for word in ("--model", name)]


def table(out: Path, name: str) -> list[Row]:
    rows: list[Row] = []
    for path in sorted((out / "dataset" / name).rglob("*.parquet")):
        file = pq.ParquetFile(path)
        rows += [row for group in range(file.num_row_groups) for row in file.read_row_group(group).to_pylist()]
    return rows


def overlapped_pct(out: Path, experiment_id: str) -> dict[str, float]:
    """The mean part of each tenant's whole executions that others ran beside, from starts and ends alone."""
    rows = [row for row in table(out, "executions") if row["experiment_id"] == experiment_id]
    parts: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if (row["role"], row["censored"]) != ("main", "none"):
            continue
        near = [
            (max(other["start_ns"], row["start_ns"]), min(other["end_ns"], row["end_ns"]))
            for other in rows
            if other["lane"] != row["lane"] and other["block_index"] == row["block_index"]
        ]
        shared = reached = 0
        for begin, end in sorted(stretch for stretch in near if stretch[0] < stretch[1]):
            shared += max(0, end - max(begin, reached))
            reached = max(reached, end)
        parts[row["tenant"]].append(100 * shared / (row["end_ns"] - row["start_ns"]))
    return {tenant: sum(found) / len(found) for tenant, found in parts.items()}


def test_three_models_are_a_set_with_a_lane_each(cotenant: Cotenant, tmp_path: Path) -> None:
    arguments = ["colocate", *models("resnet50", "resnet50", "vgg19"), *SIMULATED, "--out", "out"]
    done = cotenant(*arguments)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert {"a = resnet50@1", "b = resnet50@1", "c = vgg19@1"} <= set(lines)
    slowed = rf"b and c slow a {RATIO}, a and c slow b {RATIO}, a and b slow c {RATIO}"
    assert re.fullmatch(slowed + r"; they ran concurrently \(gain \d\.\d\)", lines[-1])
    told = json.loads(cotenant(*arguments, "--json").out)
    assert (told["kind"], told["sentence"]) == ("set", lines[-1])
    (experiment,) = told["experiments"]
    first, copy, _ = experiment["slowdowns"]
    assert first["slowdown_ratio"] == pytest.approx(
        copy["slowdown_ratio"], abs=0.05
    )  # the same engine, the same neighbours
    assert {row["lanes"] for row in table(tmp_path / "out", "experiments")} == {3}
    assert cotenant("dataset", "check", "out").code == 0


def test_a_model_given_twice_stands_beside_itself_on_more_lanes_if_asked(cotenant: Cotenant, tmp_path: Path) -> None:
    done = cotenant("colocate", *models("vgg19", "vgg19"), "--batch", "2", "--lanes", "3", *SIMULATED, "--out", "out")
    assert done.code == 0, done.err
    assert re.fullmatch(
        rf"b slows a {RATIO}, a slows b {RATIO}; they ran concurrently \(gain .*\)", done.out.splitlines()[-1]
    )
    assert {row["lanes"] for row in table(tmp_path / "out", "experiments")} == {3}


def test_a_sweep_tells_slowdown_and_overlap_by_offset(cotenant: Cotenant, tmp_path: Path) -> None:
    arguments = ["colocate", "--sweep", *models("resnet50", "vgg19"), "--batch", "8,1", *SIMULATED, "--out", "out"]
    done = cotenant(*arguments)
    assert done.code == 0, done.err
    told = json.loads(cotenant(*arguments, "--json").out)
    points = told["experiments"]
    assert [point["planned_offset_ratio"] for point in points] == [0.0, 0.25, 0.5, 0.75, 1.0]
    for point in points:
        oracle = overlapped_pct(tmp_path / "out", point["experiment_id"])
        assert point["beside_pct"] == pytest.approx(oracle, abs=1e-6)
        line = rf"^ +{point['planned_offset_ratio']:.2f} .* {point['beside_pct']['b']:.1f}$"
        assert re.search(line, done.out, re.MULTILINE)
    of_first = [point["beside_pct"]["a"] for point in points]
    assert of_first[0] > of_first[2] > of_first[4]
    slowed = [point["slowdowns"][0]["slowdown_ratio"] for point in points]
    assert slowed[0] > 1.02 > slowed[4]
    assert done.out.splitlines()[-1] == told["sentence"]
    part = r"with \d+ % of {0} overlapped"
    ends = [rf"{RATIO} {part.format(name)}, {RATIO} {part.format(name)}" for name in ("a", "b")]
    assert re.fullmatch(rf"b slows a {ends[0]}; a slows b {ends[1]}", told["sentence"])


def test_a_chain_overlaps_shortly_and_then_for_long(cotenant: Cotenant, tmp_path: Path) -> None:
    arguments = ["colocate", "--chain", *models("resnet50", "roberta_base", "resnet50"), "--batch", "1,1,8", *SIMULATED]
    done = cotenant(*arguments, "--out", "out")
    assert done.code == 0, done.err
    told = json.loads(cotenant(*arguments, "--out", "out", "--json").out)
    (experiment,) = told["experiments"]
    assert experiment["tenants"] == {"a": "resnet50@1", "b": "roberta_base@1", "c": "resnet50@8"}
    assert experiment["beside_pct"] == pytest.approx(overlapped_pct(tmp_path / "out", experiment["experiment_id"]))
    assert experiment["beside_pct"]["a"] == pytest.approx(
        20, abs=2
    )  # the planned short overlap, stretched by contention
    assert experiment["beside_pct"]["c"] > 50
    assert {row["lanes"] for row in table(tmp_path / "out", "experiments")} == {2}
    link = rf"{RATIO} with \d+ % of {{0}} overlapped"
    expected = f"b slows a {link.format('a')}, a and c slow b {link.format('b')}, b slows c {link.format('c')}"
    assert re.fullmatch(expected, done.out.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*models("resnet50")], ["two models", "twice"]),
        ([*models("resnet50", "rsnet50")], ["rsnet50", "resnet50"]),
        ([*models("resnet50", "vgg19"), "--batch", "1,2,3"], ["3 batch sizes", "2 times"]),
        ([*models("resnet50", "vgg19", "vgg19"), "--batch", "1,2"], ["2 batch sizes", "3 times"]),
        ([*models("resnet50", "vgg19"), "--chain"], ["--chain", "three", "2"]),
        ([*models("resnet50", "vgg19", "vgg19"), "--sweep"], ["--sweep", "two", "3"]),
        ([*models("resnet50", "vgg19", "vgg19"), "--sweep", "--chain"], ["--sweep", "--chain", "one of them"]),
        ([*models("resnet50", "vgg19", "vgg19"), "--lanes", "2"], ["--lanes 2", "3 models", "3 or more"]),
        ([*models("resnet50", "vgg19"), "--lanes", "1"], ["--lanes 1", "2 models", "2 or more"]),
        ([*models("resnet50", "vgg19", "vgg19"), "--chain", "--lanes", "3"], ["chain", "2 lanes", "--lanes is 3"]),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(cotenant: Cotenant, arguments: list[str], words: list[str]) -> None:
    done = cotenant("colocate", *arguments, "--runner", "simulated")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.told


def slowdown(tenant: str, lane: int, ratio: float | None) -> Row:
    bounds = (None, None) if ratio is None else (ratio - 0.01, ratio + 0.01)
    names = ("slowdown_lower_ratio", "slowdown_upper_ratio")
    return {"tenant": tenant, "lane": lane, "slowdown_ratio": ratio, "within_noise": False} | dict(
        zip(names, bounds, strict=True)
    )


def test_many_neighbours_slow_and_one_slows() -> None:
    rows = [slowdown(tenant, lane, 1.5) for lane, tenant in enumerate("abcd")]
    told = sentence(rows, {"concurrency_gain_ratio": 2.5, "verdict_reasons": []})
    assert told.startswith("b, c and d slow a 1.50x [1.49, 1.51], a, c and d slow b ")
    assert sentence(rows[:2], {"concurrency_gain_ratio": 1.5, "verdict_reasons": []}).startswith("b slows a ")


def test_links_on_one_lane_are_not_beside_each_other() -> None:
    told = overlap_sentence(
        [slowdown("a", 0, 1.1), slowdown("b", 1, None), slowdown("c", 0, 1.2)], dict.fromkeys("abc")
    )
    assert told == (
        "b slows a 1.10x [1.09, 1.11] with an unknown part of a overlapped, "
        "a and c slow b by an unknown factor (too few samples) with an unknown part of b overlapped, "
        "b slows c 1.20x [1.19, 1.21] with an unknown part of c overlapped"
    )


def test_a_sweep_ends_with_the_most_and_the_least_overlap_of_each() -> None:
    points = [
        {"slowdowns": [slowdown("a", 0, 1 + a / 100), slowdown("b", 1, 1 + b / 100)], "beside_pct": {"a": a, "b": b}}
        for a, b in ((60.0, 90.0), (80.0, 40.0), (0.0, 10.0))
    ]
    assert sweep_sentence(points) == (
        "b slows a 1.80x [1.79, 1.81] with 80 % of a overlapped, 1.00x [0.99, 1.01] with 0 % of a overlapped; "
        "a slows b 1.90x [1.89, 1.91] with 90 % of b overlapped, 1.10x [1.09, 1.11] with 10 % of b overlapped"
    )
    assert sweep_sentence(points[:1]).count("overlapped") == 2


def test_a_doubt_about_all_is_told_once_and_one_about_some_says_whom() -> None:
    results = [("x", {"verdict": "marked", "doubts": ["far", "near"]}), ("y", {"verdict": "marked", "doubts": ["far"]})]
    assert list(doubt_lines(results)) == ["marked: far", "marked: near (x)"]
