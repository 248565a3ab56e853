"""Where and how the check was run: what the standard library tells."""

import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]  # the checkout, where this is one
# what measures, or is measured with; no other package of the machine is told
PACKAGES = (
    *("cotenant", "torch", "triton", "numpy", "numba", "pandas", "pyarrow", "onnx", "onnxruntime", "pydantic", "nvtx"),
    *("cuda-core", "cuda-bindings", "cuda-pathfinder", "cuda-toolkit", "cupy-cuda12x", "cupy-cuda13x", "nvidia-ml-py"),
    *("cupti-python", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cuda-cupti", "nvidia-cudnn-cu13"),
    *("nvidia-cublas", "tensorrt", "tensorrt-rtx", "tensorrt-lean", "pytest", "hypothesis", "click", "rich", "psutil"),
)
SOURCES = ("models", "runners", "profiler", "datasets")
GIT_TIMEOUT_S = 10.0


def machine() -> dict[str, Any]:
    """Return facts of the machine; nothing that names it or its user."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "glibc": " ".join(platform.libc_ver()),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that matter and are installed."""
    found = {distribution.metadata["Name"]: distribution.version for distribution in distributions()}
    return {name: found[name] for name in PACKAGES if name in found}


def command() -> str:
    """Return the command line as it can be typed again."""
    prefix = "PYTHONPATH=.links " if ".links" in os.environ.get("PYTHONPATH", "") else ""
    return f"{prefix}python3 -m cotenant.profiler.gpu_check {' '.join(sys.argv[1:])}".rstrip()


def without_paths(text: str, folder: Path) -> str:
    """Return a text without folders of this machine: of results, of the checkout, of the user."""
    for path, word in ((folder, "DIR"), (ROOT, "."), (Path.home(), "~")):
        if len(path.parts) > 1:  # a home of `/` is in every path
            text = text.replace(str(path), word)
    return text


def commit() -> str | None:
    """Return the checkout's commit, `+changes` after it if files differ; None where git does not tell."""
    head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    return None if head is None else f"{head}{'+changes' if changes else ''}"


def source_sha256() -> str:
    """Return a digest of the package's sources, which tells what ran where there is no git."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1].parent
    for path in sorted(path for folder in SOURCES for path in (package / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
