"""Python, cotenant itself, git."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator

from cotenant.profiler.doctor.check import Check
from cotenant.runners.engine_cache import own_version

PYTHON_MIN = (3, 11)  # requires-python of pyproject.toml
GIT_TIMEOUT_S = 5.0


def checks() -> Iterator[Check]:
    """Tell the interpreter, our version, and git."""
    yield _python(sys.version_info[:2])
    installed = own_version() != "uninstalled"
    yield Check(
        "python.cotenant",
        "ok" if installed else "limited",
        own_version() if installed else "runs from a checkout without being installed: its version is not recorded",
        None if installed else "pip install -e . in the checkout",
    )
    yield git()


def git() -> Check:
    """Tell git's version; it names the commit that a checkout's results come from."""
    path = shutil.which("git")
    if path is None:
        return Check("python.git", "missing", "no git on PATH: results name no commit", "install git")
    told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False)
    words = told.stdout.split()
    return Check("python.git", "ok" if words else "unknown", words[-1] if words else "git tells no version")


def _python(version: tuple[int, ...]) -> Check:
    told = f"{platform.python_version()} ({platform.python_implementation()}, {platform.machine()})"
    if version >= PYTHON_MIN:
        return Check("python.version", "ok", told)
    wanted = ".".join(map(str, PYTHON_MIN))
    return Check("python.version", "limited", told, f"use Python {wanted} or newer")
