"""Pair measurements in the shapes that other people publish become a dataset that holds, number for number."""

import json
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from damaged_dataset import DamagedDataset
from hypothesis import given, settings
from hypothesis import strategies as st

from cotenant.datasets.card import card_text
from cotenant.datasets.card_facts import card_facts
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.describe import describe_dataset
from cotenant.datasets.imports.contamination import contamination
from cotenant.datasets.imports.origin import origin_of
from cotenant.datasets.imports.pair_mapping import pair_mapping
from cotenant.datasets.imports.pair_records import read_records
from cotenant.datasets.imports.pairs import ImportedPairs, import_pairs
from cotenant.datasets.merge import merge_campaigns
from cotenant.datasets.read import read_table
from cotenant.models.digest import sha256_of_file
from cotenant.models.errors import UserError

Row = dict[str, Any]
DEVICE = {"name": "Tesla V100", "kind": "gpu", "sm_count": 80}
HEADER = "model_a,batch_a,share_a,solo_a,co_a,model_b,batch_b,share_b,solo_b,co_b"


def tenant(name: str, statistic: str = "p50", unit: str = "ms") -> Row:
    return {
        "model": f"model_{name}",
        "batch": f"batch_{name}",
        "share": {"column": f"share_{name}", "unit": "percent"},
        "solo": {statistic: {"column": f"solo_{name}", "unit": unit}},
        "co_run": {statistic: {"column": f"co_{name}", "unit": unit}},
    }


def mapping(form: str = "csv", statistic: str = "p50", **changes: Any) -> Row:
    tenants = [tenant(name, statistic) for name in "ab"]
    return {"format": form, "device": DEVICE, "runner": "triton", "isolation": "mps", "tenants": tenants, **changes}


def imported(folder: Path, text: str, content: Row, allow: bool = False) -> ImportedPairs:
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "pairs.txt"
    source.write_text(text)
    origin = origin_of(source, content, "m.yaml", {"cotenant": "1"})
    return import_pairs(source, pair_mapping(content, "m.yaml"), origin, folder / "out", allow)


def tables(folder: Path) -> dict[str, list[Row]]:
    report = check_dataset(folder / "out")
    assert report.findings == []
    return {name: read_table(folder / "out", name).to_pylist() for name in TABLES}


def co_run_lines(copies_of_share: int = 1, seed: int = 1) -> list[str]:
    """6 pairs, 25 pairs of batch sizes, 5 splits: 750 keys; each number stands for so many splits."""
    drawn = random.Random(seed)
    models = ["alexnet", "resnet50", "vgg19", "ssd"]
    lines = []
    for a, b in [(a, b) for place, a in enumerate(models) for b in models[place + 1 :]]:
        for batches in [(x, y) for x in (2, 4, 8, 16, 32) for y in (2, 4, 8, 16, 32)]:
            for place, share in enumerate((20, 40, 50, 60, 80)):
                if place % copies_of_share == 0:
                    numbers = [f"{drawn.uniform(1, 40):.4f}" for _ in range(4)]
                left, right = (a, batches[0], share, *numbers[:2]), (b, batches[1], 100 - share, *numbers[2:])
                lines.append(",".join(map(str, (*left, *right))))
    return lines


def test_numbers_come_back_exactly_and_what_is_unknown_says_so(tmp_path: Path) -> None:
    text = f"{HEADER}\nalexnet,2,20,5.8527,6.100001,vgg19,4,80,9.25,10.5\nalexnet,2,50,3.1,3.4,vgg19,4,50,,13.5\n"
    done = imported(tmp_path, text, mapping(precision="fp32"))
    assert (done.row_count, done.experiment_count, done.engine_count) == (2, 2, 2)
    found = tables(tmp_path)
    rows = {(row["solo_p50_ns"], row["co_run_p50_ns"]): row for row in found["slowdowns"]}
    assert rows.keys() == {(5_852_700, 6_100_001), (9_250_000, 10_500_000), (3_100_000, 3_400_000), (None, 13_500_000)}
    for (solo, co_run), row in rows.items():
        assert row["slowdown_ratio"] == (None if solo is None else co_run / solo)
        assert (row["source"], row["kind"], row["quad_count"], row["sample_count"]) == ("imported", "imported", 0, None)
        told = dict(row["null_reasons"])
        assert told["slowdown_lower_ratio"] == told["sample_count"] == told["mean_ratio"] == "not_reported"
    (device,) = found["devices"]
    assert (device["name"], device["kind"], device["sm_count"], device["l2_bytes"]) == ("Tesla V100", "gpu", 80, None)
    engines = {row["engine_id"]: row for row in found["engines"]}
    assert {(row["model"], row["batch_size"], row["precision"]) for row in engines.values()} == {
        ("alexnet", 2, "fp32"),
        ("vgg19", 4, "fp32"),
    }
    for row in found["slowdowns"]:
        (other,) = row["co_engine_ids"]
        assert {engines[row["engine_id"]]["model"], engines[other]["model"]} == {"alexnet", "vgg19"}
    for row in found["experiments"]:
        spec = json.loads(row["spec"])
        source = tmp_path / "pairs.txt"
        assert (spec["source"]["file"], spec["source"]["sha256"]) == (source.name, sha256_of_file(source))
        assert row["lane_share_pct"] == ([20.0, 80.0] if spec["source"]["line"] == 2 else [50.0, 50.0])
        assert (row["verdict"], row["verdict_reasons"]) == ("marked", ["self_test_missing"])
        assert (row["seed"], row["clock_error_ns"], row["isolation_observed"]) == (None, None, "mps")
    assert json.loads((tmp_path / "out" / "import.json").read_text())["mapping"]["runner"] == "triton"
    assert {row["raw_sha256"] for row in found["provenance"]} == {sha256_of_file(tmp_path / "pairs.txt")}
    assert found["executions"] == found["solo_profiles"] == []


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)), min_size=1, max_size=4),
    st.sampled_from(["us", "ms", "s"]),
)
def test_any_times_make_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, times: Sequence[tuple[int, int]], unit: str
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    places = {"us": 3, "ms": 6, "s": 9}[unit]
    content = mapping(tenants=[tenant("a", unit=unit), tenant("b", unit=unit)])
    lines = [
        f"a,1,50,{Decimal(solo).scaleb(-places):f},{Decimal(co).scaleb(-places):f},b,{place + 1},50,,"
        for place, (solo, co) in enumerate(times)
    ]
    imported(folder, "\n".join([HEADER, *lines]), content, allow=True)
    rows = read_table(folder / "out", "slowdowns").to_pylist()
    assert sorted((row["solo_p50_ns"], row["co_run_p50_ns"]) for row in rows) == sorted(times)
    assert all(row["slowdown_ratio"] == row["co_run_p50_ns"] / row["solo_p50_ns"] for row in rows)


def test_json_lines_and_csv_say_the_same(tmp_path: Path) -> None:
    lines = co_run_lines()[:9]
    names = HEADER.split(",")
    objects = [
        "{"
        + ", ".join(
            f'"{name}": {json.dumps(cell) if name.startswith("model") else cell}'
            for name, cell in zip(names, line.split(","), strict=True)
        )
        + "}"
        for line in lines
    ]
    imported(tmp_path / "csv", "\n".join([HEADER, *lines]), mapping())
    imported(tmp_path / "json", "\n\n".join(objects), mapping("jsonl"))
    numbers = [
        sorted((row["solo_p50_ns"], row["co_run_p50_ns"], row["slowdown_ratio"]) for row in tables(each)["slowdowns"])
        for each in (tmp_path / "csv", tmp_path / "json")
    ]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) == 18


def test_means_are_kept_apart_from_medians_and_p95s(tmp_path: Path) -> None:
    text = f"{HEADER}\nalexnet,2,20,2,3,vgg19,4,80,4,5\n"
    imported(tmp_path / "mean", text, mapping(statistic="mean"))
    for row in tables(tmp_path / "mean")["slowdowns"]:
        assert (row["slowdown_ratio"], row["solo_p50_ns"]) == (None, None)
        assert row["mean_ratio"] == row["co_run_mean_ns"] / row["solo_mean_ns"]
    imported(tmp_path / "p95", text, mapping(statistic="p95"))
    assert sorted(row["p95_ratio"] for row in tables(tmp_path / "p95")["slowdowns"]) == [1.25, 1.5]


def test_a_table_of_utilisations_with_a_comma_at_each_end_shifts_nothing(tmp_path: Path) -> None:
    """As glet publishes them: rows end in a comma that the header lacks."""
    header = "model,batch,avg_duration(ms),sm_util,l2_util,mem_util"
    text = f"{header}\nlenet,1,0.02,4.5,10.25,22.5,\nvgg16,32,676,80,41,63.5,\n"
    rates = {
        column: {"column": f"{name}_util", "unit": "percent"}
        for column, name in {"sm_pct": "sm", "l2_pct": "l2", "memory_pct": "mem"}.items()
    }
    counters = {"source": "ncu", "set": "glet", "aggregation": "kernel_wmean"}
    tenants = [{"model": "model", "batch": "batch", "throughputs": rates}]
    done = imported(tmp_path, text, mapping(tenants=tenants, counters=counters))
    assert (done.row_count, done.experiment_count, done.engine_count) == (2, 0, 2)
    found = tables(tmp_path)
    assert sorted(
        (row["sm_pct"], row["l2_pct"], row["memory_pct"], row["dram_pct"]) for row in found["throughputs"]
    ) == [
        (4.5, 10.25, 22.5, None),
        (80.0, 41.0, 63.5, None),
    ]
    assert {row["counter_set"] for row in found["throughputs"]} == {"glet"}
    with pytest.raises(UserError, match=r"line 4: lenet at batch 1 has other throughputs than in line 2"):
        imported(tmp_path / "again", text + "lenet,1,0.02,5,10.25,22.5\n", mapping(tenants=tenants, counters=counters))


def test_a_copied_campaign_is_told_by_what_did_not_matter(tmp_path: Path) -> None:
    """750 keys and 150 distinct rows, each repeated for all five splits of the device."""
    text = "\n".join([HEADER, *co_run_lines(copies_of_share=5)])
    done = imported(tmp_path, text, mapping())
    assert done.dataset is None
    assert not (tmp_path / "out").exists(), "nothing is written"
    found = done.contamination
    assert (found.row_count, found.repeat_count, found.without_effect) == (750, 600, ["share"])
    assert found.examples == [(2, 3), (2, 4), (2, 5)]
    assert "600 of 750 rows repeat" in next(found.lines())
    imported(tmp_path, text, mapping(), allow=True)
    (finding,) = check_dataset(tmp_path / "out").findings
    assert (finding.check, finding.table) == ("duplicates", "slowdowns")
    imported(tmp_path / "sound", "\n".join([HEADER, *co_run_lines()]), mapping())
    assert len(tables(tmp_path / "sound")["experiments"]) == 750


def test_numbers_that_do_depend_on_a_part_are_not_said_not_to(tmp_path: Path) -> None:
    source = tmp_path / "pairs.csv"
    lines = co_run_lines()[:20]
    source.write_text("\n".join([HEADER, *lines, lines[0]]))
    found = contamination(read_records(source, pair_mapping(mapping(), "m.yaml")))
    assert (found.repeat_count, found.examples, found.without_effect) == (1, [(2, 22)], [])


def test_the_same_key_twice_is_a_repeat(tmp_path: Path) -> None:
    imported(tmp_path, f"{HEADER}\na,1,50,1,2,b,1,50,3,4\na,1,50,1.5,2.5,b,1,50,3.5,4.5\n", mapping())
    assert sorted(row["repeat"] for row in tables(tmp_path)["experiments"]) == [0, 1]


def test_rows_of_two_and_three_tenants_stand_in_one_file(tmp_path: Path) -> None:
    tenants = [*mapping()["tenants"], {**tenant("c"), "optional": True}]
    header = f"{HEADER},model_c,batch_c,share_c,solo_c,co_c"
    text = f"{header}\na,1,50,1,2,b,1,50,3,4,,,,,\na,1,30,1,3,b,1,30,3,5,c,2,40,6,9\n"
    imported(tmp_path, text, mapping(tenants=tenants))
    found = tables(tmp_path)
    assert sorted(row["lanes"] for row in found["experiments"]) == [2, 3]
    assert sorted(len(row["co_engine_ids"]) for row in found["slowdowns"]) == [1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ("a,1,50,nan,2,b,1,50,3,4", "line 3, column 'solo_a': 'nan' is no number"),
        ("a,1,50,-1,2,b,1,50,3,4", "line 3, column 'solo_a': '-1' is negative"),
        ('a,1,50,"1,5",2,b,1,50,3,4', "line 3, column 'solo_a': '1,5' has a comma"),
        ("a,1,50,1,5,2,b,1,50,3,4", "line 3: it has 11 cells, the header 10"),
        ("a,1,50,1", "line 3: it has 4 cells, the header 10"),
        ("a,x,50,1,2,b,1,50,3,4", "line 3, column 'batch_a'"),
        ("a,1,150,1,2,b,1,50,3,4", "line 3, column 'share_a': 150 as percent"),
        (",1,50,1,2,b,1,50,3,4", "line 3, column 'model_a': it is empty"),
        ("a,1,,1,2,b,1,50,3,4", "line 3: the share of some tenants"),
        ('a,1,50,"1,2,b,1,50,3,4', "line 3: it is no CSV"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path: Path, cells: str, words: str) -> None:
    with pytest.raises(UserError) as refused:
        imported(tmp_path, f"{HEADER}\na,1,50,1,2,b,1,50,3,4\n{cells}\n", mapping())
    assert str(tmp_path / "pairs.txt") in str(refused.value)
    assert words in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no row"),
        (HEADER, "holds no row"),
        (HEADER.replace("solo_b,", "") + "\n", "no column 'solo_b'; its columns are: model_a"),
        (HEADER.replace("solo_b", "solo_a") + "\n", "names 'solo_a' twice"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        imported(tmp_path, text, mapping())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"model_a": "a"', "line 1: it is no JSON object"),
        ("[1, 2]", "line 1: it is no JSON object"),
        ('{"model_a": "a", "model_a": "b"}', "line 1: it names a column twice"),
        ('{"model_a": "a"}', "line 1: there is no column 'batch_a'"),
    ],
)
def test_a_line_of_json_of_another_shape_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        imported(tmp_path, text, mapping("jsonl"))


@pytest.mark.parametrize(("value", "words"), [("NaN", "is no number"), ("[1]", "map another"), ("true", "map another")])
def test_json_values_that_are_no_numbers_are_refused(tmp_path: Path, value: str, words: str) -> None:
    cells = dict.fromkeys(HEADER.split(","), 1) | {"model_a": "a", "model_b": "b", "co_b": "HERE"}
    with pytest.raises(UserError, match=rf"line 1, column 'co_b'.*{words}"):
        imported(tmp_path, json.dumps(cells).replace('"HERE"', value), mapping("jsonl"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "xlsx"}, "format is 'xlsx'; it may be: csv, jsonl"),
        ({"runner": None}, "it lacks 'runner'"),
        ({"speed": 1}, "there is no key 'speed'"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"device": {"name": "x", "kind": "gpu"}}, "device: it lacks 'sm_count'"),
        ({"device": {**DEVICE, "kind": "fpga"}}, "kind is 'fpga'"),
        ({"device": {**DEVICE, "sm_count": "80"}}, "sm_count is '80'"),
        ({"tenants": []}, "it lacks|tenants is no list"),
        ({"tenants": [{"model": "m", "batch": "b", "solo": {"p50": "x"}}]}, "solo, p50: it lacks 'unit'"),
        ({"tenants": [{"model": "m", "batch": "b", "solo": {"p51": "x"}}]}, "there is no key 'p51'"),
        ({"tenants": [{"model": {"value": "m", "column": "m"}, "batch": "b"}]}, "either column or value"),
        (
            {"tenants": [{"model": "m", "batch": "b", "solo": {"p50": {"column": "x", "unit": "sec"}}}]},
            "unit is 'sec'; it may be: ns, us, ms, s",
        ),
        (
            {"tenants": [{"model": "m", "batch": "b", "throughputs": {"sm_pct": {"column": "x", "unit": "ratio"}}}]},
            "needs `counters`",
        ),
        ({"delimiter": ";;"}, "write one character"),
    ],
)
def test_a_wrong_mapping_is_refused(changes: Row, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        pair_mapping({**mapping(), **changes}, "m.yaml")
    assert str(refused.value).startswith("m.yaml")


def test_a_co_run_time_needs_a_co_runner(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="map its co-runner"):
        imported(tmp_path, f"{HEADER}\na,1,50,1,2,b,1,50,3,4\n", mapping(tenants=[tenant("a")]))


def test_described_carded_and_not_merged(tmp_path: Path) -> None:
    imported(tmp_path, "\n".join([HEADER, *co_run_lines()[:10]]), mapping())
    out = tmp_path / "out"
    described = describe_dataset(out)
    assert described.experiment_counts == {"imported": 10}
    assert described.slowdown_count == 20
    assert {found.predictor for found in described.predictors if not found.lacks} == {
        "Mendoza, Pitot (factorisation of pairs and sets)"
    }
    assert described.text()
    card = card_text(card_facts(out))
    assert yaml.safe_load(card.split("---")[1])["pretty_name"] == "out"
    assert "measured by another tool" in card
    with pytest.raises(UserError, match="another tool's estimates"):
        merge_campaigns([out, tmp_path], tmp_path / "merged")
    with pytest.raises(UserError, match="not empty"):
        imported(tmp_path, "\n".join([HEADER, *co_run_lines()[:10]]), mapping())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slowdown_ratio": 1.0}, "slowdown_ratio is 1.0, co_run_p50_ns over solo_p50_ns is 2.0"),
        ({"co_run_p50_ns": 4_000_000}, "slowdown_ratio is 2.0, co_run_p50_ns over solo_p50_ns is 4.0"),
        ({"kind": "pair"}, "kind is pair, its experiment says imported"),
        ({"lane": 1}, "do not fit its experiment"),
        ({"tenant": "z"}, "do not fit its experiment"),
    ],
)
def test_a_planted_fault_in_an_imported_row_is_found(tmp_path: Path, changes: Row, words: str) -> None:
    imported(tmp_path, f"{HEADER}\na,1,50,1,2,b,1,50,,\n", mapping())
    damaged = DamagedDataset(tmp_path / "out" / "dataset", tmp_path / "copy")
    damaged.edit("slowdowns", 0, **changes)
    assert any(found.check == "imported" and words in found.message for found in damaged.check().findings)
