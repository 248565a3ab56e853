"""What is joined before translation, as engine builders do: one call of torch in place of several.

    gelu       Mul(Mul(x, Add(Erf(Div(x, sqrt 2)), 1)), 0.5)
    silu       Mul(x, Sigmoid(x))
    linear     Add(MatMul(x, weight), bias)
    attention  MatMul(Softmax(MatMul(q, k)), v)

Inner values must be used nowhere else. Joined nodes get operators of our own, whose names ONNX cannot have.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cotenant.runners.torch_cuda.graph import Graph, GraphNode, Stored

GELU, SILU, LINEAR, ATTENTION = "cotenant:Gelu", "cotenant:Silu", "cotenant:Linear", "cotenant:Attention"
TOLERANCE = 1e-3  # of constants in float16


@dataclass(frozen=True)
class _View:
    """A graph as the patterns see it: who makes a value, how often it is used, what number it is."""

    makers: Mapping[str, GraphNode]
    uses: Mapping[str, int]
    stored: Mapping[str, Stored]

    def made(self, name: str | None, op: str) -> GraphNode | None:
        """Return the node that makes a value for one user alone, if it is that operator."""
        maker = None if name is None else self.makers.get(name)
        return maker if name is not None and maker is not None and maker.op == op and self.uses[name] == 1 else None

    def beside(self, node: GraphNode | None, op: str, number: float) -> str | None:
        """Return the other input of a node of that operator that has a number as one of its two inputs."""
        return next((other for other, constant in _orders(node, op) if self.is_number(constant, number)), None)

    def is_number(self, name: str, number: float) -> bool:
        """Whether a value is a constant of one element near a number."""
        stored = self.constant(name)
        if stored is None or stored.data is None or stored.dtype is None or stored.dtype == "bfloat16":
            return False
        values = np.frombuffer(stored.data, dtype=stored.dtype)
        return values.size == 1 and math.isclose(float(values[0]), number, rel_tol=TOLERANCE)

    def rank(self, name: str) -> int | None:
        """Return the rank of a stored value; None for any other."""
        stored = self.constant(name)
        return None if stored is None else len(stored.shape)

    def constant(self, name: str) -> Stored | None:
        """Return what is stored under a name, as an initialiser or a Constant node."""
        if name in self.stored:
            return self.stored[name]
        maker = self.makers.get(name)
        value = maker.attributes.get("value") if maker is not None and maker.op == "Constant" else None
        return value if isinstance(value, Stored) else None


def fused(graph: Graph) -> tuple[GraphNode, ...]:
    """Return the graph's nodes with every pattern joined."""
    uses = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    view = _View(makers, uses, graph.stored)
    joined: dict[str, GraphNode] = {}  # by the output of a pattern's last node
    gone: set[str] = set()
    for node in graph.nodes:
        for pattern in (_gelu, _silu, _linear, _attention):
            found = pattern(node, view)
            inside = set() if found is None else {name for each in found[1] for name in each.outputs}
            if found is not None and not inside & joined.keys():
                joined[node.outputs[0]] = found[0]
                gone |= inside
                break
    kept = [joined.get(node.outputs[0], node) for node in graph.nodes if not gone & set(node.outputs)]
    return tuple(kept)


_Found = tuple[GraphNode, Sequence[GraphNode]] | None


def _gelu(node: GraphNode, view: _View) -> _Found:
    doubled = view.made(view.beside(node, "Mul", 0.5), "Mul")
    for x, raised_name in _orders(doubled, "Mul"):
        raised = view.made(raised_name, "Add")
        error = view.made(view.beside(raised, "Add", 1.0), "Erf")
        scaled = view.made(error.inputs[0], "Div") if error is not None else None
        if scaled is not None and scaled.inputs[0] == x and view.is_number(scaled.inputs[1], math.sqrt(2)):
            inner = [each for each in (doubled, raised, error, scaled) if each is not None]
            return _joined(node, GELU, (x,)), inner
    return None


def _silu(node: GraphNode, view: _View) -> _Found:
    for x, gate_name in _orders(node, "Mul"):
        gate = view.made(gate_name, "Sigmoid")
        if gate is not None and gate.inputs[0] == x:
            return _joined(node, SILU, (x,)), (gate,)
    return None


def _linear(node: GraphNode, view: _View) -> _Found:
    for product_name, bias in _orders(node, "Add"):
        product = view.made(product_name, "MatMul")
        if product is not None and view.rank(product.inputs[1]) == 2 and view.rank(bias) == 1:
            return _joined(node, LINEAR, (*product.inputs, bias)), (product,)
    return None


def _attention(node: GraphNode, view: _View) -> _Found:
    chances = view.made(node.inputs[0], "Softmax") if node.op == "MatMul" else None
    scores = view.made(chances.inputs[0], "MatMul") if chances is not None else None
    if chances is None or scores is None or chances.attributes.get("axis", -1) not in (-1, 3):
        return None
    if any(view.constant(name) is not None for name in (*scores.inputs, node.inputs[1])):
        return None
    return _joined(node, ATTENTION, (*scores.inputs, node.inputs[1])), (scores, chances)


def _orders(node: GraphNode | None, op: str) -> list[tuple[str, str]]:
    """Return the inputs of a node of that operator in both orders; nothing for another node."""
    if node is None or node.op != op:
        return []
    first, second = node.inputs
    return [(first, second), (second, first)]


def _joined(node: GraphNode, op: str, inputs: tuple[str, ...]) -> GraphNode:
    return GraphNode(node.name, op, inputs, node.outputs, {})
