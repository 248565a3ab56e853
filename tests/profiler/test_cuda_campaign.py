"""Every kind of experiment on the CUDA lanes, over the model GPU: the dataset tells what the model was told to do."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from model_parts import Traits
from model_runner import ModelRunner

from cotenant.datasets.check import check_dataset
from cotenant.datasets.raw import read_metadata
from cotenant.datasets.read import read_table
from cotenant.profiler.campaign import placement
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec

MS = 1_000_000
FIRST, SECOND = "resnet18", "yolov8n"
SPANS_NS = {FIRST: 2 * MS, SECOND: 3 * MS}
QUICK = {"look_quads": [4], "block_s": 2e-2, "lead_in_s": 5e-3, "settle_s": 1e-2, "rest_s": 1e-3}
CONTENTION = 0.3
ALL: list[dict[str, Any]] = [
    {"kind": "solo"},
    {"kind": "pair"},
    {"kind": "set", "lanes": 3, "sets": [[f"{FIRST}@1", f"{SECOND}@1", f"{SECOND}@1"]]},
    {"kind": "offset_sweep", "pairs": [[f"{FIRST}@1", f"{SECOND}@1"]], "offsets": [0.0, 0.5, 1.0]},
    {"kind": "chain", "chains": [[f"{FIRST}@1", f"{SECOND}@1", f"{FIRST}@1"]]},
    {"kind": "sequential", "sets": [[f"{FIRST}@1", f"{SECOND}@1"]]},
    {"kind": "sensitivity", "engines": [f"{FIRST}@1"], "intensities_pct": [100], "calibration_pct": []},
    {"kind": "null", "count": 2},
    {
        "kind": "serving",
        "deployment": [{"model": model, "max_batch": 1, "wait_us": 200} for model in (FIRST, SECOND)],
        "loads": [0.5],
        "seconds": 1.0,
    },
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runner = ModelRunner(SPANS_NS, Traits(contention=CONTENTION))
    folder = tmp_path_factory.mktemp("cuda")
    content = {
        "name": "cuda", "runner": "model-gpu", "seed": 3, "quality": QUICK,
        "engines": {"models": list(SPANS_NS), "batch_sizes": [1]}, "experiments": ALL,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "load", lambda name: runner)
        outcome = run_campaign(parse_spec(content, "t"), folder / "out", folder / "cache", QuietProgress())
    assert outcome.failed_count == 0
    return folder / "out"


def rows(out: Path, table: str, kind: str | None = None) -> list[dict[str, Any]]:
    found = read_table(out, table).to_pylist()
    return found if kind is None else [row for row in found if row["kind"] == kind]


def test_every_kind_ran_and_every_invariant_holds(out: Path) -> None:
    found = check_dataset(out).findings
    # the model draws nothing and its time is virtual: cells repeat to the last digit and outlast the wall clock
    assert {finding.check for finding in found} <= {"duplicates", "clock steps"}, found
    assert {row["kind"] for row in rows(out, "experiments")} == {*(each["kind"] for each in ALL), "self_test"}


def test_how_engines_were_launched_is_kept(out: Path) -> None:
    modes = [
        mode
        for path in (out / "raw").glob("*.parquet")
        if "." not in path.name.removesuffix(".parquet")
        for mode in read_metadata(path)["provenance"]["launch_modes"]
    ]
    assert modes
    assert all(mode["captured"] and mode["refusal"] is None for mode in modes)


def test_solo_spans_are_the_works_and_pairs_slow_down_as_the_model_contends(out: Path) -> None:
    models = {row["engine_id"]: row["model"] for row in rows(out, "engines")}
    for profile in rows(out, "solo_profiles"):
        if (model := models[profile["engine_id"]]) in SPANS_NS and profile["pattern"] == "back_to_back":
            assert profile["span_p50_ns"] == pytest.approx(SPANS_NS[model], rel=1e-3)
    for row in rows(out, "slowdowns", "pair"):
        assert row["slowdown_ratio"] == pytest.approx(1 + CONTENTION, rel=0.01)
    for row in rows(out, "slowdowns", "null"):
        assert row["slowdown_ratio"] == pytest.approx(1.0, abs=1e-3)


def test_slowdown_falls_as_the_offset_grows(out: Path) -> None:
    experiments = {row["experiment_id"]: json.loads(row["spec"]) for row in rows(out, "experiments", "offset_sweep")}
    found = {
        experiments[row["experiment_id"]]["options"]["offset_ratio"]: row["slowdown_ratio"]
        for row in rows(out, "slowdowns", "offset_sweep")
        if row["tenant"] == "a"
    }
    assert found[0.0] > found[0.5] > found[1.0]
    assert found[1.0] == pytest.approx(1.0, abs=0.01)


def test_lanes_ran_side_by_side_and_requests_are_conserved(out: Path) -> None:
    (test,) = (row for row in rows(out, "experiments", "self_test") if row["lanes"] == 2)
    assert test["self_test_passed"]
    assert test["self_test_makespan_ratio"] == pytest.approx(1 + CONTENTION, rel=0.01)
    requests = rows(out, "requests")
    assert requests
    served = Counter(row["execution_id"] for row in requests if row["outcome"] == "served")
    batches = {row["execution_id"]: row["request_count"] for row in rows(out, "executions", "serving")}
    assert all(batches[execution_id] == count for execution_id, count in served.items())
