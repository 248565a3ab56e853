"""A graph as a list of torch calls on numbered slots, weights resident: what a lane executes.

Values come in three kinds: constants in the graph (shapes, scales) stay on the CPU and are computed with there; weights
and what follows from them alone are computed once, on the device; the rest becomes steps. On torch's meta device the
same translation knows shapes and no numbers, and needs no memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.models.errors import UserError
from cotenant.runners.torch_cuda.arithmetic import ARITHMETIC
from cotenant.runners.torch_cuda.arrangement import ARRANGEMENT, host_tensor
from cotenant.runners.torch_cuda.fusions import fused
from cotenant.runners.torch_cuda.graph import Graph, GraphNode, Stored
from cotenant.runners.torch_cuda.layers import LAYERS
from cotenant.runners.torch_cuda.library import torch_module
from cotenant.runners.torch_cuda.node import REMEDY, Call, Node, Run

HANDLERS: dict[str, Callable[[Node], Call]] = {**ARITHMETIC, **ARRANGEMENT, **LAYERS}
IMAGE_RANK = 4


@dataclass(frozen=True)
class Step:
    """One call: which slots it takes, which it fills (None = an output that nobody uses), which are free afterwards."""

    run: Run
    inputs: tuple[int, ...]
    outputs: tuple[int | None, ...]
    frees: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """Steps in order; `resident` fills the slots of weights and constants."""

    resident: dict[int, Any]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    slot_count: int

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Execute once on the inputs' device and return the outputs."""
        slots: list[Any] = [None] * self.slot_count
        for slot, tensor in self.resident.items():
            slots[slot] = tensor
        for slot, tensor in zip(self.inputs, inputs, strict=True):
            slots[slot] = tensor
        for step in self.steps:
            results = step.run(*[slots[slot] for slot in step.inputs])
            for place, tensor in zip(step.outputs, _several(results), strict=False):
                if place is not None:
                    slots[place] = tensor
            for slot in step.frees:
                slots[slot] = None
        return [slots[slot] for slot in self.outputs]


def translated(
    graph: Graph, inputs: Sequence[dict[str, Any]], device: str, where: str, channels_last: bool = False
) -> Program:
    """Return the program of a graph.

    Args:
        graph: With fixed shapes.
        inputs: Name, dtype and shape of each input of the network, as meta.json keeps them.
        device: Where weights shall lie; `meta` reads none.
        where: Names the model in messages.
        channels_last: Whether weights of convolutions are laid out for images with the channels last.

    Raises:
        UserError: An operator has no translation; the line names node, operator and remedy.
    """
    translator = _Translator(torch_module(), graph, device, where, channels_last)
    for given in inputs:
        translator.take_input(given)
    for node in fused(graph):
        translator.take(node)
    return translator.program([given["name"] for given in inputs])


class _Translator:
    def __init__(self, torch: Any, graph: Graph, device: str, where: str, channels_last: bool) -> None:
        self._torch, self._graph, self._device, self._where = torch, graph, device, where
        self._channels_last = channels_last
        self._host: dict[str, Any] = {}  # constants, on the CPU
        self._weights: dict[str, Any] = {}  # on the device
        self._stored: dict[str, Stored] = {}  # weights that nobody has asked for yet
        self._shown: dict[str, Any] = {}  # activations, on the meta device
        self._calls: list[tuple[Run, tuple[str, ...], tuple[str, ...]]] = []
        for name, stored in graph.stored.items():
            if stored.in_graph and stored.dtype is not None:
                self._host[name] = host_tensor(torch, stored)
            else:
                self._stored[name] = stored

    def take_input(self, given: dict[str, Any]) -> None:
        dtype = getattr(self._torch, given["dtype"], None)
        if dtype is None:
            raise UserError(
                f"{self._where}: input {given['name']} is of type {given['dtype']}, which torch does not have"
            )
        self._shown[given["name"]] = self._torch.empty(tuple(given["shape"]), dtype=dtype, device="meta")

    def take(self, graph_node: GraphNode) -> None:
        node = Node(
            graph_node,
            self._torch,
            [self._shape(name) for name in graph_node.inputs],
            [self._host.get(name) for name in graph_node.inputs],
            self._graph.opset,
            self._where,
        )
        handler = HANDLERS.get(graph_node.op)
        if handler is None:
            raise UserError(
                f"{self._where}: operator {graph_node.name} ({graph_node.op}) has no translation into torch; {REMEDY}"
            )
        try:
            call = handler(node)
            self._evaluate(graph_node, call, tuple(graph_node.inputs[index] for index in call.inputs))
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            raise node.refusal(f"cannot be translated ({type(error).__name__}: {reason})") from error

    def program(self, inputs: Sequence[str]) -> Program:
        last_use = {name: index for index, (_, taken, _) in enumerate(self._calls) for name in taken}
        wanted = {*last_use, *self._graph.outputs, *inputs}
        names = [*inputs, *dict.fromkeys(name for _, _, made in self._calls for name in made if name in wanted)]
        resident_names = [name for name in dict.fromkeys([*last_use, *self._graph.outputs]) if name not in names]
        slots = {name: slot for slot, name in enumerate([*names, *resident_names])}
        steps = []
        for index, (run, taken, made) in enumerate(self._calls):
            over = {name for name in taken if last_use[name] == index} - {*self._graph.outputs, *resident_names}
            steps.append(
                Step(
                    run,
                    tuple(slots[name] for name in taken),
                    tuple(slots.get(name) for name in made),
                    tuple(sorted(slots[name] for name in over)),
                )
            )
        resident = {slots[name]: self._resident(name) for name in resident_names}
        in_slots, out_slots = (tuple(slots[name] for name in each) for each in (inputs, self._graph.outputs))
        return Program(resident, tuple(steps), in_slots, out_slots, len(slots))

    def _evaluate(self, node: GraphNode, call: Call, taken: tuple[str, ...]) -> None:
        if all(name in self._host for name in taken):
            results = call.run(*[self._host[name] for name in taken])
            self._keep(node, results, self._host)
        elif all(name not in self._shown for name in taken):
            results = call.run(*[self._resident(name) for name in taken])
            self._keep(node, results, self._weights)
        else:
            if self._channels_last and node.op == "Conv":
                taken = (taken[0], self._for_images(taken[1]), *taken[2:])
            self._keep(node, call.run(*[self._meta(name) for name in taken]), self._shown)
            self._calls.append((call.run, taken, node.outputs))

    def _keep(self, node: GraphNode, results: Any, kind: dict[str, Any]) -> None:
        kind.update((name, tensor) for name, tensor in zip(node.outputs, _several(results), strict=False) if name)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        if name in self._stored:
            return self._stored[name].shape
        known = next((kind[name] for kind in (self._host, self._weights, self._shown) if name in kind), None)
        return None if known is None else tuple(known.shape)

    def _meta(self, name: str) -> Any:
        return self._shown[name] if name in self._shown else self._resident(name).to("meta")

    def _resident(self, name: str) -> Any:
        """Return a weight or constant on the device."""
        if name not in self._weights:
            if name in self._host:
                self._weights[name] = self._host[name].to(self._device)
            else:
                self._weights[name] = self._read(self._stored.pop(name), name)
        return self._weights[name]

    def _read(self, stored: Stored, name: str) -> Any:
        if stored.dtype is None:
            raise UserError(f"{self._where}: weight {name} is of a type that torch does not have; {REMEDY}")
        if self._device == "meta":
            return self._torch.empty(stored.shape, dtype=getattr(self._torch, stored.dtype), device="meta")
        return host_tensor(self._torch, stored).to(self._device)

    def _for_images(self, name: str) -> str:
        """Return the name of a convolution's weight with the channels last; the weight itself where it is none."""
        if name in self._shown or len(self._shape(name) or ()) != IMAGE_RANK:
            return name
        last = f"{name} channels last"
        if last not in self._weights:
            self._weights[last] = self._resident(name).contiguous(memory_format=self._torch.channels_last)
        return last


def _several(results: Any) -> Sequence[Any]:
    """Return what a call returned as one value an output; torch returns a single one bare."""
    return results if isinstance(results, (tuple, list)) else (results,)
