"""`cotenant serve`: what it prints is what its tables say, and what they say is true."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import Cotenant

Row = dict[str, Any]

SIMULATED = ("--runner", "simulated", "--device", "l4", "--precision", "fp16")
SERVE = ("serve", "--model", "resnet50", "--model", "roberta_base:seq=32", "--load", "0.3,1.2", "--deadline-ms", "6")


@pytest.fixture(scope="module")
def folder(session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished `out`."""
    folder = tmp_path_factory.mktemp("serve")
    done = Cotenant(session_cache, folder)(*SERVE, *SIMULATED, "--seconds", "2", "--out", "out")
    assert done.code == 0, done.err
    (folder / "said.txt").write_text(done.out)
    return folder


@pytest.fixture(scope="module")
def told(session_cache: Path, folder: Path) -> Row:
    done = Cotenant(session_cache, folder)(*SERVE, *SIMULATED, "--seconds", "2", "--out", "out", "--json")
    assert "already there" in done.err
    return dict(json.loads(done.out))


def table(folder: Path, name: str) -> list[Row]:
    rows: list[Row] = []
    for path in sorted((folder / "out" / "dataset" / name).rglob("*.parquet")):
        file = pq.ParquetFile(path)
        rows += [row for group in range(file.num_row_groups) for row in file.read_row_group(group).to_pylist()]
    return rows


def test_each_load_is_a_run_and_the_plan_has_what_serving_refers_to(folder: Path, told: Row) -> None:
    assert [(run["asked_load"], run["concurrency"]) for run in told["runs"]] == [(0.3, 2), (1.2, 2)]
    assert [run["offered_load"] for run in told["runs"]] == pytest.approx([0.3, 1.2])
    plan = json.loads((folder / "out" / "plan.json").read_text())
    kinds = Counter(cell["kind"] for cell in plan["cells"])
    assert (kinds["serving"], kinds["sequential"], kinds["null"], kinds["self_test"]) == (2, 8, 2, 1)
    assert {key["batch_size"] for key in plan["engines"] if key["model"] == "resnet50"} == {1, 2, 4, 8}
    assert told["noise_floor_ratio"] == table(folder, "devices")[0]["noise_floor_ratio"] > 1


def test_every_request_is_served_once_or_reported(folder: Path, told: Row) -> None:
    blocks = {row["experiment_id"]: row["block_index"] for row in table(folder, "blocks") if row["arm"] == "serving"}
    executions, requests = table(folder, "executions"), table(folder, "requests")
    for run in told["runs"]:
        mine = [row for row in requests if row["experiment_id"] == run["experiment_id"]]
        assert run["request_count"] == len(mine) == run["served_count"] + run["unfinished_count"] + run["dropped_count"]
        for tenant in run["tenants"]:
            outcomes = Counter(row["outcome"] for row in mine if row["tenant"] == tenant["tenant"])
            assert {word: tenant[f"{word}_count"] for word in ("served", "unfinished", "dropped")} == {
                word: outcomes[word] for word in ("served", "unfinished", "dropped")
            }
            batches = [
                row["request_count"]
                for row in executions
                if (row["experiment_id"], row["tenant"]) == (run["experiment_id"], tenant["tenant"])
                and row["block_index"] == blocks[run["experiment_id"]]
            ]
            assert sum(batches) == tenant["served_count"]


def test_each_number_is_that_of_the_rows(folder: Path, told: Row) -> None:
    windows = {row["experiment_id"]: row for row in table(folder, "blocks") if row["arm"] == "serving"}
    executions, requests = table(folder, "executions"), table(folder, "requests")
    for run in told["runs"]:
        end_ns = windows[run["experiment_id"]]["window_end_ns"]
        for tenant in run["tenants"]:
            key = (run["experiment_id"], tenant["tenant"])
            mine = [row for row in requests if (row["experiment_id"], row["tenant"]) == key]
            counted = [row for row in mine if "warmup" not in row["marks"]]
            served = [row for row in counted if row["outcome"] == "served"]
            latencies = sorted(row["latency_ns"] for row in served)
            for pct, least in ((50, 20), (95, 200), (99, 400)):
                value, lower, upper = (tenant[f"latency_p{pct}{end}_ns"] for end in ("", "_lower", "_upper"))
                if len(latencies) < least:
                    assert value is None
                    continue
                rank = (len(latencies) - 1) * pct // 100
                assert latencies[rank] <= value <= latencies[rank + 1]
                assert latencies[0] <= lower <= value <= upper <= latencies[-1]
            judged = [row for row in counted if row["outcome"] != "unfinished" or row["deadline_ns"] <= end_ns]
            missed = [row for row in judged if row["outcome"] != "served" or "late" in row["marks"]]
            assert tenant["deadline_judged_count"] == len(judged)
            assert tenant["deadline_missed_pct"] == pytest.approx(100 * len(missed) / len(judged))
            blocked = sum(row["blocked_ns"] for row in served) / sum(latencies)
            assert tenant["blocked_pct"] == pytest.approx(100 * blocked)
            main = [row for row in executions if (row["experiment_id"], row["tenant"], row["role"]) == (*key, "main")]
            assert tenant["batch_size_mean"] == pytest.approx(sum(row["request_count"] for row in main) / len(main))
            whole = [row["interference_ratio"] for row in main if row["censored"] == row["co_censored"] == "none"]
            if tenant["interference_p95_ratio"] is not None:
                assert tenant["interference_p95_ratio"] == pytest.approx(float(np.quantile(whole, 0.95)))
    assert told["runs"][0]["tenants"][0]["interference_p95_ratio"] > 1


def test_it_ends_with_a_table_and_one_sentence_for_each_load(folder: Path, told: Row) -> None:
    said = (folder / "said.txt").read_text()
    light, heavy = said.splitlines()[-2:]
    assert [light, heavy] == [run["sentence"] for run in told["runs"]]
    served = r"at load 0\.30, up to 2 batches at once: [\d,]+ of [\d,]+ requests served( \(\d+ unfinished\))?; "
    latency = r"p95 of latency \d+\.\d{3} ms \(a\), \d+\.\d{3} ms \(b\); "
    assert re.match(served + latency + r"p95 of interference \d\.\d\dx \(a\), \d\.\d\dx \(b\); ", light)
    assert "overload: more work arrived than the lanes can do" in heavy
    assert "overload" not in light
    for run in told["runs"]:
        settled = {True: "; the run had settled", False: "; not stationary: the run had not settled"}
        assert settled[run["stationary"]] in run["sentence"]
        assert settled[not run["stationary"]] not in run["sentence"]
    for run in told["runs"]:
        for tenant in run["tenants"]:
            cells = f"{run['offered_load']:.2f} +2 +{tenant['tenant']} +{tenant['request_count']:,} "
            assert re.search(rf"^{cells} *{tenant['served_count']:,} ", said, re.MULTILINE)


def test_its_dataset_holds(session_cache: Path, folder: Path) -> None:
    assert Cotenant(session_cache, folder)("dataset", "check", "out").code == 0


def test_without_noise_and_company_latency_is_the_solo_span(cotenant: Cotenant, tmp_path: Path) -> None:
    arguments = ("--model", "resnet50", "--max-batch", "1", "--wait-us", "0", "--load", "0.2", "--concurrency", "1")
    device = ("--runner", "simulated", "--device", "l4:noise_pct=0")
    done = cotenant("serve", *arguments, *device, "--seconds", "5", "--out", "out", "--json")
    assert done.code == 0, done.err
    (run,) = json.loads(done.out)["runs"]
    (tenant,) = run["tenants"]
    spans = {row["span_p50_ns"] for row in table(tmp_path, "solo_profiles") if row["pattern"] == "interleaved"}
    assert spans == {tenant["latency_p50_ns"]}  # with one server and load 0.2, 8 of 10 requests do not wait
    assert tenant["latency_p95_ns"] > tenant["latency_p50_ns"]
    assert (tenant["batch_size_mean"], tenant["blocked_pct"]) == (1.0, 0.0)
    assert tenant["interference_p95_ratio"] == 1.0
    assert tenant["null_reasons"] == {"deadline_missed_pct": "not_applicable"}
    assert "one batch at a time" in run["sentence"]


def test_rates_are_those_of_tenants_and_lanes_follow_the_concurrency(cotenant: Cotenant, tmp_path: Path) -> None:
    arguments = ("--model", "resnet50", "--model", "resnet50", "--rate", "400", "--rate", "100", "--concurrency", "3")
    done = cotenant("serve", *arguments, *SIMULATED, "--seconds", "10", "--out", "out", "--json")
    assert done.code == 0, done.err
    (run,) = json.loads(done.out)["runs"]
    assert run["asked_items_per_s"] == [400, 100]
    for tenant, rate in zip(run["tenants"], (400, 100), strict=True):
        assert abs(tenant["request_count"] - 10 * rate) < 6 * (10 * rate) ** 0.5
        assert tenant["arrival_items_per_s"] == pytest.approx(rate, rel=0.2)
    assert run["sentence"].startswith("at 400 (a), 100 (b) requests/s (load 0.")
    assert {row["lanes"] for row in table(tmp_path, "experiments")} == {3}


def test_it_serves_for_real_on_the_cpu(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    model = ("--model", f"file:{net}")
    done = cotenant(
        "serve", *model, *model, "--rate", "60", "--max-batch", "2", "--seconds", "4", "--out", "out", "--json"
    )
    assert done.code == 0, done.err
    (run,) = json.loads(done.out)["runs"]
    assert run["request_count"] == run["served_count"] + run["unfinished_count"]
    assert run["served_count"] > 300
    assert all(1 <= tenant["batch_size_mean"] <= 2 for tenant in run["tenants"])
    assert all(tenant["latency_p50_ns"] > 0 for tenant in run["tenants"])
    assert cotenant("dataset", "check", tmp_path / "out").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--model resnet50", ["--load", "--rate"]),
        ("--load 0.5", ["--model"]),
        ("--model resnet50 --load 0.5 --rate 3", ["--load", "--rate", "not both"]),
        ("--model rsnet50 --load 0.5", ["rsnet50", "resnet50"]),
        ("--model resnet50 --load 0", ["--load", "above 0", "0.3,0.7"]),
        ("--model resnet50 --load=-1", ["--load", "above 0"]),
        ("--model resnet50 --load nan", ["--load", "nan"]),
        ("--model resnet50 --load 1e9", ["--load", "100"]),
        ("--model resnet50 --load 0.5,", ["--load", "above 0"]),
        ("--model resnet50 --rate 0", ["--rate", "above 0"]),
        ("--model resnet50 --rate 1,2", ["2 rates", "1 times"]),
        ("--model resnet50 --load 0.5 --lanes 1 --concurrency 2", ["--lanes 1", "--concurrency 2", "2 or more"]),
        ("--model resnet50 --load 0.5 --concurrency 0", ["--concurrency", "1"]),
        ("--model resnet50 --load 0.5 --max-batch 0", ["--max-batch", "1"]),
        ("--model resnet50 --load 0.5 --seconds 0", ["--seconds", "0.001"]),
        ("--model resnet50 --load 0.5 --seconds nan", ["--seconds", "nan"]),
        ("--model resnet50 --load 0.5 --deadline-ms 0", ["--deadline-ms"]),
        ("--model resnet50 --load 0.5 --wait-us=-1", ["--wait-us"]),
        ("--model resnet50 --load 0.5 --device nope", ["nope", "l4"]),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(cotenant: Cotenant, arguments: str, words: list[str]) -> None:
    done = cotenant("serve", *arguments.split(), "--runner", "simulated")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.told
