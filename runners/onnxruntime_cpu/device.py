"""This machine's processor as a device: identity, caches, memory, and the instruction set for engines."""

import functools
import os
import platform
import socket
from pathlib import Path

from cotenant.models.digest import digest_id
from cotenant.runners.onnxruntime_cpu.cores import CPU_FOLDER, parse_cpu_list, physical_cores
from cotenant.runners.protocol import Device

CACHE_SIZE_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# Instruction sets that ONNX Runtime's kernels choose by, widest first: (name, flags that must all be there).
INSTRUCTION_SETS = {
    "x86_64": (
        ("avx512", {"avx512f", "avx512bw", "avx512dq", "avx512vl"}),
        ("avx2", {"avx2", "fma"}),
        ("avx", {"avx"}),
        ("sse", set[str]()),
    ),
    "aarch64": (("sve", {"sve"}), ("neon-fp16", {"asimdhp"}), ("neon", set[str]())),
}


@functools.cache
def this_device() -> Device:
    """Return the processor of this machine."""
    name = cpu_name()
    cores = len(physical_cores(_online_cores()))
    dram_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    llc = llc_bytes()
    llc_text = f"{llc / (1 << 20):g} MiB" if llc is not None else "unknown"
    return Device(
        device_id=digest_id(["cpu", _machine(), name, cores]),
        device_type=f"{name}, {cores} cores, {llc_text} last-level cache, {round(dram_bytes / (1 << 30))} GiB",
        kind="cpu",
        name=name,
        sm_count=cores,
        l2_bytes=llc,
        dram_bytes=dram_bytes,
    )


@functools.cache
def this_target() -> str:
    """Return the build target of this machine, e.g. `x86_64-avx512`."""
    machine = platform.machine()
    flags = set((_cpuinfo("flags") or _cpuinfo("Features") or "").split())
    fitting = [name for name, needed in INSTRUCTION_SETS.get(machine, ()) if needed <= flags]
    return f"{machine}-{fitting[0]}" if fitting else machine


def cpu_name() -> str:
    """Return the processor's name as the kernel tells it, e.g. `AMD EPYC`."""
    return _cpuinfo("model name") or _cpuinfo("Model") or platform.processor() or platform.machine()


def llc_bytes() -> int | None:
    """Return the size of one last-level cache; None where the kernel does not tell."""
    levels: dict[int, int] = {}
    for folder in sorted(CPU_FOLDER.glob("cpu0/cache/index*")):
        try:
            kind = (folder / "type").read_text().strip()
            level = int((folder / "level").read_text())
            size = _parse_cache_size((folder / "size").read_text().strip())
        except (OSError, ValueError):
            continue
        if kind == "Unified":
            levels[level] = size
    return levels[max(levels)] if levels else None


def _parse_cache_size(text: str) -> int:
    unit = CACHE_SIZE_UNITS.get(text[-1:])
    return int(text[:-1]) * unit if unit else int(text)


def _machine() -> str:
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        if path.is_file() and (text := path.read_text().strip()):
            return text
    return socket.gethostname()


def _online_cores() -> set[int]:
    try:
        return parse_cpu_list((CPU_FOLDER / "online").read_text())
    except OSError:
        return set(range(os.cpu_count() or 1))


def _cpuinfo(key: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":", 1)[0].strip() == key), None)
