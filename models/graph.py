"""A network as a list of operators with static shapes; its weights are declared, not made.

A family's file calls the functions of `operators` and `layers` on a `Network`. From it come the ONNX graph
(`onnx_writer`), the digest that names the model, and the declarations that `weights` turns into numbers.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cotenant.models.digest import sha256_of
from cotenant.models.model import Input, Precision

OPSET = 17  # the newest that ONNX Runtime, TensorRT 8.6 and later and a plain translator into torch all take
FLOAT_TYPES: dict[Precision, str] = {"fp32": "float32", "fp16": "float16"}
DIGEST_REVISION = 1  # raise it whenever the same declarations come to mean other numbers

Attribute = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the graph."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Weight:
    """An initialiser by declaration: uniform around `mean` with standard deviation `std`, or a ramp 0, 1, 2, ...

    Attributes:
        name: Unique in the network; the same at every batch size.
        shape: Static shape, as the graph's operator wants it.
        dtype: float32 or float16.
        seed: Decides the numbers, together with shape, mean and std.
        mean: Centre of the distribution.
        std: Standard deviation; 0 makes a constant.
        ramp: True for 0, 1, 2, ... instead of random numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    seed: int
    mean: float
    std: float
    ramp: bool = False

    @property
    def byte_count(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Node:
    """One operator."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[tuple[str, Attribute], ...]


class Network:
    """A network under construction at one batch size and precision.

    Attributes:
        name: Seeds the weights: the variant without its options, so that options share weights where shapes allow.
        architecture: Shape of every parameter as the published architecture counts them: batch norm unfolded (its
            scale and shift, not its running statistics), frozen ones included.
    """

    def __init__(self, name: str, batch_size: int, precision: Precision) -> None:
        self.name = name
        self.batch_size = batch_size
        self.float_type = FLOAT_TYPES[precision]
        self.inputs: list[Input] = []
        self.outputs: list[Value] = []
        self.nodes: list[Node] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.weights: dict[str, Weight] = {}
        self.architecture: dict[str, tuple[int, ...]] = {}
        self._names: set[str] = set()

    @property
    def parameter_count(self) -> int:
        """Parameters of the architecture."""
        return sum(math.prod(shape) for shape in self.architecture.values())

    def input(self, name: str, shape: Sequence[int], high: int | None = None) -> Value:
        """Add an input, batch first: of the network's float type, or int64 below `high` if that is given."""
        dtype = self.float_type if high is None else "int64"
        self.inputs.append(Input(name, dtype, (self.batch_size, *shape), high))
        return Value(self._take(name), (self.batch_size, *shape), dtype)

    def output(self, value: Value, name: str) -> None:
        """Make a value an output under a name of its own."""
        self.nodes.append(Node("Identity", (value.name,), (self._take(name),), ()))
        self.outputs.append(Value(name, value.shape, value.dtype))

    def parameter(self, name: str, shape: Sequence[int]) -> None:
        """Count a parameter of the architecture."""
        if name in self.architecture:
            raise ValueError(f"parameter {name} is declared twice")
        self.architecture[name] = tuple(shape)

    def weight(self, name: str, shape: Sequence[int], std: float, mean: float = 0.0, ramp: bool = False) -> Value:
        """Declare an initialiser."""
        seed = int.from_bytes(hashlib.sha256(f"{self.name}/{name}".encode()).digest()[:8], "big")
        weight = Weight(self._take(name), tuple(shape), self.float_type, seed, mean, std, ramp)
        self.weights[name] = weight
        return Value(name, weight.shape, weight.dtype)

    def constant(self, array: NDArray[Any]) -> Value:
        """Add numbers that are part of the structure, such as a target shape; floats take the network's type."""
        dtype = self.float_type if array.dtype.kind == "f" else "int64"
        stored = np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)
        content = hashlib.sha256(stored.tobytes()).hexdigest()[:12]
        name = "_".join(["constant", dtype, *map(str, stored.shape), content])
        self.constants.setdefault(name, stored)
        return Value(name, stored.shape, dtype)

    def scalar(self, number: float) -> Value:
        """Return a constant of rank 0 in the network's float type."""
        return self.constant(np.array(number, dtype=np.float64))

    def emit(
        self, op: str, inputs: Sequence[Value], shape: Sequence[int], name: str = "", **attributes: Attribute
    ) -> Value:
        """Add an operator with one output of the given shape and of the first input's type."""
        return self.emit_many(op, inputs, [tuple(shape)], name, **attributes)[0]

    def emit_many(
        self,
        op: str,
        inputs: Sequence[Value],
        shapes: Sequence[tuple[int, ...]],
        name: str = "",
        **attributes: Attribute,
    ) -> list[Value]:
        """Add an operator with several outputs."""
        stem = name or f"{op}_{len(self.nodes)}"
        names = [stem] if len(shapes) == 1 else [f"{stem}.{index}" for index in range(len(shapes))]
        outputs = [Value(self._take(each), shape, inputs[0].dtype) for each, shape in zip(names, shapes, strict=True)]
        given = tuple(value.name for value in inputs)
        self.nodes.append(Node(op, given, tuple(names), tuple(sorted(attributes.items()))))
        return outputs

    def sha256(self) -> str:
        """Return the digest of structure and declarations; no weights are needed for it."""
        constants = {
            name: [str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
            for name, array in self.constants.items()
        }
        return sha256_of(
            {
                "revision": DIGEST_REVISION,
                "opset": OPSET,
                "inputs": [[given.name, given.dtype, given.shape] for given in self.inputs],
                "outputs": [value.name for value in self.outputs],
                "nodes": [[node.op, node.inputs, node.outputs, node.attributes] for node in self.nodes],
                "constants": constants,
                "weights": [declaration(weight) for weight in self.weights.values()],
            }
        )

    def _take(self, name: str) -> str:
        if name in self._names:
            raise ValueError(f"{name} is used twice in {self.name}")
        self._names.add(name)
        return name


def declaration(weight: Weight) -> list[Any]:
    """Return everything that decides a weight's numbers, as JSON can hold it."""
    return [weight.name, weight.shape, weight.dtype, weight.seed, weight.mean, weight.std, weight.ramp]
