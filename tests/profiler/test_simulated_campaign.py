"""Campaigns on the simulated device: the same bytes for the same seed, also after a kill; modes told apart; figures."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from tiny_campaign import write_net

from cotenant.datasets.check import check_dataset
from cotenant.datasets.figures import figures
from cotenant.datasets.pictures import draw
from cotenant.datasets.read import read_table
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec

QUICK = {"look_quads": [4], "block_s": 2e-3, "lead_in_s": 5e-4, "settle_s": 1e-3, "rest_s": 1e-4}
NETS = ("resnet18", "yolov8n")
EVERY_KIND = [
    {"kind": "solo", "repeats": 2},
    {"kind": "pair"},
    {"kind": "offset_sweep", "pairs": [["resnet18@1", "yolov8n@1"]], "offsets": [0.0, 0.5]},
    {"kind": "chain", "chains": [["resnet18@1", "yolov8n@1", "resnet18@1"]]},
    {"kind": "null", "count": 2},
    {
        "kind": "serving",
        "deployment": [{"model": model, "max_batch": 1, "wait_us": 100} for model in NETS],
        "loads": [0.6],
        "seconds": 0.3,
    },
]


def spec(experiments: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "name": "simulated", "runner": "simulated", "device": "l4", "lanes": 2, "precision": "fp16", "seed": 11,
        "engines": {"models": list(NETS), "batch_sizes": [1]}, "experiments": experiments, "quality": QUICK, **changes,
    }  # fmt: skip


def run(content: dict[str, Any], out: Path) -> Path:
    outcome = run_campaign(parse_spec(content, "test"), out, out.parent / "cache", QuietProgress())
    assert outcome.failed_count == 0
    return out


def tables(out: Path) -> dict[str, bytes]:
    """Every file of the dataset but `provenance`, which tells when and where."""
    files = sorted((out / "dataset").rglob("*.parquet"))
    return {str(p.relative_to(out)): p.read_bytes() for p in files if "provenance" not in p.parts}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    first, second = (tables(run(spec(EVERY_KIND), tmp_path / name)) for name in ("first", "second"))
    assert first == second
    assert len(first) >= 11
    other = tables(run(spec(EVERY_KIND, seed=12), tmp_path / "other"))
    assert other.keys() == first.keys()
    assert other["dataset/executions/part-0.parquet"] != first["dataset/executions/part-0.parquet"]
    assert check_dataset(tmp_path / "first").findings == []


@pytest.mark.parametrize("kills", [1, 3])
def test_a_campaign_that_was_killed_and_resumed_gives_the_same_bytes(kills: int, tmp_path: Path) -> None:
    content = spec(EVERY_KIND)
    expected = tables(run(content, tmp_path / "whole"))
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(content))
    command = [
        *(sys.executable, "-m", "cotenant.profiler.cli.main", "campaign", "run", str(path)),
        *("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")),
    ]
    done = 0
    for kill in range(kills):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            deadline_s = time.monotonic() + 120
            while (found := len(list((tmp_path / "out" / "raw").glob("*.parquet")))) <= done + 2 * kill:
                assert time.monotonic() < deadline_s
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            done = found
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert tables(tmp_path / "out") == expected


@pytest.mark.parametrize(
    ("isolation", "passed", "makespan"),
    [("streams", True, 1.0), ("processes", False, 2.0), ("mps", True, 1.0), ("green-contexts", True, 1.0)],
)
def test_the_self_test_and_the_gain_tell_isolation_modes_apart(
    isolation: str, passed: bool, makespan: float, tmp_path: Path
) -> None:
    half = "probe:half:100"
    content = spec(
        [{"kind": "pair", "pairs": [[f"{half}@1", f"{half}@1"]]}],
        isolation=isolation, engines={"models": [half], "batch_sizes": [1]},
        quality={"look_quads": [2], "block_executions_min": 3, "lead_in_executions": 1, "settle_executions": 1},
    )  # fmt: skip
    rows = {row["kind"]: row for row in read_table(run(content, tmp_path / "out"), "experiments").to_pylist()}
    assert rows["self_test"]["self_test_passed"] is passed
    assert rows["self_test"]["self_test_makespan_ratio"] == pytest.approx(makespan, rel=0.1)
    assert rows["pair"]["concurrency_gain_ratio"] == pytest.approx(2.0 if passed else 1.0, rel=0.05)
    assert ("serialised" in rows["pair"]["verdict_reasons"]) is not passed
    assert (rows["pair"]["verdict"] == "failed") is not passed


def test_two_full_loads_are_saturated_and_stay_ok(tmp_path: Path) -> None:
    full = "probe:dram:100"
    content = spec(
        [{"kind": "pair", "pairs": [[f"{full}@1", f"{full}@1"]]}, {"kind": "null", "count": 3}],
        engines={"models": [full], "batch_sizes": [1]}, quality={"look_quads": [8], "half_width_max_ratio": 0.05},
    )  # fmt: skip
    rows = read_table(run(content, tmp_path / "out"), "experiments").to_pylist()
    (pair,) = [row for row in rows if row["kind"] == "pair"]
    assert pair["verdict_reasons"] == ["saturated"]
    assert pair["verdict"] == "ok"


def test_lone_executions_take_as_long_as_the_profile_says(tmp_path: Path) -> None:
    rows = read_table(run(spec(EVERY_KIND), tmp_path / "out"), "experiments").to_pylist()
    (serving,) = [row for row in rows if row["kind"] == "serving"]
    assert serving["lone_execution_count"] > 20
    assert serving["lone_slowdown_lower_ratio"] <= 1.0 <= serving["lone_slowdown_upper_ratio"]
    assert "solo_not_representative" not in serving["verdict_reasons"]


def test_the_papers_figures_are_drawn_from_tables(tmp_path: Path) -> None:
    deployments = [[{"model": "resnet50", "max_batch": 4}] * count for count in (1, 2)]
    serving = [
        {"kind": "serving", "deployment": own, "loads": [0.7], "concurrency": [1, 2], "seconds": 1.0}
        for own in deployments
    ]
    content = spec(
        [{"kind": "solo"}, *serving], engines={"models": ["resnet50"], "batch_sizes": [1, 2, 4]}
    )  # fmt: skip
    out = run(content, tmp_path / "out")
    found = {figure.name: figure.rows for figure in figures(out)}
    throughput = found["throughput_by_batch"]
    assert throughput.batch_size.tolist() == [1, 2, 4]
    assert throughput.gain_pct.iloc[0] == 0
    profiles = read_table(out, "solo_profiles").to_pandas()
    assert set(throughput.throughput_items_per_s) <= set(profiles.throughput_items_per_s)
    latency = found["latency_by_tenants"]
    assert set(zip(latency.tenant_count, latency.concurrency, strict=True)) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert_p99_follows_from_requests(out, latency)
    interference = found["interference_by_concurrency"]
    assert len(interference) == 4
    alone = interference[interference.concurrency == 1].interference_p95_ratio
    assert (alone - 1).abs().max() < 0.03, "one batch at a time is beside nobody"
    for figure in figures(out):
        for picture in draw(figure, tmp_path):
            assert picture.stat().st_size > 5_000


def assert_p99_follows_from_requests(out: Path, latency: pd.DataFrame) -> None:
    requests = read_table(out, "requests").to_pandas()
    served = requests[(requests.outcome == "served") & ~requests.marks.map(lambda marks: "warmup" in marks)]
    by_experiment = served.groupby("experiment_id", observed=True).latency_ns.quantile(0.99)
    assert sorted(latency.latency_p99_ns) == pytest.approx(sorted(by_experiment))
    assert (latency.latency_p99_lower_ns <= latency.latency_p99_ns).all()
    assert (latency.latency_p99_ns <= latency.latency_p99_upper_ns).all()


def test_faults_of_the_device_are_failures_as_data(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.onnx")
    (tmp_path / "dying.yaml").write_text("base: l4\nname: dying\nfaults:\n  lane_death: {lane: 1, at_ns: 1500000000}\n")
    content = spec(
        [{"kind": "solo", "repeats": 1, "executions": 4}, {"kind": "pair"}],
        device=str(tmp_path / "dying.yaml"), precision="fp32", engines={"models": [f"file:{net}"], "batch_sizes": [1]},
        quality={"look_quads": [8], "block_s": 0.2},
    )  # fmt: skip
    outcome = run_campaign(parse_spec(content, "test"), tmp_path / "out", tmp_path / "cache", QuietProgress())
    failures = [json.loads(path.read_text()) for path in (tmp_path / "out" / "failed").glob("*.json")]
    assert {failure["class"] for failure in failures} == {"LaneLost"}
    assert {failure["count"] for failure in failures} == {2}, "tried twice"
    assert "pair" in {failure["kind"] for failure in failures}
    assert outcome.failed_count == len(failures)
    assert 0 < outcome.done_count == outcome.planned_count - len(failures), "what ended before the lane died is kept"
