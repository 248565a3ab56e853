"""`cotenant profile` with counters, in real processes: a stand-in `ncu` on PATH, a runner of others on a model GPU."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ncu_stand_in import install
from plugin_runner import plugged_in

from cotenant.datasets.check import check_dataset
from cotenant.datasets.read import read_table

MODEL = "resnet18"
ALLOWED_CHECKS = {"duplicates", "clock steps"}  # the model GPU repeats itself to the last digit, in virtual time


@dataclass
class Machine:
    """A machine with a GPU that is a model, and an `ncu` that says what it is told to."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, out: str = "out", mode: str = "ok", **variables: str) -> Any:
        stand_in = self.folder / "bin" / "ncu"
        if not stand_in.exists():
            install(self.folder / "bin")
        environment = {
            **os.environ,
            **plugged_in(self.folder / "plugin"),
            "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
            "NCU_STAND_IN": mode,
            "NCU_STAND_IN_ARGV": str(self.folder / "argv"),
            "COTENANT_ALLOW_BUSY": "1",
            **variables,
        }
        command = [sys.executable, "-m", "cotenant.profiler.cli.main", *arguments]
        places = ["--out", str(self.folder / out), "--cache", str(self.folder / "cache")]
        return subprocess.run(
            [*command, *places], env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def profile(self, *more: str, **how: str) -> Any:
        return self.run("profile", "--runner", "model-gpu", "--model", MODEL, *more, **how)

    @property
    def ncu_runs(self) -> int:
        """How often ncu has profiled."""
        path = self.folder / "argv"
        lines = path.read_text().splitlines() if path.exists() else []
        return sum("--export" in line for line in lines)

    def throughputs(self, out: str = "out") -> dict[tuple[str, str], dict[str, Any]]:
        engines = {row["engine_id"]: row["family"] for row in read_table(self.folder / out, "engines").to_pylist()}
        rows = read_table(self.folder / out, "throughputs").to_pylist()
        networks = [row for row in rows if engines[row["engine_id"]] != "probe"]
        return {(row["counter_source"], row["counter_set"]): row for row in networks}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def sound(folder: Path) -> bool:
    found = check_dataset(folder).findings
    assert {finding.check for finding in found} <= ALLOWED_CHECKS, found
    return True


def test_both_sets_are_profiled_once_and_stand_in_the_dataset(machine: Machine) -> None:
    done = machine.profile("--counters", "ncu", "--json")
    assert done.returncode == 0, done.stderr
    told = machine.throughputs()
    paper, single = told["ncu", "paper"], told["ncu", "single"]
    assert paper["aggregation"] == "kernel_wmean"
    assert single["aggregation"] == "range"
    assert paper["kernel_count"] > 0
    assert None not in (paper["sm_pct"], paper["l2_pct"], paper["dram_pct"], paper["memory_pct"])
    assert paper["marks"] == []
    assert read_table(machine.folder / "out", "kernels").num_rows == paper["kernel_count"]
    shown = json.loads(done.stdout)[0]["throughputs"]
    assert [row["counter_source"] for row in shown[:2]] == ["ncu", "ncu"]
    assert sound(machine.folder / "out")
    runs = machine.ncu_runs
    assert runs == 2
    again = machine.profile("--counters", "ncu")
    assert again.returncode == 0
    assert "ncu paper" in again.stdout
    assert machine.ncu_runs == runs, "what lies in the folder is not profiled again"
    elsewhere = machine.profile("--counters", "ncu", out="other")
    assert elsewhere.returncode == 0
    assert machine.ncu_runs == runs, "what another campaign has profiled comes from the cache"
    assert machine.throughputs("other")["ncu", "paper"] == paper


@pytest.mark.parametrize(
    ("mode", "says", "code"),
    [
        ("permission", "counters", 2),
        ("driver_mismatch", "driver", 2),
        ("library_not_loaded", "librar", 2),
    ],
)
def test_a_refused_source_stops_or_falls_back_as_the_user_says(
    machine: Machine, mode: str, says: str, code: int
) -> None:
    strict = machine.profile("--counters", "ncu", mode=mode)
    assert strict.returncode == code, strict.stderr
    last = strict.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: no counter source that the spec lists is available: ncu: ")
    assert says in last
    assert "ERR_NVGPUCTRPERM" not in strict.stderr + strict.stdout
    assert "Traceback" not in strict.stderr
    free = machine.profile("--counters", "auto", out="free", mode=mode)
    assert free.returncode == 0, free.stderr
    assert "counters come from `analytic`; not available: ncu: " in free.stderr
    assert "ERR_NVGPUCTRPERM" not in free.stderr + free.stdout
    assert ("ncu", "paper") not in machine.throughputs("free")


@pytest.mark.parametrize(
    ("mode", "failure"),
    [
        ("no_kernels", "NoKernelsProfiled"),
        ("cut", "ReportDamaged"),
        ("fewer", "ReportDamaged"),
        ("garbage", "ReportDamaged"),
        ("crash", "NcuCrashed"),
    ],
)
def test_one_engine_that_cannot_be_profiled_is_data_and_stops_nothing(
    machine: Machine, mode: str, failure: str
) -> None:
    done = machine.profile("--counters", "ncu", "--counter-set", "paper", mode=mode)
    assert done.returncode == 1, done.stderr
    (path,) = (machine.folder / "out" / "failed").glob("*.json")
    told = json.loads(path.read_text())
    assert told["class"] == failure
    assert f"{MODEL}@1 ncu paper failed: " in done.stderr
    assert ("ncu", "paper") not in machine.throughputs()
    assert machine.profile("--counters", "ncu", "--counter-set", "paper").returncode == 0
    assert ("ncu", "paper") in machine.throughputs()
    assert not list((machine.folder / "out" / "failed").glob("*.json")), "what has succeeded since is no failure"


def test_a_hang_ends_at_its_limit(machine: Machine) -> None:
    spec = machine.folder / "spec.yaml"
    spec.write_text(
        "name: hang\nrunner: model-gpu\nengines: [{models: [resnet18]}]\n"
        "experiments: [{kind: solo, repeats: 1, executions: 4}]\n"
        "counters: {sources: [ncu], sets: [paper], timeout_s: 2}\n"
    )
    done = machine.run("campaign", "run", str(spec), mode="hang")
    assert done.returncode == 1, done.stderr
    (path,) = (machine.folder / "out" / "failed").glob("*.json")
    assert json.loads(path.read_text())["class"] == "NcuHung"


def test_a_program_that_fails_under_ncu_is_told_by_its_own_words(machine: Machine) -> None:
    done = machine.profile("--counters", "ncu", "--counter-set", "paper", PLUGIN_RUNNER_FAILS="load")
    assert done.returncode == 1, done.stderr
    (path,) = (machine.folder / "out" / "failed").glob("*.json")
    told = json.loads(path.read_text())
    assert told["class"] == "ChildFailed"
    assert "out of GPU memory: 12 of 81920 MiB" in told["message"]


def test_kernels_that_are_the_same_are_replayed_once_when_asked(machine: Machine) -> None:
    done = machine.profile("--counters", "ncu", "--counter-set", "paper", "--reuse-kernels")
    assert done.returncode == 0, done.stderr
    row = machine.throughputs()["ncu", "paper"]
    assert 0 < row["replayed_kernel_count"] < row["kernel_count"]
    assert sound(machine.folder / "out")


def test_a_newer_ncu_profiles_nothing_again_that_the_campaign_has(machine: Machine) -> None:
    assert machine.profile("--counters", "ncu", "--counter-set", "paper").returncode == 0
    runs, before = machine.ncu_runs, machine.throughputs()
    install(machine.folder / "bin", version="2026.3.1.0")
    again = machine.profile("--counters", "ncu", "--counter-set", "paper")
    assert again.returncode == 0, again.stderr
    assert machine.ncu_runs == runs
    assert machine.throughputs() == before
    refused = machine.profile("--counters", "ncu", "--counter-set", "paper", mode="permission")
    assert refused.returncode == 0, "what is there needs nobody's permission"
    assert machine.profile("--counters", "ncu", "--counter-set", "paper", out="other").returncode == 0
    assert machine.ncu_runs == runs + 1, "the cache is asked by version"


def test_no_counters_and_no_gpu_ask_nothing(machine: Machine) -> None:
    assert machine.profile("--counters", "none").returncode == 0
    assert machine.ncu_runs == 0
    done = machine.run("profile", "--runner", "simulated", "--model", MODEL, "--counters", "auto", out="simulated")
    assert done.returncode == 0, done.stderr
    assert machine.ncu_runs == 0
    refused = machine.run("profile", "--runner", "simulated", "--model", MODEL, "--counters", "ncu", out="no")
    assert refused.returncode == 2
    assert "simulated" in refused.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("counters", "says"),
    [
        ("{sources: []}", "counters"),
        ("{sources: [ncu, ncu]}", "twice"),
        ("{sources: [nvidia-smi]}", "counters.sources"),
        ("{sources: [ncu], colour: red}", "colour"),
        ("{sources: [probe]}", "sensitivity"),
    ],
)
def test_a_wrong_key_is_one_line(machine: Machine, counters: str, says: str) -> None:
    spec = machine.folder / "spec.yaml"
    spec.write_text(
        "name: wrong\nrunner: model-gpu\nengines: [{models: [resnet18]}]\nexperiments: [{kind: solo}]\n"
        f"counters: {counters}\n"
    )
    done = machine.run("campaign", "run", str(spec))
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert says in line
