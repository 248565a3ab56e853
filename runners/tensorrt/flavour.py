"""Which TensorRT there is: `tensorrt` (10.12 and newer) or `tensorrt-rtx`; the same classes under several module names.

Where both are installed, TensorRT is used; $COTENANT_TENSORRT=tensorrt-rtx chooses the other. Nothing is imported here:
a library that does not fit may take its process with it, so imports happen in the processes of builds and lanes.
"""

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import cast

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.tensorrt.api_build import Module

CHOICE = "COTENANT_TENSORRT"
PROBE_TIMEOUT_S = 60
REASON_CHARACTERS = 300
Version = tuple[int, ...]


@dataclass(frozen=True)
class Flavour:
    """One of the two libraries.

    Attributes:
        engine_kind: The column of that name; also what users type and the extra that installs it.
        title: What people call it.
        modules: Names under which its bindings come, preferred first.
        plan_tag: First four bytes of its plans.
        first, below: Versions that this package knows to use.
        needs_gpu_to_build: Whether engines are built on the GPU that shall run them.
    """

    engine_kind: str
    title: str
    modules: tuple[str, ...]
    plan_tag: bytes
    first: Version
    below: Version
    needs_gpu_to_build: bool


TENSORRT = Flavour("tensorrt", "TensorRT", ("tensorrt", "tensorrt_bindings"), b"ftrt", (10, 12), (12,), True)
TENSORRT_RTX = Flavour(
    "tensorrt-rtx", "TensorRT-RTX", ("tensorrt_rtx", "tensorrt_rtx_bindings"), b"vtrt", (1, 7), (2,), False
)
FLAVOURS = (TENSORRT, TENSORRT_RTX)


@dataclass(frozen=True)
class Installed:
    """The TensorRT that is used here."""

    flavour: Flavour
    module: str
    version: str

    def __str__(self) -> str:
        return f"{self.flavour.title} {self.version}"


def installed() -> Installed:
    """Return the TensorRT that is used here; UserError with what to install, or which version does not fit."""
    return _installed(os.environ.get(CHOICE, ""))


@functools.cache
def _installed(choice: str) -> Installed:
    names = [flavour.engine_kind for flavour in FLAVOURS]
    if choice and choice not in names:
        raise UserError(f"{CHOICE}={choice!r} names no TensorRT; set it to {' or '.join(names)}, or unset it")
    wanted = [flavour for flavour in FLAVOURS if choice in ("", flavour.engine_kind)]
    found = [(flavour, name) for flavour in wanted for name in flavour.modules if is_there(name)]
    if not found:
        extras = " or ".join(f"pip install 'cotenant[{flavour.engine_kind}]'" for flavour in wanted)
        raise UserError(f"{' or '.join(flavour.title for flavour in wanted)} is not installed; {extras}")
    flavour, module = found[0]
    return checked(Installed(flavour, module, module_version(module)))


def is_there(module: str) -> bool:
    """Whether a top-level module is installed; a folder of that name on the path is none."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def checked(found: Installed) -> Installed:
    """Return what was found if this package knows how to use that version; UserError otherwise."""
    flavour = found.flavour
    numbers = version_numbers(found.version)
    if flavour.first <= numbers < flavour.below:
        return found
    fault = "too old" if numbers < flavour.first else "newer than what cotenant knows"
    first, below = (".".join(map(str, bound)) for bound in (flavour.first, flavour.below))
    distribution = flavour.engine_kind
    raise UserError(
        f"{found} (module {found.module}) is {fault}: {first} or newer and below {below} is needed;"
        f" pip install '{distribution}>={first},<{below}'"
    )


def version_numbers(text: str) -> Version:
    """Return `11.4.0.106` as numbers; what follows them is left out."""
    numbers: list[int] = []
    for part in text.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    return tuple(numbers)


def module_version(module: str) -> str:
    """Return the version of a module: what its distribution says, else what the module says in a process of its own."""
    distributions = packages_distributions().get(module, ())
    return version(distributions[0]) if distributions else asked_version(module)


def asked_version(module: str) -> str:
    """Import a module in a process of its own and return its version; WorkError with the reason if it cannot be."""
    command = [sys.executable, "-P", "-c", f"import {module}; print({module}.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROBE_TIMEOUT_S)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"]
        raise WorkError(f"module {module} cannot be imported: {lines[-1][:REASON_CHARACTERS]}; install it again")
    return done.stdout.strip().splitlines()[-1]


def load_module(found: Installed) -> Module:
    """Import the bindings; for processes of builds and lanes.

    Raises:
        WorkError: They cannot be imported, or are of another version than their distribution says.
    """
    try:
        module = cast(Module, import_module(found.module))
    except (ImportError, OSError) as error:  # OSError: a shared library that is not there
        reason = " ".join(str(error).split())[:REASON_CHARACTERS]
        raise WorkError(f"{found} cannot be imported: {reason}; install it again, with its libraries") from error
    if version_numbers(module.__version__) != version_numbers(found.version):  # `.post1` is the installation's own
        raise WorkError(
            f"module {found.module} says {module.__version__}, its installation says {found.version};"
            f" install {found.flavour.engine_kind} again"
        )
    return module
