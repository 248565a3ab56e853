"""A skip that is demanded fails, a GPU that is demanded and missing fails: shown on small runs of pytest itself."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def outcome(folder: Path, body: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: x\n    oracle: x\n")
    (folder / "test_it.py").write_text(f"import pytest\n{body}\n")
    environment = {key: value for key, value in os.environ.items() if key != "COTENANT_REQUIRE"} | variables
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


LACKING = "def test_it(require): require('fulldisk', False, 'no tmpfs here')"
ORACLE = "@pytest.mark.oracle\ndef test_it(): pytest.importorskip('no_such_package')"
WHOLE_FILE = "pytest.importorskip('no_such_package')"
GPU = "@pytest.mark.gpu\ndef test_it(): pass"


def test_a_missing_capability_is_a_skip_with_its_reason(tmp_path: Path) -> None:
    done = outcome(tmp_path, LACKING)
    assert done.returncode == 0
    assert "fulldisk: no tmpfs here" in done.stdout
    assert "1 tests did not run here" in done.stdout


def test_a_demanded_capability_that_is_missing_fails(tmp_path: Path) -> None:
    done = outcome(tmp_path, LACKING, COTENANT_REQUIRE="readonly,fulldisk")
    assert done.returncode == 1
    assert "demands fulldisk: no tmpfs here" in done.stdout


def test_a_demanded_oracle_that_is_skipped_fails(tmp_path: Path) -> None:
    assert outcome(tmp_path, ORACLE).returncode == 0
    done = outcome(tmp_path, ORACLE, COTENANT_REQUIRE="oracles")
    assert done.returncode == 1
    assert "no_such_package" in done.stdout


def test_a_file_that_skips_itself_fails_where_oracles_are_demanded(tmp_path: Path) -> None:
    assert "1 skipped" in outcome(tmp_path, WHOLE_FILE).stdout
    done = outcome(tmp_path, WHOLE_FILE, COTENANT_REQUIRE="oracles")
    assert done.returncode not in (0, 5)
    assert "no_such_package" in done.stdout


def test_without_the_option_a_gpu_test_is_skipped_and_says_how_to_run_it(tmp_path: Path) -> None:
    done = outcome(tmp_path, GPU)
    assert done.returncode == 0
    assert "pytest --gpu" in done.stdout


def test_with_the_option_a_missing_gpu_fails(tmp_path: Path) -> None:
    done = outcome(tmp_path, GPU, "--gpu", CUDA_VISIBLE_DEVICES="")
    expected = 0 if Path("/proc/driver/nvidia/gpus").is_dir() else 1
    assert done.returncode == expected
