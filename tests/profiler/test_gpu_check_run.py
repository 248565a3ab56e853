"""The check goes on whatever a part does: hang, crash, leave processes behind, lack a module, run out of time."""

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gpu_check_stand_ins
import pytest
from gpu_check_stand_ins import part

from cotenant.profiler.gpu_check import archive, run
from cotenant.profiler.gpu_check.leftovers import MARK
from cotenant.profiler.gpu_check.part import Outcome, Part
from cotenant.profiler.gpu_check.process import LOG_BYTES_MAX, run_part


@pytest.fixture(autouse=True)
def stand_ins_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    links = Path(__file__).resolve().parents[2] / ".links"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(links), str(Path(gpu_check_stand_ins.__file__).parent)]))


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def check(parts: Sequence[Part], folder: Path, budget_s: float = 120) -> tuple[int, dict[str, dict[str, Any]]]:
    code = run.run_all(parts, folder, budget_s)
    lines = [json.loads(line) for line in (folder / run.LINES).read_text().splitlines()]
    assert [line["part"] for line in lines] == [each.name for each in parts]
    return code, {line["part"]: line for line in lines}


WAYS = {
    "is-fine": ("ok", None),
    "does-not-hold": ("failed", "1 is 2; 2 is 3"),
    "raises": ("failed", "RuntimeError: the device is on fire"),
    "skips": ("skipped", "there is nothing here"),
    "lacks": ("skipped", "needs the Python module no_such_vendor"),
    "lacks-ours": ("failed", "ModuleNotFoundError: No module named 'cotenant.runners.no_such_module'"),
    "leaves": ("failed", "SystemExit: 3"),
    "vanishes": ("failed", "its process ended with exit code 4 and no verdict (last words)"),
}


def test_each_way_to_end_is_told_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = check([part(way) for way in WAYS], tmp_path)
    assert code == 1
    for way, (state, reason) in WAYS.items():
        assert (lines[way]["state"], lines[way]["reason"]) == (state, reason)
    printed = capsys.readouterr()
    assert [json.loads(line) for line in printed.out.splitlines()] == list(lines.values())
    assert "1 ok, 5 failed, 0 timed_out, 2 skipped" in printed.err
    result = json.loads((tmp_path / archive.RESULT).read_text())
    assert result["parts"] == list(lines.values())
    assert result["exit_code"] == 1


def test_a_part_that_crashes_keeps_its_facts_and_tells_the_signal(tmp_path: Path) -> None:
    outcome = run_part(part("crashes"), tmp_path, 20)
    assert outcome.state == "failed"
    assert "SIGSEGV" in (outcome.reason or "")
    assert outcome.facts["span_ns"] == 7
    assert "Segmentation fault" in (tmp_path / "logs" / "crashes.txt").read_text()


def test_a_part_that_hangs_is_ended_in_time_and_keeps_its_facts(tmp_path: Path) -> None:
    began_s = time.monotonic()
    outcome = run_part(part("hangs"), tmp_path, 1.5)
    assert time.monotonic() - began_s < 10
    assert (outcome.state, outcome.reason) == ("timed_out", "no end within 1.5 s")
    assert outcome.facts["span_ns"] == 7
    assert not is_alive(outcome.facts["pid"])


@pytest.mark.parametrize(("how", "state"), [("leaves-a-child", "ok"), ("hangs-with-a-child", "timed_out")])
def test_what_a_part_leaves_running_is_ended_too(tmp_path: Path, how: str, state: str) -> None:
    outcome = run_part(part(how), tmp_path, 3)
    assert outcome.state == state
    assert not is_alive(outcome.facts["child"])
    assert "left_running_pids" not in outcome.facts


def test_processes_of_others_are_left_alone(tmp_path: Path) -> None:
    environment = {**os.environ, MARK: "of another check"}
    with subprocess.Popen([sys.executable, "-c", gpu_check_stand_ins.SLEEPS], env=environment) as other:
        assert run_part(part("leaves-a-child"), tmp_path, 20).state == "ok"
        assert is_alive(other.pid)
        other.kill()


def test_needed_modules_and_a_gpu_are_looked_for_first(tmp_path: Path) -> None:
    lacking = run_part(part("raises", needs=("json", "no_such_module", "no_such.either")), tmp_path, 20)
    assert (lacking.state, lacking.reason) == ("skipped", "needs the Python modules no_such_module, no_such.either")


def test_after_the_budget_parts_are_skipped(tmp_path: Path) -> None:
    budget_s = run.RESERVE_S + run.LEAST_S + 1.5
    code, lines = check([part("hangs"), part("is-fine")], tmp_path, budget_s)
    assert code == 1
    assert lines["hangs"]["state"] == "timed_out"
    assert lines["hangs"]["seconds"] < budget_s
    assert (lines["is-fine"]["state"], lines["is-fine"]["reason"]) == ("skipped", run.NO_TIME)
    assert lines["is-fine"]["seconds"] == 0


def test_a_gpu_that_no_longer_answers_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ALIVE", part("raises"))
    _, lines = check([part("crashes"), part("is-fine", needs_gpu=True), part("skips")], tmp_path)
    reason = "the GPU does not answer since crashes (RuntimeError: the device is on fire)"
    assert (lines["is-fine"]["state"], lines["is-fine"]["reason"]) == ("skipped", reason)
    assert lines["skips"]["reason"] == "there is nothing here"


def test_a_gpu_that_still_answers_is_used_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ALIVE", part("is-loud"))
    _, lines = check([part("crashes"), part("is-fine")], tmp_path)
    assert lines["is-fine"]["state"] == "ok"


def test_logs_keep_their_end_without_folders_of_this_machine(tmp_path: Path) -> None:
    run_part(part("is-loud"), tmp_path, 20)
    log = (tmp_path / "logs" / "is-loud.txt").read_text()
    assert len(log) <= LOG_BYTES_MAX + 10
    assert log.endswith("the end DIR\n")
    assert str(tmp_path) not in log


def test_the_archive_stays_small_and_says_what_it_left_out(tmp_path: Path) -> None:
    code, _ = check([part("keeps-much")], tmp_path)
    assert code == 0
    with tarfile.open(tmp_path / archive.ARCHIVE) as packed:
        names = packed.getnames()
        result = json.load(packed.extractfile("gpu_check/gpu_check.json"))  # type: ignore[arg-type]
    assert "gpu_check/tables/keeps-much/small.json" in names
    assert "gpu_check/logs/keeps-much.txt" in names
    assert "gpu_check/gpu_check.jsonl" in names
    assert not any("huge" in name for name in names)
    assert result["left_out_of_archive"] == [f"tables/keeps-much/huge.parquet ({6 << 20} bytes)"]
    assert (tmp_path / archive.ARCHIVE).stat().st_size < archive.LIMIT_BYTES


def test_an_earlier_runs_results_are_replaced_and_its_engines_kept(tmp_path: Path) -> None:
    check([part("keeps-much")], tmp_path)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "engine").write_text("built")
    _, lines = check([part("is-fine")], tmp_path)
    assert list(lines) == ["is-fine"]
    assert not (tmp_path / "tables").exists()
    assert (tmp_path / "cache" / "engine").read_text() == "built"


@pytest.mark.parametrize(
    ("states", "code"),
    [(["ok"], 0), (["ok", "skipped"], 0), (["skipped"], 1), ([], 1), (["ok", "failed"], 1), (["timed_out", "ok"], 1)],
)
def test_exit_codes(states: list[Any], code: int) -> None:
    assert run.exit_code([Outcome("x", state, 1.0, None) for state in states]) == code


def test_only_parts_that_end_well_prove_something() -> None:
    outcomes: list[tuple[str, Any]] = [("lane", "ok"), ("tensorrt", "failed"), ("mode-streams", "ok")]
    assert run.proven([Outcome(name, state, 1.0, None) for name, state in outcomes]) == ["gpu_execution"]
