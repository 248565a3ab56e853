"""Parts that stand on other packages: campaigns on the simulated device, and pytest on a project of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cotenant.models.errors import WorkError
from cotenant.profiler.gpu_check import clocks
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.part import Part
from cotenant.profiler.gpu_check.parts import campaign
from cotenant.profiler.gpu_check.parts.tests import marked_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def on_the_simulated_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "RUNNERS", ("simulated",))
    monkeypatch.setattr(clocks, "gpu_state", lambda _: {})


def run(folder: Path, name: str, timeout_s: float) -> tuple[dict[str, Any], list[str]]:
    facts = Facts(folder / "facts.json", folder, Part(f"campaign-{name}", "", "campaign", name, timeout_s=timeout_s))
    campaign.measure(facts)
    return json.loads((folder / "facts.json").read_text()), facts.failed_checks


@pytest.mark.parametrize(("name", "kind"), [("probes", "offset_sweep"), ("serving", "serving")])
def test_a_campaign_runs_and_its_dataset_holds(tmp_path: Path, name: str, kind: str) -> None:
    facts, failed = run(tmp_path, name, 300)
    assert failed == []
    assert facts["done"] == facts["planned"] > 10
    assert facts["findings"] == []
    assert {"self_test", kind} <= {row["kind"] for row in facts["experiments"]}
    kept = tmp_path / "tables" / f"campaign-{name}"
    assert (kept / "plan.json").is_file()
    assert list(kept.glob("executions/**/*.parquet"))
    if name == "probes":
        assert all(row["slowdown_ratio"] > 0 and row["slowdown_upper_ratio"] for row in facts["slowdowns"])


def test_a_busy_card_does_not_end_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cotenant.profiler.campaign import crew

    asked: list[bool] = []

    def check_idle(_crew: crew.Crew, _pending: object, allow_busy: bool) -> None:
        asked.append(allow_busy)
        raise WorkError("that was all")

    monkeypatch.setattr(crew.Crew, "check_idle", check_idle)
    with pytest.raises(WorkError, match="that was all"):
        run(tmp_path, "probes", 300)
    assert asked == [True]


def test_the_models_campaign_is_planned_as_meant() -> None:
    from cotenant.profiler.campaign.plan import make_plan
    from cotenant.profiler.campaign.spec import parse_spec

    content = {"name": "x", "lanes": 2, "quality": campaign.QUALITY, **campaign.SPECS["models"]}
    plan = make_plan(parse_spec(content, "models"))
    labels = {(key.label, key.precision) for key in plan.engines if not key.label.startswith("probe")}
    models = ("resnet18", "resnet50", "vit_s_32", "roberta_small")
    assert labels == {(f"{model}@{size}", "fp16") for model in models for size in (1, 8)}
    assert sum(cell.cell.kind == "pair" for cell in plan.cells) == 4


def test_a_campaign_stops_in_time_and_tells_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(campaign.SPECS["models"]["experiments"][0], "repeats", 5000)
    facts, failed = run(tmp_path, "models", campaign.RESERVE_S + 8)
    assert facts["stopped"].startswith("no time left")
    assert 0 < facts["done"] < facts["planned"]
    assert facts["findings"] == []
    assert [each for each in failed if "time for" not in each] == []


CONTRACT = """
import os, time, pytest

@pytest.mark.parametrize("runner", ["torch-cuda", "tensorrt", "simulated"])
class TestIt:
    def test_passes(self, runner):
        assert runner != "simulated"

    def test_fails(self, runner):
        assert runner == "tensorrt", f"{runner} is off"

    def test_skips(self, runner):
        pytest.skip(f"no {runner} here")

    def test_last(self, runner):
        LAST
"""
SCRIPT = """
import json, sys
from pathlib import Path
from cotenant.profiler.gpu_check.facts import Facts, Skip
from cotenant.profiler.gpu_check.part import Part
from cotenant.profiler.gpu_check.parts import tests
tests.ROOT, folder = Path(sys.argv[1]), Path(sys.argv[2])
facts = Facts(folder / "facts.json", folder, Part("contract", "", "tests", "contract", timeout_s=float(sys.argv[3])))
try:
    tests.measure(facts)
except Skip as reason:
    facts.note(skip=str(reason))
facts.note(failed_checks=facts.failed_checks)
"""


def run_tests(folder: Path, contract: str, timeout_s: float = 60) -> dict[str, Any]:
    project, out = folder / "project", folder / "out"
    (project / "tests" / "runners").mkdir(parents=True)
    (project / "tests" / "runners" / "test_contract.py").write_text(contract)
    (out / "parts").mkdir(parents=True)
    command = [sys.executable, "-c", SCRIPT, str(project), str(out), str(timeout_s)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".links")}
    subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    facts: dict[str, Any] = json.loads((out / "facts.json").read_text())
    return facts


def test_tests_are_counted_and_failures_named(tmp_path: Path) -> None:
    facts = run_tests(tmp_path, CONTRACT.replace("LAST", "pass"))
    assert facts["counts"] == {"passed": 5, "failed": 1, "skipped": 2}
    assert facts["skipped_for"] == {"no torch-cuda here": 1, "no tensorrt here": 1}
    (name,) = facts["failed"]
    assert "test_fails[torch-cuda]" in name
    assert facts["failed_checks"] == ["every test passes (failed: test_contract.py::TestIt::test_fails[torch-cuda])"]


def test_a_test_that_takes_the_process_with_it_is_named(tmp_path: Path) -> None:
    facts = run_tests(tmp_path, CONTRACT.replace("LAST", "os._exit(9)"))
    assert "test_last[torch-cuda]" in facts["runs"]
    assert facts["counts"]["passed"] >= 1
    assert "exit_code" not in facts


def test_tests_stop_in_time(tmp_path: Path) -> None:
    facts = run_tests(tmp_path, CONTRACT.replace("LAST", "time.sleep(3)"), timeout_s=9)
    assert facts["stopped"] == "no time left"
    assert sum(facts["counts"].values()) < 8


def test_nothing_but_skips_is_a_skip(tmp_path: Path) -> None:
    body = "import pytest\n@pytest.mark.parametrize('r', ['tensorrt'])\ndef test_it(r):\n    pytest.skip('no device')\n"
    assert run_tests(tmp_path, body)["skip"] == "no device"


def test_a_file_that_cannot_be_collected_is_a_failure(tmp_path: Path) -> None:
    facts = run_tests(tmp_path, "import no_such_module_at_all\n")
    assert facts["counts"]["failed"] == 1
    assert len(facts["failed_checks"]) == 1


def test_files_with_tests_for_a_gpu_are_found() -> None:
    names = {path.name for path in marked_files(ROOT / "tests")}
    assert "test_cuda_lanes.py" in names
    assert "test_contract.py" not in names
