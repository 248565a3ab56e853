"""The content of a user's ONNX file: checked before anything large is allocated, digested, its weights copied.

Numbers may lie in the file itself or in files beside it. What is kept in memory is the graph alone: tensors of
`MOVED_BYTES_MIN` and more are taken out and declared as lying in the weights file that all shapes share.
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import checker

from cotenant.models.digest import CHUNK_BYTES, digest_id, sha256_of, sha256_of_file
from cotenant.models.errors import UserError
from cotenant.models.onnx_dims import graph_inputs
from cotenant.models.onnx_tensors import ELEMENT_TYPES, Region, checked_region, inline_bytes
from cotenant.models.onnx_writer import external_tensor
from cotenant.models.shapes import first_line
from cotenant.models.weights import Placed, placed

FILE_BYTES_MAX = (1 << 31) - 1  # of a protobuf message
MOVED_BYTES_MIN = 1024  # smaller ones are often shapes, which shape inference must read


class Content:
    """A checked file.

    Attributes:
        path: Of the ONNX file.
        model: The graph; large initialisers refer to the shared weights file.
        byte_counts: Bytes of every initialiser.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = _read(path)
        self._graph_sha256 = hashlib.sha256(data).hexdigest()
        self.model = _parsed(path, data)
        graph = self.model.graph
        regions = {tensor.name: checked_region(tensor, path) for tensor in graph.initializer}
        _check(path)
        self._external = sorted({region.file for region in regions.values() if region is not None})
        self.byte_counts = {
            tensor.name: len(inline_bytes(tensor)) if (region := regions[tensor.name]) is None else region.byte_count
            for tensor in graph.initializer
        }
        self._moved = {name: regions[name] for name, count in self.byte_counts.items() if count >= MOVED_BYTES_MIN}
        self._take_out(regions)

    @cached_property
    def sha256(self) -> str:
        """Digest of the file and of every file that holds its external data."""
        parts = [[file.name, sha256_of_file(file)] for file in self._external]
        return sha256_of([self._graph_sha256, parts])

    @property
    def weights_key(self) -> str:
        """Key of the weights file."""
        return digest_id(["onnx file", MOVED_BYTES_MIN, self.sha256])

    def write_weights(self, stream: BinaryIO) -> None:
        """Copy the numbers of the large tensors to where the graph says."""
        data = _read(self.path)
        if hashlib.sha256(data).hexdigest() != self._graph_sha256:
            raise UserError(f"{self.path} was changed while it was in use; run the command again")
        inline = {tensor.name: tensor for tensor in _parsed(self.path, data).graph.initializer}
        written = 0
        for (name, region), place in zip(self._moved.items(), self._places(), strict=True):
            stream.write(bytes(place.offset - written))
            for chunk in [inline_bytes(inline[name])] if region is None else _chunks(region):
                stream.write(chunk)
            written = place.offset + place.byte_count

    def _take_out(self, regions: dict[str, Region | None]) -> None:
        places = dict(zip(self._moved, self._places(), strict=True))
        for tensor in self.model.graph.initializer:
            if tensor.name in places:
                outside = external_tensor(tensor.name, tensor.dims, tensor.data_type, places[tensor.name])
                tensor.CopyFrom(outside)
            elif (region := regions[tensor.name]) is not None:  # small ones come in, wherever they were
                tensor.ClearField("external_data")
                tensor.ClearField("data_location")
                tensor.raw_data = b"".join(_chunks(region))

    def _places(self) -> list[Placed]:
        return placed([self.byte_counts[name] for name in self._moved])


def _read(path: Path) -> bytes:
    if not path.exists():
        raise UserError(f"{path}: there is no such file; give the path of an ONNX file")
    if not path.is_file():
        raise UserError(f"{path} is no file; give the path of an ONNX file")
    byte_count = path.stat().st_size
    if byte_count == 0:
        raise UserError(f"{path} is empty; export the model again")
    if byte_count > FILE_BYTES_MAX:
        raise UserError(f"{path} has {byte_count} bytes, more than ONNX can hold in one file; save its weights outside")
    return path.read_bytes()


def _parsed(path: Path, data: bytes) -> onnx.ModelProto:
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise UserError(f"{path} is no ONNX file, or it was cut short; export the model again") from error
    if not model.graph.node or not model.graph.output:
        raise UserError(f"{path} holds no network (no operators or no outputs); export the model again")
    inputs = graph_inputs(model.graph)
    if not inputs:
        raise UserError(f"{path} has no inputs: it computes a constant; export the model again with its inputs")
    for info in inputs:
        _check_element_type(path, info)
    return model


def _check_element_type(path: Path, info: onnx.ValueInfoProto) -> None:
    if not info.type.HasField("tensor_type"):
        raise UserError(f"{path}: input {info.name} is no tensor; only tensors can be measured, export the model so")
    element_type = info.type.tensor_type.elem_type
    if element_type == onnx.TensorProto.STRING:
        raise UserError(f"{path}: input {info.name} holds strings; only numbers can be measured, cut it off")
    if element_type not in ELEMENT_TYPES:
        raise UserError(
            f"{path}: input {info.name} is of element type {element_type}, which ONNX does not know;"
            " export the model again"
        )


def _check(path: Path) -> None:
    try:
        checker.check_model(str(path))
    except checker.ValidationError as error:
        raise UserError(f"{path} is no sound ONNX model ({first_line(error)}); export the model again") from error


def _chunks(region: Region) -> Iterator[bytes]:
    with region.file.open("rb") as stream:
        stream.seek(region.offset)
        left = region.byte_count
        while left:
            chunk = stream.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise UserError(f"{region.file} was cut short while it was in use; export the model again")
            left -= len(chunk)
            yield chunk
