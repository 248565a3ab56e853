"""The command as people type it, in a checkout, with an interpreter that has no package at all."""

import json
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from cotenant.profiler.gpu_check.catalogue import PARTS
from cotenant.profiler.gpu_check.inside import gpu_trouble

ROOT = Path(__file__).resolve().parents[2]
MODULE = "cotenant.profiler.gpu_check"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter without packages."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return str(folder / "bin" / "python")


def check(python: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ".links"}
    command = [python, "-m", MODULE, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_without_packages_and_gpu_it_runs_through_and_says_why(bare: str, tmp_path: Path) -> None:
    if gpu_trouble() is None:
        pytest.skip("this machine has a GPU")
    done = check(bare, "--out", str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    lines = {line["part"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert list(lines) == [part.name for part in PARTS]
    assert lines["environment"]["state"] == "failed"
    reasons = {lines[part.name]["reason"] for part in PARTS if part.needs_gpu}
    assert reasons == {lines["environment"]["reason"]}
    assert {lines[part.name]["state"] for part in PARTS if part.needs_gpu} == {"skipped"}
    assert (lines["doctor"]["state"], lines["doctor"]["reason"]) == ("skipped", "needs the Python modules click, yaml")
    with tarfile.open(tmp_path / "gpu_check.tar.gz") as packed:
        assert {"gpu_check/gpu_check.json", "gpu_check/gpu_check.jsonl"} <= set(packed.getnames())
    result = json.loads((tmp_path / "gpu_check.json").read_text())
    assert result["command"] == f"PYTHONPATH=.links python3 -m {MODULE} --out DIR"
    assert result["proves"] == []
    assert result["parts"] == list(lines.values())


def test_its_process_imports_only_the_standard_library(bare: str) -> None:
    script = f"import sys, {MODULE}.__main__; print(*sorted(name.split('.')[0] for name in sys.modules))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / ".links")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numpy", "click", "yaml", "pydantic", "pyarrow", "pynvml", "cuda", "torch"}


def test_the_parts_are_listed(bare: str) -> None:
    done = check(bare, "--list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [part.name for part in PARTS]


def test_chosen_parts_run_in_our_order(bare: str, tmp_path: Path) -> None:
    done = check(bare, "--out", str(tmp_path / "new" / "folder"), "--parts", "doctor, environment")
    assert [json.loads(line)["part"] for line in done.stdout.splitlines()] == ["environment", "doctor"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--out DIR"),
        (["--out", "{tmp}", "--parts", "lane,lanes"], "no part 'lanes'; there are bare-replay"),
        (["--out", "{tmp}", "--parts", ","], "no part is named"),
        (["--out", "{tmp}", "--budget-s", "0"], "0 is no number of seconds above 0"),
        (["--out", "{tmp}", "--budget-s", "soon"], "soon"),
        (["--out", "{tmp}/file"], "is no folder"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(bare: str, tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "file").write_text("")
    done = check(bare, *(each.format(tmp=tmp_path) for each in arguments))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_every_part_is_there_and_ends_within_two_minutes() -> None:
    assert len({part.name for part in PARTS}) == len(PARTS)
    for part in PARTS:
        assert part.timeout_s < 120
        name = part.module_path.rpartition(".")[2]
        text = (ROOT / "profiler" / "gpu_check" / "parts" / f"{name}.py").read_text()
        assert "def measure(facts: Facts) -> None:" in text
