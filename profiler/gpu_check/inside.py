"""Runs one part; this is the program of its process. The last word, state and reason, goes into a file of its own.

python3 -m cotenant.profiler.gpu_check.inside '{"name": ..., "module": ..., ...}' FOLDER
"""

import ctypes
import importlib
import json
import os
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path

from cotenant.profiler.gpu_check.facts import Facts, Skip
from cotenant.profiler.gpu_check.part import Part, State

LIBRARY = "libcuda.so.1"
OURS = "cotenant"
NO_DRIVER = f"no NVIDIA driver on this machine ({LIBRARY} is not there)"


def main(part: Part, folder: Path) -> int:
    """Run a part and file how it ended; the exit code tells nothing more."""
    facts = Facts(facts_path(folder, part.name), folder, part)
    state, reason = _measured(part, facts)
    verdict_path(folder, part.name).write_text(json.dumps({"state": state, "reason": reason}))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # what libraries do as they end is no longer the part's: some hang or crash there


def facts_path(folder: Path, name: str) -> Path:
    """Return where a part's facts stand."""
    return folder / "parts" / f"{name}.facts.json"


def verdict_path(folder: Path, name: str) -> Path:
    """Return where a part says how it ended."""
    return folder / "parts" / f"{name}.verdict.json"


def gpu_trouble() -> str | None:
    """Return why there is no GPU to check; None if the driver shows one."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError:
        return NO_DRIVER
    count = ctypes.c_int(0)
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return f"the CUDA driver does not start (error {code}); `nvidia-smi` must work first"
    return None if count.value else "the CUDA driver shows no GPU; look at CUDA_VISIBLE_DEVICES"


def missing_modules(names: tuple[str, ...]) -> list[str]:
    """Return which modules are not there, in order."""
    return [name for name in names if not _is_there(name)]


def _measured(part: Part, facts: Facts) -> tuple[State, str | None]:
    trouble = gpu_trouble() if part.needs_gpu else None
    if trouble:
        return "skipped", trouble
    missing = missing_modules(part.needs)
    if missing:
        return "skipped", _lacks(missing)
    try:
        importlib.import_module(part.module_path).measure(facts)
    except Skip as reason:
        return "skipped", str(reason)
    except ModuleNotFoundError as error:
        traceback.print_exc()
        absent = error.name or ""
        return ("failed", _told(error)) if absent.split(".")[0] == OURS else ("skipped", _lacks([absent]))
    except BaseException as error:  # a library may raise what it likes, SystemExit too: the part has failed then
        traceback.print_exc()
        return "failed", _told(error)
    return ("failed", "; ".join(facts.failed_checks)) if facts.failed_checks else ("ok", None)


def _lacks(names: list[str]) -> str:
    return f"needs the Python module{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    main(Part(**{**told, "needs": tuple(told["needs"])}), Path(sys.argv[2]))
