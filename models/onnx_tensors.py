"""Where a tensor of a user's ONNX file keeps its numbers, and whether they are there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto, external_data_helper, helper, numpy_helper

from cotenant.models.errors import UserError
from cotenant.models.shapes import checked_size

ELEMENT_TYPES = set(helper.get_all_tensor_dtypes())
DIGITS_MAX = 19  # more bytes than any file has
PACKED = {TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1}  # two elements a byte


@dataclass(frozen=True)
class Region:
    """Bytes in a file beside the graph."""

    file: Path
    offset: int
    byte_count: int


def checked_region(tensor: TensorProto, path: Path) -> Region | None:
    """Return where a tensor's numbers lie outside the graph, None if inside.

    Raises:
        UserError: Type or shape is absurd, or the numbers are missing, cut short or outside the graph's folder.
    """
    if tensor.data_type not in ELEMENT_TYPES:
        raise UserError(
            f"{path}: weight {tensor.name} is of element type {tensor.data_type}, which ONNX does not know;"
            " export the model again"
        )
    checked_size(tuple(tensor.dims), tensor.data_type, tensor.name, str(path))
    wanted = stated_bytes(tensor)
    if not external_data_helper.uses_external_data(tensor):
        if tensor.HasField("raw_data") and wanted is not None and len(tensor.raw_data) != wanted:
            raise UserError(
                f"{path}: weight {tensor.name} has {len(tensor.raw_data)} bytes instead of {wanted};"
                " export the model again"
            )
        return None
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = Path(entries.get("location", ""))
    if location.is_absolute() or ".." in location.parts or location == Path():
        raise UserError(f"{path}: weight {tensor.name} lies in {str(location)!r}, outside the model's folder; move it")
    file = path.parent / location
    if not file.is_file():
        raise UserError(f"{path}: {file}, which holds weight {tensor.name}, is missing; put it beside the model")
    offset, length = (_whole_number(entries, key, tensor, path) for key in ("offset", "length"))
    there = file.stat().st_size - offset
    byte_count = length or (there if wanted is None else wanted)
    if not 0 <= byte_count <= there or (wanted is not None and byte_count != wanted):
        raise UserError(
            f"{path}: {file} holds {max(min(byte_count, there), 0)} bytes of weight {tensor.name}"
            f" instead of {wanted or byte_count}; export the model again"
        )
    return Region(file, offset, byte_count)


def _whole_number(entries: Mapping[str, str], key: str, tensor: TensorProto, path: Path) -> int:
    text = entries.get(key, "0")
    if not (text.isascii() and text.isdigit() and len(text) < DIGITS_MAX):
        raise UserError(
            f"{path}: weight {tensor.name} has the external {key} {text[:DIGITS_MAX]!r}, which is no whole number of"
            " bytes; export the model again"
        )
    return int(text)


def stated_bytes(tensor: TensorProto) -> int | None:
    """Return the bytes that shape and type ask for; None for strings."""
    if tensor.data_type == TensorProto.STRING:
        return None
    count: int = math.prod(tensor.dims)
    if tensor.data_type in PACKED:
        return -(-count // 2)
    return count * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def inline_bytes(tensor: TensorProto) -> bytes:
    """Return the numbers of a tensor that holds them itself; none for strings, which stay where they are."""
    if tensor.data_type == TensorProto.STRING:
        return b""
    return tensor.raw_data if tensor.HasField("raw_data") else numpy_helper.to_array(tensor).tobytes()
