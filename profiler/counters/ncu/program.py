"""The program ncu: where it is, which version, and which options that version knows."""

import glob
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cotenant.profiler.counters.ncu.errors import NcuMissing

ROOT = Path("/")
USUAL_PLACES = (  # newest last in each when sorted by number
    "usr/local/cuda/bin/ncu",
    "usr/local/cuda-*/bin/ncu",
    "opt/nvidia/nsight-compute/*/ncu",
    "usr/local/NVIDIA-Nsight-Compute*/ncu",
)
VERSION = re.compile(r"^Version (\d+(?:\.\d+)+)", re.MULTILINE)
OPTION = re.compile(r"--[a-z][a-z0-9-]*")
TIMEOUT_S = 30.0  # a network file system may hold it
REMEDY = "install Nsight Compute (it comes with the CUDA toolkit) and put `ncu` on PATH, or use another counter source"


@dataclass(frozen=True)
class Program:
    """One ncu of this machine.

    Attributes:
        version: As it tells, e.g. 2025.3.1.0.
        help: What `--help` prints.
        options: Every long option named there, e.g. --nvtx-include.
    """

    path: Path
    version: str
    help: str
    options: frozenset[str]


def found(root: Path = ROOT) -> Path | None:
    """Return ncu: the one on PATH, else the newest in the usual places; None if there is none."""
    on_path = shutil.which("ncu")
    if on_path is not None:
        return Path(on_path)
    toolkit = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    places = [str(Path(toolkit) / "bin" / "ncu")] if toolkit else []
    for pattern in USUAL_PLACES:
        places += sorted(glob.glob(str(root / pattern)), key=_by_number, reverse=True)  # noqa: PTH207 - absolute pattern
    return next((Path(place) for place in places if os.access(place, os.X_OK)), None)


def examined(path: Path | None = None) -> Program:
    """Return what is known of an ncu, the found one if None; it is asked once until its file changes.

    Raises:
        NcuMissing: There is none, or it cannot be run.
    """
    place = path if path is not None else found()
    if place is None:
        raise NcuMissing(f"no ncu on PATH or in the usual places; {REMEDY}")
    try:
        return _examined(place, place.stat().st_mtime_ns)
    except OSError as error:
        raise NcuMissing(f"{place} cannot be run ({error.strerror}); {REMEDY}") from error


def known_options(path: Path) -> frozenset[str]:
    """Return every long option that an ncu names in its help; none if it cannot be asked."""
    try:
        return examined(path).options
    except NcuMissing:
        return frozenset()


@lru_cache
def _examined(path: Path, mtime_ns: int) -> Program:
    version = VERSION.search(_said(path, "--version"))
    if version is None:
        raise NcuMissing(f"{path} --version tells no version; {REMEDY}")
    told = _said(path, "--help")
    return Program(path, version[1], told, frozenset(OPTION.findall(told)))


def _said(path: Path, option: str) -> str:
    try:
        done = subprocess.run(
            [path, option],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NcuMissing(f"{path} {option} gave no answer in {TIMEOUT_S:g} s; {REMEDY}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:300] or f"exit code {done.returncode}"
        raise NcuMissing(f"{path} {option} fails: {said}; {REMEDY}")
    return done.stdout


def _by_number(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]
