"""Made-up reports of Nsight Compute: the file, as the vendor's reader reads it, and the CSV that ncu would print of it.

The file is a magic number, a header and blocks, each a protobuf message behind its length (Nsight Compute,
Customization Guide, "Report File Format", version 7; the messages lie in extras/FileFormat). Only fields that our
readers look at are written, and those that the messages require. No number in such a report was measured.
"""

import csv
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cotenant.profiler.counters.reports.report import Workload

MAGIC = b"NVR\0"
FILE_VERSION = 7  # the vendor's reader (2026.3.1) takes it and newer ones
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
RESULT_NAME, RESULT_GRID, RESULT_BLOCK, RESULT_METRIC = 7, 10, 11, 13
RANGE_METRIC = 4
PUSH_POP = "thread Domain:Push/Pop_Range:PL_Type:PL_Value:CLR_Type:Color:Msg_Type:Msg"
START_END = "Id:Domain:Start/Stop_Range:PL_Type:PL_Value:CLR_Type:Color:Msg_Type:Msg"
LEADING = (
    "ID",
    "Process ID",
    "Process Name",
    "Host Name",
    "Kernel Name",
    "Context",
    "Stream",
    "Block Size",
    "Grid Size",
)
LEADING = (*LEADING, "Device", "CC")
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Written:
    """What a report says of itself besides its workloads."""

    version: str | None = "2025.3.1.0"
    passes: int | None = 8
    launch_metrics: bool = True
    blocks: int = 1
    capability: str | None = "9.0"


def write_report(path: Path, workloads: Sequence[Workload], written: Written = Written()) -> Path:
    """Write a report with these workloads, kernels before ranges within each block, and return its path."""
    share = -(-len(workloads) // written.blocks)
    parts = [workloads[start : start + share] for start in range(0, len(workloads), max(share, 1))] or [()]
    header = _sized(_number(1, FILE_VERSION))
    path.write_bytes(MAGIC + header + b"".join(_block(part, written) for part in parts))
    return path


def raw_csv(
    content: Path | Sequence[Workload],
    *,
    digits: int = 2,
    grouped: bool = True,
    nvtx: bool = False,
    units: Mapping[str, str] | None = None,
) -> str:
    """Return what `ncu --import FILE --page raw --csv --print-fp --print-units base` prints of a report.

    Args:
        content: A report that write_report wrote, or its workloads.
        digits: After the decimal point.
        units: Metric -> another unit to print in the row of units; the values stay.
    """
    workloads = list(read_back(content)) if isinstance(content, Path) else list(content)
    names = sorted({name for each in workloads for name in each.metrics})
    leading = [*LEADING[:4], PUSH_POP, START_END, *LEADING[4:]] if nvtx else list(LEADING)
    out = io.StringIO()
    lines = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    lines.writerow([*leading, *names])
    lines.writerow([*[""] * len(leading), *[(units or {}).get(name, base_unit(name)) for name in names]])
    separator = "," if grouped else ""
    for index, each in enumerate(workloads):
        ahead = [str(index), "4242", "python3.11", "127.0.0.1", *(['"cotenant:profile:none:none"', ""] if nvtx else [])]
        launch = ["1", "n/a" if each.is_range else "7", _triple(each.block), _triple(each.grid), "0", "9.0"]
        values = [f"{each.metrics[name]:{separator}.{digits}f}" if name in each.metrics else "" for name in names]
        lines.writerow([*ahead, each.name, *launch, *values])
    return out.getvalue()


def read_back(path: Path) -> Iterator[Workload]:
    """Read the workloads of a report that write_report wrote."""
    data = path.read_bytes()
    at = 4
    _, at = _take(data, at)
    while at < len(data):
        header, at = _take(data, at)
        facts = dict(_fields(header))
        strings = [text.decode() for _, text in _fields(facts[4])]
        for index in range(facts[2] + facts[7]):
            message, at = _take(data, at)
            yield _workload(message, strings, is_range=index >= facts[2])


def base_unit(metric: str) -> str:
    """Return the unit that a recent ncu prints for a metric with --print-units base."""
    if "pct" in metric:
        return "%"
    if metric.endswith("per_second"):
        return "hz"
    units = {"time_duration": "ns", "bytes": "byte", "sectors": "sector", "cycles": "cycle", "passes": "pass"}
    return next((unit for word, unit in units.items() if word in metric), "")


def _block(workloads: Sequence[Workload], written: Written) -> bytes:
    strings: list[str] = []
    kernels = [_kernel(each, strings, written) for each in workloads if not each.is_range]
    ranges = [_range(each, strings, written) for each in workloads if each.is_range]
    payload = b"".join(_sized(each) for each in kernels + ranges)
    versions = _text(8, _text(1, "NVIDIA Nsight Compute") + _text(2, written.version)) if written.version else b""
    header = (
        _number(1, 0)
        + _number(2, len(kernels))
        + _text(3, _number(1, 4242) + _text(8, _text(1, "CUDA driver") + _text(2, "580.1")) + versions)
        + _text(4, b"".join(_text(1, each) for each in strings))
        + _number(5, len(payload))
        + _text(6, _number(1, 4242) + _text(2, "127.0.0.1") + _text(3, "python3.11"))
        + _number(7, len(ranges))
    )
    return _sized(header) + payload


def _kernel(each: Workload, strings: list[str], written: Written) -> bytes:
    grid, block = each.grid or (1, 1, 1), each.block or (1, 1, 1)
    short = each.name.split("(")[0]
    message = b"".join(_number(field, 1) for field in (1, 2, 3, 4))
    message += _text(5, f"_Z{len(short)}{short}") + _text(6, short) + _text(RESULT_NAME, each.name) + _number(8, 3)
    message += _triple_of(9, (0, 0, 0)) + _triple_of(RESULT_GRID, grid) + _triple_of(RESULT_BLOCK, block)
    launch = {f"launch__grid_dim_{axis}": count for axis, count in zip(AXES, grid, strict=True)}
    launch |= {f"launch__block_dim_{axis}": count for axis, count in zip(AXES, block, strict=True)}
    metrics = {**_facts(written), **(launch if written.launch_metrics else {}), **each.metrics}
    message += b"".join(_metric(RESULT_METRIC, name, value, strings) for name, value in metrics.items())
    return message + _text(15, b"") + _number(16, 0) + _number(22, 1) + _number(23, 7)


def _range(each: Workload, strings: list[str], written: Written) -> bytes:
    metrics = {**_facts(written), **each.metrics}
    values = b"".join(_metric(RANGE_METRIC, name, value, strings) for name, value in metrics.items())
    return _number(1, 1) + _number(2, 1) + values


def _facts(written: Written) -> dict[str, int]:
    facts = {} if written.passes is None else {"profiler__replayer_passes": written.passes}
    if written.capability is not None:
        major, minor = written.capability.split(".")
        facts["device__attribute_compute_capability_major"] = int(major)
        facts["device__attribute_compute_capability_minor"] = int(minor)
    return facts


def _metric(field: int, name: str, value: float | str, strings: list[str]) -> bytes:
    if name not in strings:
        strings.append(name)
    if isinstance(value, str):
        coded = _text(1, value)
    else:
        coded = _number(5, value) if isinstance(value, int) else _key(3, FIXED64) + struct.pack("<d", value)
    return _text(field, _number(1, strings.index(name)) + _text(2, coded))


def _workload(message: bytes, strings: Sequence[str], is_range: bool) -> Workload:
    facts = list(_fields(message))
    metrics = {}
    for _, coded in [each for each in facts if each[0] == (RANGE_METRIC if is_range else RESULT_METRIC)]:
        parts = dict(_fields(coded))
        ((kind, value),) = _fields(parts[2])
        metrics[strings[parts[1]]] = value.decode() if kind == 1 else value
    known = dict(facts)
    name = "range" if is_range else known[RESULT_NAME].decode()
    grid, block = (
        None if is_range else tuple(count for _, count in _fields(known[field]))
        for field in (RESULT_GRID, RESULT_BLOCK)
    )
    return Workload(name, grid, block, metrics, is_range)


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    at = 0
    while at < len(message):
        key, at = _varint_at(message, at)
        if key & 7 == VARINT:
            value, at = _varint_at(message, at)
        elif key & 7 == FIXED64:
            value, at = struct.unpack_from("<d", message, at)[0], at + 8
        else:
            length, at = _varint_at(message, at)
            value, at = message[at : at + length], at + length
        yield key >> 3, value


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + int.from_bytes(data[at : at + 4], "little")
    return data[at + 4 : end], end


def _varint_at(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 128:
            return value, at


def _varint(value: int) -> bytes:
    low = bytearray()
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes([*low, value])


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _number(field: int, value: int) -> bytes:
    return _key(field, VARINT) + _varint(value)


def _text(field: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _key(field, BYTES) + _varint(len(data)) + data


def _triple_of(field: int, counts: Sequence[int]) -> bytes:
    return _text(field, b"".join(_number(axis, count) for axis, count in enumerate(counts, start=1)))


def _sized(message: bytes) -> bytes:
    return struct.pack("<I", len(message)) + message


def _triple(counts: Sequence[int] | None) -> str:
    return "({}, {}, {})".format(*(counts or (0, 0, 0)))
