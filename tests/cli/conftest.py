"""The installed command on real files: a tiny network of our own, specs over it that take seconds, one shared cache."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import Cotenant
from tiny_campaign import write_net, write_spec

SHIM = Path(__file__).parents[1] / "devices" / "full_disk.c"


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cotenant(session_cache: Path, tmp_path: Path) -> Cotenant:
    return Cotenant(session_cache, tmp_path)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """The user's own file: a small convolution and a matrix product, batch dimension open."""
    return write_net(tmp_path / "net.onnx")


@pytest.fixture
def spec(tmp_path: Path, net: Path) -> Path:
    return write_spec(tmp_path / "tiny.yaml", [f"file:{net}"])


@pytest.fixture(scope="session")
def finished_once(session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `out` (a finished campaign), its `tiny.yaml` and its `net.onnx`; copy it, do not change it."""
    folder = tmp_path_factory.mktemp("finished")
    spec = write_spec(folder / "tiny.yaml", [f"file:{write_net(folder / 'net.onnx')}"])
    done = Cotenant(session_cache, folder)("campaign", "run", spec, "--out", "out")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> Path:
    """A finished campaign's folder of the test's own; rerun it with `finished_once`'s spec."""
    return Path(shutil.copytree(finished_once / "out", tmp_path / "finished"))


@dataclass(frozen=True)
class Disk:
    """A folder that holds only so many bytes, and what a command needs in its environment to see it so."""

    folder: Path
    variables: dict[str, str]


@pytest.fixture
def small_disk(tmp_path: Path, require: Callable[[str, bool, str], None]) -> Iterator[Callable[[int], Disk]]:
    """Make a disk of so many bytes: a small tmpfs where mounting is possible, else a shim that refuses writes."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def make(size_bytes: int) -> Disk:
        if mounted(folder, "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs"):
            return Disk(folder, {})
        shim = tmp_path / "full_disk.so"
        compiler = shutil.which("cc") or ""
        require("fulldisk", bool(compiler), "neither mounting a tmpfs nor compiling a shim is possible here")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, SHIM, "-ldl"], check=True)
        limits = {"FULL_DISK_BELOW": str(folder), "FULL_DISK_BYTES": str(size_bytes)}
        return Disk(folder, {"LD_PRELOAD": str(shim), **limits})

    yield make
    subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False)


@pytest.fixture
def read_only(require: Callable[[str, bool, str], None]) -> Iterator[Callable[[Path], None]]:
    """Make a folder read-only: a bind mount as root, whom modes do not stop; modes otherwise."""
    changed: list[Path] = []

    def make(folder: Path) -> None:
        changed.append(folder)
        if os.geteuid() != 0:
            folder.chmod(0o555)
            return
        possible = mounted(folder, "--bind", str(folder)) and mounted(folder, "-o", "remount,ro,bind")
        require("readonly", possible, "root may not mount here, and modes do not stop root")

    yield make
    for folder in changed:
        subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False)
        folder.chmod(0o755)


def mounted(folder: Path, *options: str) -> bool:
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    return done.returncode == 0
