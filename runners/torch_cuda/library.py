"""torch itself: what is installed, told without importing it, and the module where it is needed."""

import functools
import runpy
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cotenant.models.errors import WorkError

MISSING = "the package torch is missing; pip install 'cotenant[torch]', or choose another --runner"


@dataclass(frozen=True)
class TorchBuild:
    """Which torch is installed.

    Attributes:
        version: Its version with what it was built for, e.g. `2.13.0+cu130`.
        cuda: CUDA version that it was built for, e.g. `13.0`; None = it was built without.
    """

    version: str
    cuda: str | None


@functools.cache
def torch_build() -> TorchBuild:
    """Return what torch's own version file says: importing torch takes seconds. WorkError where it is missing."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        raise WorkError(MISSING)
    said = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    version, cuda = str(said["__version__"]), said.get("cuda")
    tag = "" if "+" in version else f"+cu{cuda.replace('.', '')}" if cuda else "+cpu"
    return TorchBuild(version + tag, cuda)


def torch_module() -> Any:
    """Return torch; WorkError where it is missing or cannot be imported."""
    try:
        return import_module("torch")
    except ModuleNotFoundError as error:
        raise WorkError(MISSING) from error
    except (ImportError, OSError) as error:  # a library that it needs
        raise WorkError(f"torch cannot be imported ({' '.join(str(error).split())}); install it anew") from error
