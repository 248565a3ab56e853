"""NVIDIA's multi-process service: is its program there, does a daemon run already. None is started or asked."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cotenant.profiler.doctor.check import Check
from cotenant.profiler.quality.container import ROOT, in_container
from cotenant.runners.cuda.mps import CONTROL, PIPE, PREFIX

USUAL_PIPE = "tmp/nvidia-mps"  # where clients look if CUDA_MPS_PIPE_DIRECTORY is not set
DAEMON_FLAGS = {b"-d", b"-f"}  # in the background, in the foreground; without one it is a client of the daemon
PIPE_IN_ENVIRONMENT = f"{PIPE}=".encode()


def checks(root: Path = ROOT) -> Iterator[Check]:
    """Tell program and daemon."""
    program = shutil.which(CONTROL)
    if program is None:
        remedy = (
            "install the compute tools of the driver's version (in a container, NVIDIA_DRIVER_CAPABILITIES=compute)"
        )
        yield Check("mps.program", "missing", f"no {CONTROL} on PATH: isolation `mps` is not possible", remedy)
    else:
        yield Check("mps.program", "ok", f"{program}; cotenant starts a private daemon when a campaign asks for one")
    yield daemon(root)


def daemon(root: Path = ROOT) -> Check:
    """Tell whether a daemon runs that would make every process here its client, and so change all isolation modes."""
    name, pipe = "mps.daemon", _pipe(root)
    pids = [pid for pid, folder in _daemons(root) if PREFIX not in folder]  # those of a campaign have their own pipe
    if pids:
        told = f"a daemon runs (pid {', '.join(map(str, pids))}): processes that find its pipe become its clients"
        remedy = f"set {PIPE} to an empty folder before measuring, or end the daemon if it is yours"
        return Check(name, "limited", told, remedy)
    if (pipe / "control").exists() and in_container(root):
        told = f"a daemon's pipe lies in {pipe}; whether one runs outside this container cannot be seen"
        return Check(name, "unknown", told, f"set {PIPE} to an empty folder before measuring")
    return Check(name, "ok", "no daemon runs")


def _daemons(root: Path) -> list[tuple[int, str]]:
    """Return (pid, pipe folder or "") of the control daemons that can be seen."""
    found = []
    for folder in sorted((root / "proc").glob("[0-9]*")):
        command = _bytes(folder / "cmdline").split(b"\0")
        if Path(os.fsdecode(command[0])).name == CONTROL and DAEMON_FLAGS.intersection(command):
            own = [item for item in _bytes(folder / "environ").split(b"\0") if item.startswith(PIPE_IN_ENVIRONMENT)]
            found.append((int(folder.name), os.fsdecode(own[0][len(PIPE_IN_ENVIRONMENT) :]) if own else ""))
    return found


def _pipe(root: Path) -> Path:
    return Path(os.environ.get(PIPE) or root / USUAL_PIPE)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # another user's, or gone
        return b""
