"""Python, packages, processor, storage and MPS: the real machine, or small trees of kernel files."""

import sys
from pathlib import Path

import pytest

from cotenant.profiler.doctor import interpreter, mps, packages, processor, storage
from cotenant.profiler.doctor.check import Check

GIB = 1 << 30
ROOT = Path(__file__).parents[2]


def by_id(checks: object) -> dict[str, Check]:
    found = {check.id: check for check in checks}  # type: ignore[attr-defined]
    for check in found.values():
        assert check.remedy or check.state in ("ok", "unknown"), check
    return found


def test_this_interpreter_and_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert by_id(interpreter.checks())["python.version"].value.startswith(sys.version.split()[0])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter.git().state == "missing"
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.99.1\n")
    (tmp_path / "git").chmod(0o755)
    assert (interpreter.git().state, interpreter.git().value) == ("ok", "2.99.1")


def test_an_old_interpreter_is_named() -> None:
    assert interpreter._python((3, 10)).remedy == "use Python 3.11 or newer"


def write_project(folder: Path, name: str = "cotenant") -> Path:
    path = folder / "pyproject.toml"
    path.write_text(
        f'[project]\nname = "{name}"\n'
        'dependencies = ["click>=8", "numpy>=999", "never-here; python_version < \'3\'"]\n'
        "[project.optional-dependencies]\n"
        'all = ["click>=1", "numpy"]\nsome = ["click", "no-such-package-at-all>=1"]\n'
        'none = ["no-such-package-at-all"]\n'
    )
    return path


def test_each_extra_says_what_is_there_and_what_is_lacking(tmp_path: Path) -> None:
    found = by_id(packages.checks(write_project(tmp_path)))
    assert found["packages.base"].state == "limited"
    assert found["packages.base"].value.startswith("1 of 2 there; lacking: numpy>=999 (not ")
    assert found["extra.all"].state == "ok"
    assert found["extra.some"].state == "limited"
    assert "lacking: no-such-package-at-all>=1; there: click " in found["extra.some"].value
    assert (found["extra.none"].state, found["extra.none"].remedy) == ("missing", "pip install 'cotenant[none]'")


def test_every_extra_of_pyproject_is_told() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = by_id(packages.checks())
    assert {name for name in found if name.startswith("extra.")} == {f"extra.{extra}" for extra in extras}


def test_an_installation_is_read_where_no_checkout_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cotenant-9.9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: cotenant\nVersion: 9.9\nProvides-Extra: figures\nProvides-Extra: gpu\n"
        "Requires-Dist: click>=8\n"
        'Requires-Dist: matplotlib>=3; extra == "figures"\n'
        'Requires-Dist: cuda-core>=1; python_version >= "3" and extra == "gpu"\n'
        'Requires-Dist: pywin32; sys_platform == "win32" and extra == "gpu"\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    other = write_project(tmp_path, name="another")  # a pyproject.toml that happens to lie there
    base, extras = packages.declared(other)
    assert [one.name for one in base] == ["click"]
    assert {name: [one.name for one in ones] for name, ones in extras.items()} == {
        "figures": ["matplotlib"],
        "gpu": ["cuda-core"],
    }


def test_the_retired_pynvml_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "packages.pynvml" not in by_id(packages.checks())
    folder = tmp_path / "pynvml-13.0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: pynvml\nVersion: 13.0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert by_id(packages.checks())["packages.pynvml"].state == "limited"


def test_this_processor() -> None:
    found = by_id(processor.checks())
    assert "physical" in found["processor.cores"].value
    assert "GiB available of" in found["processor.memory"].value


@pytest.mark.parametrize(("quota", "state"), [(None, "ok"), (4.0, "ok"), (1.5, "limited"), (0.5, "limited")])
def test_a_quota_below_the_cores_is_told(quota: float | None, state: str) -> None:
    assert processor.quota_check(quota, physical=4).state == state


@pytest.mark.parametrize(("usable", "state"), [(0, "limited"), (1, "limited"), (2, "ok"), (64, "ok")])
def test_two_lanes_need_two_cores(usable: int, state: str) -> None:
    assert processor.lanes_check(usable).state == state


def test_the_governor(tmp_path: Path) -> None:
    assert processor.governor(tmp_path).state == "unknown"
    for core, word in enumerate(["performance", "powersave"]):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{word}\n")
    mixed = processor.governor(tmp_path)
    assert (mixed.state, mixed.value) == ("limited", "performance, powersave: clocks follow the load")
    (folder / "scaling_governor").write_text("performance\n")
    assert processor.governor(tmp_path).state == "ok"


def test_memory_and_its_limit(tmp_path: Path) -> None:
    assert processor.memory(tmp_path).state == "unknown"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:    8388608 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n")
    assert processor.memory(tmp_path).value == "4.0 GiB available of 8.0 GiB"
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    for text, state in (("max", "ok"), (str(9 * GIB), "ok"), (str(2 * GIB), "limited")):
        (tmp_path / "sys/fs/cgroup/memory.max").write_text(f"{text}\n")
        assert processor.memory(tmp_path).state == state


def test_a_cache_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    found = by_id(storage.checks(tmp_path / "a" / "b"))
    assert found["storage.cache"].state == "ok"
    assert "made when it is first used" in found["storage.cache"].value
    assert list(tmp_path.iterdir()) == []
    assert by_id(storage.checks(tmp_path))["storage.cache"].value == f"{tmp_path} can be written"


def test_a_folder_that_nobody_can_write() -> None:
    check = by_id(storage.checks(Path("/proc/cotenant")))["storage.cache"]
    assert (check.state, "--cache" in str(check.remedy)) == ("missing", True)


def test_a_user_without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    from cotenant.models.errors import UserError

    def homeless() -> Path:
        raise UserError("no home folder is known; choose a folder with --cache")

    monkeypatch.setattr(storage, "default_cache", homeless)
    found = by_id(storage.checks())
    assert list(found) == ["storage.cache"]
    assert found["storage.cache"].remedy == "choose a folder with --cache"


def test_room_on_the_disk(tmp_path: Path) -> None:
    assert storage.room(tmp_path, storage.ROOM_MIN_BYTES).state == "ok"
    assert storage.room(tmp_path, storage.ROOM_MIN_BYTES - 1).state == "limited"


def process(root: Path, pid: int, *command: str, environment: str = "") -> None:
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command))
    (folder / "environ").write_bytes(environment.encode() + b"\0")


def test_a_running_daemon_is_told_but_not_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mps.PIPE, raising=False)
    process(tmp_path, 1)  # a kernel thread has no command line
    process(tmp_path, 20, "/usr/bin/nvidia-cuda-mps-control")  # somebody's question to a daemon
    process(tmp_path, 30, mps.CONTROL, "-d", environment=f"{mps.PIPE}=/tmp/{mps.PREFIX}abc/pipe")
    assert mps.daemon(tmp_path).state == "ok"
    process(tmp_path, 40, "/usr/bin/nvidia-cuda-mps-control", "-d", environment="HOME=/root")
    check = mps.daemon(tmp_path)
    assert (check.state, "pid 40)" in check.value) == ("limited", True)


def test_a_pipe_inside_a_container_may_belong_to_a_daemon_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mps.PIPE, str(tmp_path / "pipe"))
    (tmp_path / "pipe").mkdir()
    (tmp_path / "pipe/control").touch()
    assert mps.daemon(tmp_path).state == "ok"
    (tmp_path / ".dockerenv").touch()
    assert mps.daemon(tmp_path).state == "unknown"


def test_the_program_of_mps_is_found_and_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert by_id(mps.checks(tmp_path))["mps.program"].state == "missing"
    (tmp_path / mps.CONTROL).write_text(f"#!/bin/sh\necho started > {tmp_path / 'started'}\n")
    (tmp_path / mps.CONTROL).chmod(0o755)
    assert by_id(mps.checks(tmp_path))["mps.program"].state == "ok"
    assert not (tmp_path / "started").exists()
