"""Which CUDA the installed packages were built for, found without importing them."""

import ast
import re
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

NAME_WITH_CUDA = re.compile(r"^(tensorrt(?:_rtx|_lean)?)_cu(\d+)(?:_libs)?$")
CUDA_BINDINGS = "cuda_bindings"  # its own major version is CUDA's


@dataclass(frozen=True)
class CudaWheel:
    """A package that needs a driver of at least this CUDA version."""

    name: str
    cuda_major: int


def installed() -> list[CudaWheel]:
    """Return the packages that tell their CUDA version by name, version or version file, sorted."""
    found = {name: major for name, major in map(_named, _names_and_versions()) if name}
    torch_major = torch_cuda_major()
    if torch_major is not None:
        found["torch"] = torch_major
    return [CudaWheel(name, major) for name, major in sorted(found.items())]


def torch_cuda_major() -> int | None:
    """Return the CUDA version torch was built for; None for a build without CUDA, or without torch.

    torch/version.py is read, not run: importing torch takes seconds.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("version.py")
    return torch_version_file(path.read_text()) if path.is_file() else None


def torch_version_file(text: str) -> int | None:
    """Return the major number of `cuda = '12.8'` (also annotated) in torch/version.py; None for `cuda = None`."""
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        value = getattr(node, "value", None)
        if names == ["cuda"] and isinstance(value, ast.Constant) and isinstance(value.value, str):
            return int(value.value.split(".")[0])
    return None


def _names_and_versions() -> list[tuple[str, str]]:
    return [(re.sub(r"[-.]+", "_", dist.name or "").lower(), dist.version) for dist in distributions()]


def _named(name_and_version: tuple[str, str]) -> tuple[str, int]:
    name, version = name_and_version
    if name == CUDA_BINDINGS:
        return "cuda-bindings", int(version.split(".")[0])
    match = NAME_WITH_CUDA.match(name)
    return (match[1].replace("_", "-"), int(match[2])) if match else ("", 0)
