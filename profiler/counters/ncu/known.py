"""Messages of ncu whose reason is known, and what to do about each.

The texts are ncu's own as people reported them; where each was found stands beside it in tests/devices/ncu_texts.py.
"""

import re
from collections.abc import Callable

from cotenant.profiler.counters.ncu.errors import (
    CountersForbidden,
    DriverMismatch,
    LibraryNotLoaded,
    LogError,
    NcuFailed,
    ProfilerBusy,
)
from cotenant.profiler.counters.ncu.permission import forbidden_line

OTHER_SOURCE = "or use another counter source"

Line = Callable[[str], str]  # from what ncu said to our own line


def _fixed(line: str) -> Line:
    return lambda _said: line


# The first in this order that is found counts.
KNOWN: tuple[tuple[re.Pattern[str], type[NcuFailed], Line], ...] = (
    (
        re.compile(r"ERR_NVGPUCTRPERM|permission to access NVIDIA GPU Performance Counters"),
        CountersForbidden,
        lambda _said: forbidden_line(),
    ),
    (
        re.compile(r"Cuda driver is not compatible with Nsight Compute", re.IGNORECASE),
        DriverMismatch,
        _fixed(
            "this Nsight Compute does not work with the driver: install the version that came with the driver's CUDA"
            " (`cotenant doctor` tells it) and put that ncu on PATH, or update the driver"
        ),
    ),
    (
        re.compile(r"Profiling is not supported on device \d+ as it uses the Windows Subsystem"),
        DriverMismatch,
        _fixed(f"Nsight Compute cannot profile under this Windows or its driver: update both, {OTHER_SOURCE}"),
    ),
    (
        re.compile(r"Profiling is not supported on device"),
        DriverMismatch,
        _fixed(
            f"this Nsight Compute does not support this GPU: install a newer one and put it on PATH, {OTHER_SOURCE}"
        ),
    ),
    (
        re.compile(r"failed to connect to the CUDA driver", re.IGNORECASE),
        DriverMismatch,
        _fixed(
            "Nsight Compute cannot reach the CUDA driver: take folders of stub libraries off LD_LIBRARY_PATH, or"
            " install the version that came with the driver's CUDA"
        ),
    ),
    (
        re.compile(r"LibraryNotLoaded"),
        LibraryNotLoaded,
        _fixed(
            "Nsight Compute cannot load the driver's profiling library, as in sandboxed containers (gVisor) or under a"
            " driver of another CUDA version: profile on a host without the sandbox or with a matching ncu,"
            f" {OTHER_SOURCE}"
        ),
    ),
    (
        re.compile(r"driver resource was unavailable"),
        ProfilerBusy,
        _fixed(
            "another tool holds the GPU's counters (DCGM often does): pause it (`dcgmi profile --pause`, afterwards"
            f" --resume) or stop it, and run again, {OTHER_SOURCE}"
        ),
    ),
    (
        re.compile(r"InterprocessLockFailed|(?:open|create) lock file"),
        ProfilerBusy,
        _fixed(
            "Nsight Compute's lock file belongs to another user: let that user or root remove nsight-compute-lock from"
            " the temporary folder once no ncu runs, or set TMPDIR to a folder of your own while nobody else profiles"
        ),
    ),
    (
        re.compile(r"Unknown error on device", re.IGNORECASE),
        LogError,
        _fixed(
            "Nsight Compute cannot read the counters of this device and does not say why; usual reasons are a version"
            f" older than the driver, or a virtual machine without counters: install the newest ncu, {OTHER_SOURCE}"
        ),
    ),
)
