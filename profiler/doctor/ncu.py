"""Nsight Compute: the program, its reader, and whether the driver lets this user read the counters."""

import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cotenant.profiler.counters.ncu.program import VERSION, found
from cotenant.profiler.doctor.check import Check
from cotenant.profiler.doctor.driver import NO_GPU_REMEDY
from cotenant.profiler.quality.container import ROOT, in_container, in_first_user_namespace, read_text

TIMEOUT_S = 10.0
CAP_SYS_ADMIN, CAP_PERFMON = 21, 38  # linux/capability.h
PERFMON_DRIVER = 565  # the first driver that accepts CAP_PERFMON (NVIDIA, "ERR_NVGPUCTRPERM")
ADMIN_ONLY = "RmProfilingAdminOnly"
HOST_REMEDY = (
    "run as root, or let who runs the machine put `options nvidia NVreg_RestrictProfilingToAdminUsers=0` into"
    " /etc/modprobe.d/, rebuild the initramfs and reboot"
)
CONTAINER_REMEDY = (
    "start the container with --cap-add=SYS_ADMIN (from driver 565 on --cap-add=PERFMON), or free the counters on the"
    " host (module option NVreg_RestrictProfilingToAdminUsers=0); rented containers often allow neither: use another"
    " counter source there"
)
ROOTLESS_REMEDY = "start the container as root: capabilities of a user namespace do not reach the driver"


def checks(driver_version: str | None, root: Path = ROOT) -> Iterator[Check]:
    """Tell program, reader and permission."""
    program = found(root)
    yield _program(program)
    yield _reader(program)
    yield permission(driver_version, root)


def _program(program: Path | None) -> Check:
    if program is None:
        remedy = "install Nsight Compute (it comes with the CUDA toolkit) and put `ncu` on PATH"
        return Check("ncu.program", "missing", "no ncu on PATH or in the usual places", remedy)
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check("ncu.program", "unknown", f"{program} --version gave no answer in {TIMEOUT_S:g} s")
    except OSError as error:
        return Check("ncu.program", "limited", f"{program} cannot be run ({error.strerror})", "install it again")
    version = VERSION.search(done.stdout)
    if done.returncode or version is None:
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        return Check("ncu.program", "limited", f"{program} --version fails: {said}", "install Nsight Compute again")
    hint = None if shutil.which("ncu") else f"put {program.parent} on PATH"
    return Check("ncu.program", "ok", f"{version[1]} ({program})", hint)


def _reader(program: Path | None) -> Check:
    """Tell the reader of reports: the package ncu_report, or the module that comes with the program."""
    if find_spec("ncu_report") is not None:
        return Check("ncu.reader", "ok", "package ncu_report")
    beside = program.resolve().parent / "extras" / "python" / "ncu_report.py" if program is not None else None
    if beside is not None and beside.is_file():
        return Check("ncu.reader", "ok", str(beside))
    told = "no ncu_report: reports are read through ncu's own CSV" if program is not None else "no ncu_report"
    return Check("ncu.reader", "missing", told, "pip install ncu-report")


def permission(driver_version: str | None, root: Path = ROOT) -> Check:
    """Tell whether this process may read the counters, and if not, which of the remedies applies."""
    name = "ncu.permission"
    parameters = read_text(root / "proc/driver/nvidia/params")
    if parameters is None:
        if driver_version is None:
            return Check(name, "missing", "no NVIDIA driver, so no counters", NO_GPU_REMEDY)
        told = "the driver's parameters are not shown here (as in sandboxed containers): only a trial tells"
        return Check(name, "unknown", told, "profile one model and see whether ncu says ERR_NVGPUCTRPERM")
    words = dict(line.split(": ", 1) for line in parameters.splitlines() if ": " in line)
    if ADMIN_ONLY not in words:
        return Check(name, "unknown", f"the driver does not tell {ADMIN_ONLY}")
    if words[ADMIN_ONLY].strip() == "0":
        return Check(name, "ok", "every user may read the counters")
    holds = _capability(driver_version, root)
    if holds is not None and in_first_user_namespace(root):
        return Check(name, "ok", f"for administrators only; this process is one ({holds})")
    told = f"for administrators only ({ADMIN_ONLY}: {words[ADMIN_ONLY].strip()}), and this process is none"
    if holds is not None:
        return Check(name, "missing", f"{told}: {holds} holds only in its user namespace", ROOTLESS_REMEDY)
    return Check(name, "missing", told, CONTAINER_REMEDY if in_container(root) else HOST_REMEDY)


def _capability(driver_version: str | None, root: Path) -> str | None:
    """Return the effective capability that the driver accepts, if there is one."""
    status = read_text(root / "proc/self/status") or ""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    effective = int(line.split()[1], 16)
    if effective >> CAP_SYS_ADMIN & 1:
        return "CAP_SYS_ADMIN"
    major = (driver_version or "").split(".")[0]
    accepts = major.isdigit() and int(major) >= PERFMON_DRIVER
    return "CAP_PERFMON" if accepts and effective >> CAP_PERFMON & 1 else None
