"""Which counter source a machine allows and why: small trees of kernel files, a stand-in ncu, readings by hand."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from model_runner import DEVICE
from ncu_stand_in import install

from cotenant.models.errors import UserError
from cotenant.profiler.counters import preflight
from cotenant.profiler.counters.ncu.versions import misfit
from cotenant.profiler.counters.tiers import AUTOMATIC, Tier, choose
from cotenant.profiler.doctor import counters
from cotenant.profiler.quality.nvml_reading import GpuReading, NvmlReading

RUNNER: Any = SimpleNamespace(name="stand-in", alone=lambda device, engine: None)
HOPPER = {"uuid": DEVICE.device_id, "capability": "9.0", "gpm_supported": True, "mig_mode": 0}
GVISOR = (
    "Linux version 4.19.0-gvisor #1 SMP Sun Jan 10 15:06:54 PST 2016",
    "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016",
)
LINUX = (
    "Linux version 6.8.0-45-generic (buildd@host) #45-Ubuntu SMP",
    "Linux version 4.4.0-210-generic #242-Ubuntu SMP",
)


def reading(cuda: int = 13000, **gpu: Any) -> NvmlReading:
    return NvmlReading("580.82.07", cuda, (GpuReading(0, {**HOPPER, **gpu}),))


def machine(root: Path, admin_only: int = 0, version: str = LINUX[0], effective: str = "0") -> Path:
    (root / "proc/driver/nvidia").mkdir(parents=True)
    (root / "proc/self").mkdir()
    (root / "proc/driver/nvidia/params").write_text(f"RmProfilingAdminOnly: {admin_only}\n")
    (root / "proc/self/status").write_text(f"CapEff:\t{effective}\n")
    (root / "proc/self/uid_map").write_text("0 0 4294967295\n")
    (root / "proc/version").write_text(version)
    return root


@pytest.fixture
def ncu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(path.parent))
    return path


def told(root: Path, nvml: NvmlReading, device: Any = DEVICE, runner: Any = RUNNER) -> dict[str, Tier]:
    return preflight.of_placement(runner, device, nvml, 2, True, root)


def test_all_is_there(tmp_path: Path, ncu: Path) -> None:
    tiers = told(machine(tmp_path / "root"), reading())
    assert {name: tier.state for name, tier in tiers.items()} == {
        "ncu": "yes",
        "gpm": "yes",
        "analytic": "yes",
        "probe": "yes",
        "simulated": "no",
    }
    assert not choose(AUTOMATIC, tiers).is_fallback


def test_a_forbidden_ncu_falls_to_gpm_with_the_fix(tmp_path: Path, ncu: Path) -> None:
    tiers = told(machine(tmp_path / "root", admin_only=1), reading())
    assert tiers["ncu"].state == "no"
    chosen = choose(AUTOMATIC, tiers)
    assert (chosen.source, chosen.is_fallback) == ("gpm", True)
    assert "RestrictProfilingToAdminUsers=0" in str(chosen.told())
    with pytest.raises(UserError, match="RestrictProfilingToAdminUsers=0"):
        choose(["ncu"], tiers)


def test_capability_allows_it(tmp_path: Path, ncu: Path) -> None:
    assert told(machine(tmp_path / "root", 1, effective="200000"), reading())["ncu"].state == "yes"  # CAP_SYS_ADMIN


@pytest.mark.parametrize("version", GVISOR)
def test_gvisor_is_tried_and_told(tmp_path: Path, ncu: Path, version: str) -> None:
    tier = told(machine(tmp_path / "root", version=version), reading())["ncu"]
    assert tier.state == "unknown"
    assert "gVisor" in tier.value


@pytest.mark.parametrize("version", LINUX)
def test_linux_is_no_gvisor(tmp_path: Path, version: str) -> None:
    assert not preflight.is_gvisor(machine(tmp_path / "root", version=version))


def test_no_ncu_and_no_runner_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("cotenant.profiler.counters.ncu.program.USUAL_PLACES", ())
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.delenv("CUDA_PATH", raising=False)
    root = machine(tmp_path / "root")
    tier = told(root, reading())["ncu"]
    assert tier.state == "no"
    assert "PATH" in str(tier.remedy)
    assert "cannot execute an engine alone" in told(root, reading(), runner=SimpleNamespace(name="x"))["ncu"].value


def test_a_program_that_fails_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bin" / "ncu"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho 'libfoo.so: not found' >&2\nexit 127\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    tier = told(machine(tmp_path / "root"), reading())["ncu"]
    assert tier.state == "no"
    assert "libfoo.so: not found" in tier.value
    assert "install" in str(tier.remedy)


@pytest.mark.parametrize(
    ("gpu", "state", "says"),
    [
        ({"gpm_supported": False}, "no", "Hopper"),
        ({"mig_mode": 1}, "no", "MIG"),
        ({"uuid": "GPU-other"}, "no", DEVICE.device_id),
    ],
)
def test_gpm(tmp_path: Path, ncu: Path, gpu: dict[str, Any], state: str, says: str) -> None:
    tier = told(machine(tmp_path / "root"), reading(**gpu))["gpm"]
    assert tier.state == state
    assert says in tier.refusal()


def test_gpm_that_is_not_told_is_tried(tmp_path: Path, ncu: Path) -> None:
    known = {name: value for name, value in HOPPER.items() if name != "gpm_supported"}
    nvml = NvmlReading("580.82.07", 13000, (GpuReading(0, known),))
    assert told(machine(tmp_path / "root"), nvml)["gpm"].state == "unknown"


@pytest.mark.parametrize("kind", ["cpu", "simulated"])
def test_other_devices_have_neither(tmp_path: Path, ncu: Path, kind: Any) -> None:
    tiers = told(tmp_path, NvmlReading(failure="none"), replace(DEVICE, kind=kind))
    assert (tiers["ncu"].state, tiers["gpm"].state) == ("no", "no")
    assert (tiers["simulated"].state == "yes") == (kind == "simulated")


def test_probes_need_lanes_and_experiments() -> None:
    assert preflight.probe(2, True).state == "yes"
    assert "lanes" in str(preflight.probe(1, True).remedy)
    assert "sensitivity" in str(preflight.probe(2, False).remedy)


@pytest.mark.parametrize(
    ("version", "cuda", "capability", "says"),
    [
        ("2025.3.1.0", 13, "9.0", None),
        ("2025.2.1.0", 13, "9.0", "CUDA 13"),
        ("2024.3.2.0", 12, "12.0", "capability 12.0"),
        ("2022.3.0.22", 11, "9.0", None),
        ("2026.1.0.0", None, None, None),
        ("2020.1.0", 99, "99.0", None),
        ("no version", 13, "9.0", None),
    ],
)
def test_versions(version: str, cuda: int | None, capability: str | None, says: str | None) -> None:
    found = misfit(version, cuda, capability)
    assert (found is None) == (says is None)
    assert says is None or says in str(found)


def test_an_old_ncu_is_tried_with_the_doubt_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin", "2025.2.1.0").parent))
    tier = told(machine(tmp_path / "root"), reading())["ncu"]
    assert tier.state == "unknown"
    assert "CUDA 13" in tier.value


def test_the_doctor_tells_every_source_and_the_one_in_force(tmp_path: Path, ncu: Path) -> None:
    found = {check.id: check for check in counters.checks(reading(), machine(tmp_path / "root", admin_only=1))}
    assert [*found] == [f"counters.{name}" for name in ("ncu", "gpm", "analytic", "probe", "simulated", "source")]
    assert found["counters.source"].state == "limited"
    assert found["counters.source"].value.startswith("gpm ")
