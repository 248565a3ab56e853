"""A node while it is translated: its attributes, the shapes of its inputs, and the numbers of constant ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.models.errors import UserError
from cotenant.runners.torch_cuda.graph import GraphNode

Run = Callable[..., Any]
REMEDY = "export the model without it, or measure it with --runner tensorrt"


@dataclass(frozen=True)
class Call:
    """What a node becomes: a function of some of its inputs' tensors, which returns one tensor or several."""

    run: Run
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One node.

    Attributes:
        torch: The module.
        shapes: Shape of each input; None where an optional one is left out.
        constants: Numbers of each input that are known before execution, on the CPU; None where they are not.
        opset: Of the graph's own operators.
        where: Names the model in messages.
    """

    graph: GraphNode
    torch: Any
    shapes: Sequence[tuple[int, ...] | None]
    constants: Sequence[Any]
    opset: int
    where: str

    def get(self, attribute: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.graph.attributes.get(attribute, default)

    def has(self, index: int) -> bool:
        """Whether an optional input is given."""
        return index < len(self.graph.inputs) and self.graph.inputs[index] != ""

    def present(self) -> tuple[int, ...]:
        """Return the indices of the inputs that are given."""
        return tuple(index for index in range(len(self.graph.inputs)) if self.has(index))

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """Return the shape of an input."""
        shape = self.shapes[index]
        assert shape is not None
        return shape

    def numbers(self, index: int) -> list[Any]:
        """Return a constant input as a list; UserError if it depends on the model's inputs."""
        constant = self.constants[index]
        if constant is None:
            raise self.refusal(f"takes {self.graph.inputs[index]!r} from the network's inputs; only constants can be")
        return list(constant.flatten().tolist())

    def optional(self, index: int) -> list[Any] | None:
        """Return a constant input as a list; None where it is left out."""
        return self.numbers(index) if self.has(index) else None

    def axes(self, index: int) -> list[int] | None:
        """Return axes, which newer opsets give as an input and older ones as an attribute; None for all."""
        axes = self.get("axes")
        return self.optional(index) if axes is None else list(axes)

    def refusal(self, why: str) -> UserError:
        """Return the error that says which node cannot be translated, why, and what to do."""
        return UserError(f"{self.where}: operator {self.graph.name} ({self.graph.op}) {why}; {REMEDY}")
