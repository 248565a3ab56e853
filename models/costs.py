"""What a graph's operators cost, fused the way an engine builder fuses them, from ONNX shape inference alone.

Groups: an element-wise operator joins the group that made the last of its inputs, if it is as large as that input and
nothing outside the group has read that group before. So a convolution takes its bias, activation and residual
addition with it, a matrix product its bias and GELU, and chains of element-wise operators become one group. Reshapes
are views and cost nothing, what depends on weights alone is folded, everything else (transposes, concatenations,
splits, normalisations, reductions, pooling) starts a group. A group reads each of its inputs once and writes what is
read outside it.
"""

from collections.abc import Sequence

import onnx

from cotenant.models.cost_rules import (
    ELEMENTWISE,
    VIEWS,
    element_operations,
    mac_operations,
    product_count,
    read_elements,
)
from cotenant.models.model import GraphCost, OperatorCost
from cotenant.models.shapes import Tensor, graph_tensors


class _Group:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.last_read_outside = False


def operator_costs(model: onnx.ModelProto, where: str) -> tuple[OperatorCost, ...]:
    """Return the cost of each fused group in order; `where` names the model in messages.

    Raises:
        UserError: A shape cannot be worked out, or an operator's work depends on the data (loops, branches).
    """
    tensors = graph_tensors(model, where)
    return _Fusion(model.graph, tensors).costs()


def graph_cost(costs: Sequence[OperatorCost], weight_bytes: int, parameter_count: int) -> GraphCost:
    """Return the sum over groups."""
    return GraphCost(
        mac_count=sum(cost.mac_count for cost in costs),
        flop_count=sum(cost.flop_count for cost in costs),
        read_bytes=sum(cost.read_bytes for cost in costs),
        write_bytes=sum(cost.write_bytes for cost in costs),
        weight_bytes=weight_bytes,
        parameter_count=parameter_count,
    )


class _Fusion:
    """Groups of a graph, and which tensors they make and read."""

    def __init__(self, graph: onnx.GraphProto, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.folded = {initialiser.name for initialiser in graph.initializer}
        self.sources: dict[str, str] = {}  # view -> the tensor whose bytes it shows
        self.makers: dict[str, tuple[int, _Group]] = {}  # tensor -> (position of its operator, its group)
        self.groups: list[_Group] = []
        for position, node in enumerate(graph.node):
            self._place(position, node)
        self.read = {self._source(value.name) for value in graph.output}

    def _place(self, position: int, node: onnx.NodeProto) -> None:
        if node.op_type == "Shape" or all(name in self.folded for name in node.input if name):
            self.folded.update(node.output)
        elif node.op_type in VIEWS:
            self.sources.update({name: self._source(node.input[0]) for name in node.output if name})
        else:
            self._join(position, node)

    def _join(self, position: int, node: onnx.NodeProto) -> None:
        given = {self._source(name) for name in node.input if name}
        made = [(*self.makers[name], name) for name in given if name in self.makers]
        group = None
        if made and node.op_type in ELEMENTWISE:
            _, latest, name = max(made, key=lambda each: each[0])
            same_size = self.tensors[name].element_count == self.tensors[node.output[0]].element_count
            group = latest if same_size and not latest.last_read_outside else None
        if group is None:
            group = _Group()
            self.groups.append(group)
        for _, maker, _ in made:
            maker.last_read_outside |= maker is not group
        group.nodes.append(node)
        self.makers.update({name: (position, group) for name in node.output if name})

    def _source(self, name: str) -> str:
        return self.sources.get(name, name)

    def costs(self) -> tuple[OperatorCost, ...]:
        """Return the cost of each group."""
        outside = [(group, name) for group in self.groups for name in self._reads(group)]
        self.read |= {name for _, name in outside}
        return tuple(self._cost(group) for group in self.groups)

    def _cost(self, group: _Group) -> OperatorCost:
        macs = [mac_operations(node, self.tensors) for node in group.nodes]
        elements = sum(
            element_operations(node, self.tensors) for node, count in zip(group.nodes, macs, strict=True) if count == 0
        )
        outputs = [name for node in group.nodes for name in node.output if name]
        first, last = group.nodes[0], self.tensors[outputs[-1]]
        reads = self._reads(group)
        return OperatorCost(
            name=first.name or first.output[0],
            operators="+".join(node.op_type for node in group.nodes),
            output_shape=last.shape,
            mac_count=sum(macs),
            flop_count=2 * sum(macs) + elements,
            read_bytes=sum(reads.values()),
            write_bytes=sum(self.tensors[name].byte_count for name in outputs if name in self.read),
            weight_bytes=sum(byte_count for name, byte_count in reads.items() if name in self.folded),
            # only a group's first operator can be a product: products start groups
            product_count=product_count(first, self.tensors) if sum(macs) else 0,
        )

    def _reads(self, group: _Group) -> dict[str, int]:
        """Return the bytes that a group reads of each tensor it did not make."""
        reads: dict[str, int] = {}
        for node in group.nodes:
            for index, given in enumerate(node.input):
                name = self._source(given)
                maker = self.makers.get(name)
                if not given or (maker is not None and maker[1] is group):
                    continue
                byte_count = read_elements(node, index, self.tensors) * self.tensors[given].element_bytes
                reads[name] = max(reads.get(name, 0), byte_count)
        return reads
