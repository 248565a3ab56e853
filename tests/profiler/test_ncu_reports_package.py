"""Where the vendor's reader comes from: the installed package, or the module beside the program."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ncu_reports import write_report

from cotenant.profiler.counters import metrics as m
from cotenant.profiler.counters.metrics import PAPER
from cotenant.profiler.counters.reports import NoReader, Workload, package, read_report
from cotenant.profiler.counters.reports.package import older

KERNEL = Workload(
    "k(int)",
    (4, 2, 1),
    (256, 1, 1),
    {m.DURATION: 5472.0, m.SM: 50.5, m.L2: 20.25, m.DRAM: 30.0, m.MEMORY: 31.5} | dict.fromkeys(m.CLOCKS, 1.5e9),
    False,
)
READ_BESIDE = """
import json, sys
from pathlib import Path
from cotenant.profiler.counters.reports import package, read_report
package.find_spec = lambda name: None  # as where the package is not installed
report = read_report(Path(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]), "package")
print(json.dumps([sys.modules["ncu_report"].__file__, dict(report.workloads[0].metrics)]))
"""


@pytest.mark.parametrize(
    ("version", "other", "expected"),
    [
        ("2025.3.1", "2026.1.0.0", True),
        ("2026.3.1", "2026.3.1.0", False),
        ("2026.3", "2026.3.1.0", False),
        ("2026.10.0", "2026.9.5", False),
        ("2025.3.1", None, False),
        (None, "2026.1", False),
    ],
)
def test_which_version_is_older(version: str | None, other: str | None, expected: bool) -> None:
    assert older(version, other) is expected


def test_the_module_beside_the_program_reads_where_the_package_is_not_there(tmp_path: Path, require: Any) -> None:
    """An installed Nsight Compute, as its folders lie, made of the real package's files."""
    spec = find_spec("ncu_report")
    require("ncu-report", spec is not None, "pip install 'cotenant[ncu]'")
    assert spec is not None
    assert spec.origin is not None
    wheel = Path(spec.origin).parent
    beside = tmp_path / "nsight-compute" / "extras" / "python"
    beside.mkdir(parents=True)
    (beside / "ncu_report.py").write_text((wheel / "__init__.py").read_text())
    for library in wheel.glob("*.so"):
        (beside / library.name).symlink_to(library)
    program = tmp_path / "nsight-compute" / "ncu"
    program.touch()
    linked = tmp_path / "ncu"
    linked.symlink_to(program)  # as on PATH
    path = write_report(tmp_path / "made_up.ncu-rep", [KERNEL])
    command = [sys.executable, "-c", READ_BESIDE, str(path), str(linked), *PAPER.metrics]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [str(beside / "ncu_report.py"), dict(KERNEL.metrics)]


def test_the_module_is_found_from_the_program_below_its_script_too(tmp_path: Path) -> None:
    beside = tmp_path / "nsight-compute" / "extras" / "python"
    beside.mkdir(parents=True)
    (beside / "ncu_report.py").touch()
    own = tmp_path / "nsight-compute" / "target" / "linux-desktop-glibc_2_11_3-x64"
    assert package.beside(own / "ncu") == package.beside(tmp_path / "nsight-compute" / "ncu") == beside
    assert package.beside(own / "deeper" / "ncu") is None
    assert package.beside(tmp_path / "ncu") is None


def test_without_any_reader_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "find_spec", lambda _name: None)
    path = write_report(tmp_path / "made_up.ncu-rep", [KERNEL])
    with pytest.raises(
        NoReader, match="there is no ncu_report; `pip install --upgrade ncu-report`, or put ncu on PATH"
    ):
        read_report(path, PAPER.metrics, None)
    bare = tmp_path / "ncu"
    bare.touch()
    with pytest.raises(NoReader, match="there is no ncu_report"):
        read_report(path, PAPER.metrics, bare, "package")
    with pytest.raises(NoReader, match="there is no ncu"):
        read_report(path, PAPER.metrics, None, "csv")


def test_a_module_that_cannot_be_imported_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = tmp_path / "extras" / "python"
    beside.mkdir(parents=True)
    (beside / "ncu_report.py").write_text("import a_library_of_another_platform\n")
    monkeypatch.setattr(package, "find_spec", lambda _name: None)
    monkeypatch.delitem(sys.modules, "ncu_report", raising=False)
    assert package.beside(tmp_path / "ncu") == beside
    before = list(sys.path)
    assert package.module(tmp_path / "ncu") is None
    assert sys.path == before
