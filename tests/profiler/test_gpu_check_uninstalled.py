"""Parts run from a checkout that is not installed: packages are there, but cotenant itself has no distribution."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = """
import sys
from pathlib import Path
from cotenant.profiler.gpu_check import clocks
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.part import Part
from cotenant.profiler.gpu_check.parts import campaign
campaign.RUNNERS = ("simulated",)
clocks.gpu_state = lambda _: {}
folder = Path(sys.argv[1])
facts = Facts(folder / "facts.json", folder, Part("campaign-probes", "", "campaign", "probes", timeout_s=300))
campaign.measure(facts)
facts.note(failed_checks=facts.failed_checks)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of this environment, but for cotenant."""
    folder = tmp_path_factory.mktemp("packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "cotenant" not in entry.name.lower():
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return str(folder / "bin" / "python")


def run(python: str, packages: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": f".links{os.pathsep}{packages}"}
    return subprocess.run(
        [python, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_cotenant_is_not_installed_there(bare: str, packages: Path) -> None:
    done = run(bare, packages, "-c", "import numpy; from importlib.metadata import version; version('cotenant')")
    assert "PackageNotFoundError" in done.stderr
    assert Path(sys.executable).parent.parent != Path(bare).parent.parent


def test_the_doctor_answers(bare: str, packages: Path, tmp_path: Path) -> None:
    done = run(bare, packages, "-m", "cotenant.profiler.gpu_check", "--out", str(tmp_path), "--parts", "doctor")
    line = json.loads(done.stdout)
    assert (line["state"], line["reason"]) == ("ok", None)
    assert {check["id"]: check["value"] for check in line["told"]}["evidence.gpu_execution"].startswith("GPU execution")
    assert done.returncode == 0


def test_a_campaign_runs(bare: str, packages: Path, tmp_path: Path) -> None:
    done = run(bare, packages, "-c", CAMPAIGN, str(tmp_path))
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["failed_checks"] == []
    assert facts["done"] == facts["planned"]
