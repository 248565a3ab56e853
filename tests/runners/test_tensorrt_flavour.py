"""Which TensorRT is used: found by module, checked by version, told by name where it is missing or does not fit."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.tensorrt import flavour as module
from cotenant.runners.tensorrt.flavour import (
    CHOICE,
    TENSORRT,
    TENSORRT_RTX,
    Installed,
    asked_version,
    checked,
    installed,
    is_there,
    load_module,
    version_numbers,
)
from cotenant.runners.tensorrt.targets import capability_of, target_of

RTX = Installed(TENSORRT_RTX, "tensorrt_rtx", "1.7.1.116")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules; those of TensorRT that this machine really has are hidden."""
    monkeypatch.setattr(module, "is_there", lambda name: (tmp_path / f"{name}.py").exists())
    monkeypatch.setattr(module, "packages_distributions", dict)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv(CHOICE, raising=False)
    module._installed.cache_clear()
    yield tmp_path
    module._installed.cache_clear()


def add(machine: Path, name: str, version: str) -> None:
    (machine / f"{name}.py").write_text(f"__version__ = {version!r}\n")


def test_tensorrt_is_preferred(machine: Path) -> None:
    add(machine, "tensorrt_rtx", "1.7.1.116")
    add(machine, "tensorrt", "10.12.0.36")
    assert installed() == Installed(TENSORRT, "tensorrt", "10.12.0.36")


def test_the_other_can_be_chosen(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(machine, "tensorrt_rtx", "1.7.1.116")
    add(machine, "tensorrt", "11.4.0.106")
    monkeypatch.setenv(CHOICE, "tensorrt-rtx")
    assert installed() == RTX


def test_bindings_alone_are_found(machine: Path) -> None:
    add(machine, "tensorrt_bindings", "11.4.0.106")
    assert installed() == Installed(TENSORRT, "tensorrt_bindings", "11.4.0.106")


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("", ["TensorRT or TensorRT-RTX is not installed", "cotenant[tensorrt]", "cotenant[tensorrt-rtx]"]),
        ("tensorrt-rtx", ["TensorRT-RTX is not installed", "cotenant[tensorrt-rtx]"]),
        ("tensorflow", ["'tensorflow' names no TensorRT", "tensorrt or tensorrt-rtx"]),
    ],
)
def test_a_missing_one_says_what_to_install(
    machine: Path, monkeypatch: pytest.MonkeyPatch, choice: str, words: list[str]
) -> None:
    monkeypatch.setenv(CHOICE, choice)
    with pytest.raises(UserError) as told:
        installed()
    for word in words:
        assert word in str(told.value)


@pytest.mark.parametrize(
    ("name", "version", "fault"),
    [
        ("tensorrt", "10.11.0.33", "too old"),
        ("tensorrt", "8.6.1", "too old"),
        ("tensorrt", "12.0.0.1", "newer"),
        ("tensorrt_rtx", "1.6.0.9", "too old"),
        ("tensorrt_rtx", "2.0", "newer"),
    ],
)
def test_versions_that_do_not_fit_are_refused_by_name(machine: Path, name: str, version: str, fault: str) -> None:
    add(machine, name, version)
    with pytest.raises(UserError, match=rf"{version} \(module {name}\) is {fault}.*pip install"):
        installed()


@pytest.mark.parametrize("version", ["10.12", "10.13.3.9", "11.4.0.106", "11.5.0.1rc1"])
def test_versions_of_both_generations_fit(version: str) -> None:
    assert checked(Installed(TENSORRT, "tensorrt", version)).version == version


def test_a_module_that_cannot_be_imported_says_why(machine: Path) -> None:
    (machine / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.11: cannot open shared object file')\n")
    with pytest.raises(WorkError, match=r"module tensorrt cannot be imported: .*libnvinfer\.so\.11"):
        installed()


def test_a_module_that_ends_its_process_says_so(machine: Path) -> None:
    (machine / "tensorrt.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(WorkError, match=r"ended with -11"):
        asked_version("tensorrt")


def test_an_installation_that_contradicts_its_module_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(machine, "tensorrt_of_two_minds", "11.4.0.106")
    monkeypatch.syspath_prepend(machine)
    with pytest.raises(WorkError, match=r"says 11\.4\.0\.106, its installation says 11\.3\.0\.9"):
        load_module(Installed(TENSORRT, "tensorrt_of_two_minds", "11.3.0.9"))


def test_libraries_that_are_missing_are_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "tensorrt_without_libraries.py").write_text("raise OSError('libnvinfer.so.11: cannot open')\n")
    monkeypatch.syspath_prepend(machine)
    with pytest.raises(WorkError, match=r"TensorRT 11\.4 cannot be imported: libnvinfer\.so\.11"):
        load_module(Installed(TENSORRT, "tensorrt_without_libraries", "11.4"))


def test_a_folder_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_module_of_that_name").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert not is_there("no_module_of_that_name")


def test_version_numbers_end_where_words_begin() -> None:
    assert version_numbers("11.5.0.1rc1") == (11, 5, 0)
    assert version_numbers("") == ()


def test_a_target_holds_what_its_plans_depend_on() -> None:
    tensorrt = Installed(TENSORRT, "tensorrt", "11.4.0.106")
    target = target_of(tensorrt, "NVIDIA L4", "sm_89", "580.82.07")
    assert target == "NVIDIA L4, sm_89, driver 580.82.07"
    assert capability_of(target) == 89
    assert target_of(RTX, "NVIDIA L4", "sm_89", "580.82.07") == "sm_89"
    assert capability_of("sm_120") == 120
    assert capability_of("portable") is None


def test_a_gpu_that_tensorrt_rtx_cannot_build_for_is_told() -> None:
    with pytest.raises(UserError, match=r"no target sm_90 \(NVIDIA H200\); it has portable, sm_75"):
        target_of(RTX, "NVIDIA H200", "sm_90", "580.82.07")


@pytest.mark.parametrize("target", ["", "sm_", "sm_8x", "gpu", "xsm_89"])
def test_other_words_are_no_targets(target: str) -> None:
    with pytest.raises(UserError, match="no build target"):
        capability_of(target)
