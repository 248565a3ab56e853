"""The user's own ONNX: `file:net.onnx`, or `file:net.onnx:height=96,width=96` where it leaves dimensions open.

The file is checked when it is opened. Its batch dimension is the first one of its inputs where that is open; other
open dimensions are given by the names that the file has for them, or as `input.axis` where it has none. What is
measured is the file as it is: its precision is not changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from cotenant.models.atomic import write_atomic
from cotenant.models.batch_size import checked_batch_size
from cotenant.models.costs import graph_cost, operator_costs
from cotenant.models.digest import sha256_of
from cotenant.models.errors import UserError
from cotenant.models.model import Export, GraphCost, Input, OperatorCost, Precision
from cotenant.models.onnx_content import Content
from cotenant.models.onnx_dims import fixed_model, graph_inputs, open_dims
from cotenant.models.onnx_writer import graph_bytes
from cotenant.models.weights_store import stored_weights

FILE_PREFIX = "file:"
DIM_MAX = 1 << 24
NOT_PARAMETERS = {TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING}  # shapes, indices, masks
PRECISIONS_BY_TYPE: dict[int, Precision] = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}


@dataclass(frozen=True)
class OnnxFile:
    """A user's network, checked, with its open dimensions given.

    Attributes:
        path: Of the ONNX file, as the user wrote it.
        dims: Open dimensions and their sizes.
    """

    path: Path
    dims: tuple[tuple[str, int], ...]
    content: Content = field(repr=False, compare=False)

    @classmethod
    def open(cls, name: str) -> "OnnxFile":
        """Open `file:PATH[:DIM=N,...]`; UserError says what is wrong with it and what to do."""
        match = re.fullmatch(rf"{FILE_PREFIX}(?P<path>.+?)(?::(?P<dims>[^:/]*=[^:/]*))?", name)
        if match is None:
            raise UserError(f"{name!r} names no file; write {FILE_PREFIX}net.onnx")
        path = Path(match["path"])
        content = Content(path)
        dims = _given_dims(name, match["dims"])
        found = cls(path, tuple(sorted(dims.items())), content)
        found._check_dims(dims)
        return found

    @property
    def name(self) -> str:
        """The path as the user wrote it, and the dimensions by name."""
        dims = ",".join(f"{key}={number}" for key, number in self.dims)
        return f"{FILE_PREFIX}{self.path}:{dims}" if dims else f"{FILE_PREFIX}{self.path}"

    @property
    def family(self) -> str:
        """All files are one family."""
        return "file"

    def inputs(self, batch_size: int, precision: Precision) -> tuple[Input, ...]:
        """Return the inputs at one batch size."""
        graph = self._fixed(batch_size, precision).graph
        return tuple(_input(info, graph) for info in graph_inputs(graph))

    def source_sha256(self, precision: Precision) -> str:
        """Return the digest of the file's content, external data included."""
        return sha256_of(["onnx file", self.content.sha256])

    def operator_costs(self, batch_size: int, precision: Precision) -> tuple[OperatorCost, ...]:
        """Return the work of each fused group of operators."""
        return operator_costs(self._fixed(batch_size, precision), str(self.path))

    def cost(self, batch_size: int, precision: Precision) -> GraphCost:
        """Return the work of one execution; reads no weights."""
        graph = self.content.model.graph
        statistics = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[3:5]}
        parameters = [
            prod(tensor.dims)
            for tensor in graph.initializer
            if tensor.name not in statistics and tensor.data_type not in NOT_PARAMETERS
        ]
        weight_bytes = sum(self.content.byte_counts.values())
        return graph_cost(self.operator_costs(batch_size, precision), weight_bytes, sum(parameters))

    def export(self, batch_size: int, precision: Precision, cache: Path) -> Export:
        """Write a graph of fixed shapes beside the weights that every batch size shares."""
        fixed = self._fixed(batch_size, precision)
        operator_costs(fixed, str(self.path))  # shapes that do not fit together show here, before anything is written
        stored = stored_weights(cache, self.content.weights_key, self.content.write_weights)
        dims = "".join(f"_{key}{number}" for key, number in self.dims)
        stem = re.sub(r"[^A-Za-z0-9]+", "_", f"{self.path.stem}{dims}")
        graph_path = stored.path.with_name(f"{stem}_b{batch_size}_{precision}.onnx")
        write_atomic(graph_path, graph_bytes(fixed))
        return Export(graph_path, stored.path, stored.sha256)

    def _fixed(self, batch_size: int, precision: Precision) -> onnx.ModelProto:
        self._check_precision(precision)
        return fixed_model(self.content.model, checked_batch_size(batch_size), dict(self.dims), str(self.path))

    def _check_dims(self, given: Mapping[str, int]) -> None:
        wanted = open_dims(self.content.model)
        unknown = [key for key in given if key not in wanted]
        if unknown:
            known = f"it leaves open {', '.join(wanted)}" if wanted else "it leaves none open but the batch size"
            raise UserError(f"{self.path}: no open dimension is called {unknown[0]!r}; {known}")
        missing = [key for key in wanted if key not in given]
        if missing:
            example = ",".join(f"{key}=N" for key in wanted)
            raise UserError(
                f"{self.path}: the size of {', '.join(missing)} is open;"
                f" give it, as in {FILE_PREFIX}{self.path}:{example}"
            )
        operator_costs(fixed_model(self.content.model, None, dict(given), str(self.path)), str(self.path))

    def own_precisions(self) -> set[Precision]:
        """Return what the file's numbers are; empty if it has none of ours."""
        graph = self.content.model.graph
        types = {tensor.data_type for tensor in graph.initializer}
        types |= {info.type.tensor_type.elem_type for info in graph_inputs(graph)}
        return {PRECISIONS_BY_TYPE[each] for each in types if each in PRECISIONS_BY_TYPE}

    def _check_precision(self, precision: Precision) -> None:
        own = self.own_precisions()
        if own and precision not in own:
            raise UserError(
                f"{self.path}: {precision} was asked, but its numbers are {' and '.join(own)}; it is measured as it is,"
                f" so ask for {min(own)} or convert the file"
            )


def _given_dims(name: str, text: str | None) -> dict[str, int]:
    dims: dict[str, int] = {}
    for part in text.split(",") if text else []:
        key, _, number = part.partition("=")
        size = int(number) if number.isascii() and number.isdigit() and len(number) < 12 else 0
        if not key or not 1 <= size <= DIM_MAX:
            raise UserError(f"{name}: {part!r} gives no dimension; write {key or 'name'}=N with N from 1 to {DIM_MAX}")
        if key in dims:
            raise UserError(f"{name}: {key} is given twice; give it once")
        dims[key] = size
    return dims


def _input(info: onnx.ValueInfoProto, graph: onnx.GraphProto) -> Input:
    tensor_type = info.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor_type.elem_type).name
    shape = tuple(dim.dim_value for dim in tensor_type.shape.dim)
    return Input(info.name, dtype, shape, None if dtype.startswith("float") else _table_rows(info.name, graph))


def _table_rows(name: str, graph: onnx.GraphProto) -> int | None:
    """Return the rows of the smallest table that an integer input picks from; None where it picks from none."""
    sides = {tensor.name: tensor.dims for tensor in graph.initializer if tensor.dims}
    aliases = {name}
    rows = []
    for node in graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in aliases:
            aliases.update(node.output)
        elif node.op_type == "Gather" and node.input[1] in aliases and node.input[0] in sides:
            axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
            rows.append(sides[node.input[0]][axis])
    return min(rows, default=None)
