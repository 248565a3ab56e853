"""Nsight Compute: programs on PATH are real executables written here; machines are small trees of kernel files."""

from pathlib import Path

import pytest

from cotenant.profiler.doctor import ncu
from cotenant.profiler.doctor.check import Check

SAYS = """NVIDIA (R) Nsight Compute Command Line Profiler
Copyright (c) 2018-2026 NVIDIA Corporation
Version 2026.3.1.0 (build 12345678) (public-release)"""
ALL_CAPABILITIES = 0x1FFFFFFFFFF
SYS_ADMIN, PERFMON = 1 << 21, 1 << 38


def program(folder: Path, script: str, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ncu"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return path


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, empty; no CUDA toolkit is named."""
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")
    return folder


def told(root: Path, driver_version: str | None = "580.65.06") -> dict[str, Check]:
    return {check.id: check for check in ncu.checks(driver_version, root)}


def test_the_version_of_the_one_on_path(bare_path: Path, tmp_path: Path) -> None:
    path = program(bare_path, f"[ \"$1\" = --version ] || exit 9\n/bin/cat <<'X'\n{SAYS}\nX")
    check = told(tmp_path)["ncu.program"]
    assert (check.state, check.value, check.remedy) == ("ok", f"2026.3.1.0 ({path})", None)


def test_the_newest_of_the_usual_places(bare_path: Path, tmp_path: Path) -> None:
    for version in ("2025.3.1", "2026.10.0", "2026.3.1"):
        program(tmp_path / "opt/nvidia/nsight-compute" / version, f"echo 'Version {version}'")
    program(tmp_path / "usr/local/cuda/bin", "echo 'Version 2024.1.0'", mode=0o644)
    check = told(tmp_path)["ncu.program"]
    assert check.value.startswith("2026.10.0 ")
    assert str(check.remedy).startswith("put ")


def test_the_toolkit_that_the_environment_names(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "toolkit/bin", "echo 'Version 2026.1.0'")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    assert ncu.found(tmp_path) == path


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo 'cannot find a compatible Nsight Compute' >&2; exit 1", "compatible"),
        ("echo 'Version 2026.3.1.0'; exit 3", "Version"),
        ("exit 0", "exit code 0"),
    ],
)
def test_a_program_that_fails(bare_path: Path, tmp_path: Path, script: str, word: str) -> None:
    program(bare_path, script)
    check = told(tmp_path)["ncu.program"]
    assert (check.state, word in check.value) == ("limited", True)


def test_a_program_that_cannot_be_run_or_hangs(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(bare_path, "exec /bin/sleep 20")
    monkeypatch.setattr(ncu, "TIMEOUT_S", 0.3)
    assert told(tmp_path)["ncu.program"].state == "unknown"
    path.write_text("#!/no/such/shell\n")
    assert "cannot be run" in told(tmp_path)["ncu.program"].value


def test_no_program(bare_path: Path, tmp_path: Path) -> None:
    check = told(tmp_path)["ncu.program"]
    assert (check.state, bool(check.remedy)) == ("missing", True)


def test_the_reader_that_comes_with_the_program(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncu, "find_spec", lambda _name: None)
    path = program(tmp_path / "nsight", "echo 'Version 2026.3.1'")
    (bare_path / "ncu").symlink_to(path)
    check = told(tmp_path)["ncu.reader"]
    assert (check.state, check.remedy) == ("missing", "pip install ncu-report")
    beside = tmp_path / "nsight/extras/python/ncu_report.py"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert told(tmp_path)["ncu.reader"].state == "ok"


def machine(root: Path, admin_only: str | None, capabilities: int = 0, uid_map: str = "0 0 4294967295") -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/status").write_text(f"Name:\tpython\nCapPrm:\t0\nCapEff:\t{capabilities:016x}\n")
    (root / "proc/self/uid_map").write_text(f"         {uid_map}\n")
    if admin_only is not None:
        (root / "proc/driver/nvidia").mkdir(parents=True)
        (root / "proc/driver/nvidia/params").write_text(f"ResmanDebugLevel: 4294967295\n{admin_only}\n")
    return root


RESTRICTED = "RmProfilingAdminOnly: 1"


@pytest.mark.parametrize(
    ("admin_only", "capabilities", "driver", "state"),
    [
        ("RmProfilingAdminOnly: 0", 0, "580.65.06", "ok"),
        (RESTRICTED, 0, "580.65.06", "missing"),
        (RESTRICTED, SYS_ADMIN, "535.10", "ok"),
        (RESTRICTED, PERFMON, "565.57.01", "ok"),
        (RESTRICTED, PERFMON, "560.35.03", "missing"),
        (RESTRICTED, PERFMON, None, "missing"),
        (RESTRICTED, ALL_CAPABILITIES & ~SYS_ADMIN & ~PERFMON, "580.65.06", "missing"),
        ("RmOther: 1", 0, "580.65.06", "unknown"),
        (None, ALL_CAPABILITIES, None, "missing"),
        (None, ALL_CAPABILITIES, "580.65.06", "unknown"),
    ],
)
def test_who_may_read_counters(
    tmp_path: Path, admin_only: str | None, capabilities: int, driver: str | None, state: str
) -> None:
    check = ncu.permission(driver, machine(tmp_path, admin_only, capabilities))
    assert check.state == state
    assert (state == "missing") <= bool(check.remedy)


def test_the_remedy_fits_the_place(tmp_path: Path) -> None:
    root = machine(tmp_path, RESTRICTED)
    assert "NVreg_RestrictProfilingToAdminUsers=0" in str(ncu.permission("580.1", root).remedy)
    assert "--cap-add" not in str(ncu.permission("580.1", root).remedy)
    (root / ".dockerenv").touch()
    assert "--cap-add=SYS_ADMIN" in str(ncu.permission("580.1", root).remedy)


def test_capabilities_of_a_user_namespace_do_not_count(tmp_path: Path) -> None:
    check = ncu.permission("580.1", machine(tmp_path, RESTRICTED, ALL_CAPABILITIES, uid_map="0 1000 1"))
    assert (check.state, "user namespace" in check.value) == ("missing", True)
