"""The structure of a report file, read by us: whether it is whole, how many results it holds, which version wrote it.

No reader tells that a file was cut: each gives what it could read, and no error. The lengths that the file states do.
A file is a magic number, a header, then blocks; a block is a header and its payload, one message after the other, each
behind its length (Nsight Compute, Customization Guide, "Report File Format", version 7; the messages lie in
extras/FileFormat). A file that was cut exactly between two blocks is whole by this measure: only the expected number of
results tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cotenant.profiler.counters.reports.report import ReportDamaged
from cotenant.profiler.counters.reports.wire import Malformed, fields, messages, numbers, text

MAGIC = b"NVR\0"
COMPRESSED_MAGIC = b"\x28\xb5\x2f\xfd"  # of zstd (RFC 8878), which packs files named .ncu-repz
LENGTH_BYTES = 4
# BlockHeader
SOURCES, KERNELS, SESSION, PAYLOAD_BYTES, RANGES, COMMAND_LISTS, GRAPHS = 1, 2, 3, 5, 7, 8, 9
VERSION_INFO, PROVIDER, VERSION = 8, 1, 2  # of ReportSessionDetails; of VersionInfo
KERNEL_NAME, GRID, BLOCK = 7, 10, 11  # ProfileResult
PROFILER = "nsight compute"


@dataclass(frozen=True)
class Launch:
    """How one kernel was launched, as the file tells."""

    name: str
    grid: tuple[int, int, int] | None
    block: tuple[int, int, int] | None


@dataclass(frozen=True)
class Contents:
    """What a whole report file holds.

    Attributes:
        launches: One for each kernel, in the file's order.
        other_count: Results that are no kernels: ranges, command lists, graphs.
        profiler_version: Of the Nsight Compute that wrote it; None if it does not say.
    """

    launches: tuple[Launch, ...]
    other_count: int
    profiler_version: str | None

    @property
    def result_count(self) -> int:
        """Results of every kind."""
        return len(self.launches) + self.other_count


def contents(path: Path) -> Contents:
    """Return what a report file holds.

    Raises:
        ReportDamaged: It is empty, cut, or no report of Nsight Compute.
        FileNotFoundError: It is not there.
    """
    data = path.read_bytes()
    if not data:
        raise ReportDamaged(path, "the report is empty")
    if data.startswith(COMPRESSED_MAGIC):
        raise ReportDamaged(path, "the report is compressed, which is not read here; export a .ncu-rep")
    if not data.startswith(MAGIC):
        raise ReportDamaged(path, "this is no report of Nsight Compute")
    try:
        return _contents(memoryview(data))
    except Malformed as error:
        raise ReportDamaged(path, f"the report is cut or damaged ({error})") from error


def _contents(data: memoryview) -> Contents:
    _, at = _sized(data, len(MAGIC))
    launches: list[Launch] = []
    other_count = 0
    version = None
    while at < len(data):
        header, at = _sized(data, at)
        counts = numbers(header)
        end = at + counts.get(PAYLOAD_BYTES, 0)
        if end > len(data):
            raise Malformed("a block ends before its time")
        launches += _launches(data[at:end], counts.get(SOURCES, 0), counts.get(KERNELS, 0))
        other_count += sum(counts.get(kind, 0) for kind in (RANGES, COMMAND_LISTS, GRAPHS))
        version = version or _profiler_version(header)
        at = end
    return Contents(tuple(launches), other_count, version)


def _launches(payload: memoryview, source_count: int, kernel_count: int) -> Iterator[Launch]:
    at = 0
    for index in range(source_count + kernel_count):
        message, at = _sized(payload, at)
        if index >= source_count:
            parts = dict(fields(message))
            yield Launch(text(parts.get(KERNEL_NAME)), _triple(parts.get(GRID)), _triple(parts.get(BLOCK)))


def _triple(message: int | memoryview | None) -> tuple[int, int, int] | None:
    if not isinstance(message, memoryview):
        return None
    counts = numbers(message)
    return counts.get(1, 0), counts.get(2, 0), counts.get(3, 0)


def _profiler_version(header: memoryview) -> str | None:
    for session in messages(header, SESSION):
        for info in messages(session, VERSION_INFO):
            parts = dict(fields(info))
            if PROFILER in text(parts.get(PROVIDER)).lower():
                return text(parts.get(VERSION))
    return None


def _sized(data: memoryview, at: int) -> tuple[memoryview, int]:
    start = at + LENGTH_BYTES
    end = start + int.from_bytes(data[at:start], "little")
    if start > len(data) or end > len(data):
        raise Malformed("a message ends before its time")
    return data[start:end], end
