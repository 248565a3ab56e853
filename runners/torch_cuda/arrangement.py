"""Operators that move numbers and compute none: shapes, joining, cutting, picking, padding, types."""

from collections.abc import Callable
from functools import partial
from typing import Any

from cotenant.runners.torch_cuda.graph import TORCH_TYPES, Stored
from cotenant.runners.torch_cuda.node import Call, Node

Handler = Callable[[Node], Call]


def _identity(node: Node) -> Call:
    return Call(lambda x: x, (0,))


def _reshape(node: Node) -> Call:
    wanted, given = node.numbers(1), node.shape()
    if not node.get("allowzero", 0):
        wanted = [given[axis] if side == 0 else side for axis, side in enumerate(wanted)]
    return Call(lambda x: x.reshape(wanted), (0,))


def _flatten(node: Node) -> Call:
    shape, axis = node.shape(), node.get("axis", 1)
    axis = axis % len(shape) if axis < 0 else axis
    first = 1
    for side in shape[:axis]:
        first *= side
    return Call(lambda x: x.reshape(first, -1), (0,))


def _transpose(node: Node) -> Call:
    order = node.get("perm") or list(reversed(range(len(node.shape()))))
    return Call(lambda x: x.permute(order), (0,))


def _squeeze(node: Node) -> Call:
    axes = node.axes(1)
    if axes is None:
        return Call(lambda x: x.squeeze(), (0,))
    return Call(lambda x: x.squeeze(tuple(axes)), (0,))


def _unsqueeze(node: Node) -> Call:
    axes = node.axes(1) or []
    rank = len(node.shape()) + len(axes)
    places = sorted(axis % rank for axis in axes)

    def run(x: Any) -> Any:
        for place in places:
            x = x.unsqueeze(place)
        return x

    return Call(run, (0,))


def _concat(node: Node) -> Call:
    axis = node.get("axis")
    return Call(lambda *parts: node.torch.cat(parts, dim=axis), node.present())


def _split(node: Node) -> Call:
    axis, parts = node.get("axis", 0), len(node.graph.outputs)
    sizes = list(node.get("split") or node.optional(1) or [])
    if not sizes:
        chunk = -(-node.shape()[axis] // parts)
        sizes = [min(chunk, node.shape()[axis] - chunk * part) for part in range(parts)]
    return Call(lambda x: node.torch.split(x, sizes, dim=axis), (0,))


def _slice(node: Node) -> Call:
    starts = list(node.get("starts") or node.numbers(1))
    ends = list(node.get("ends") or node.numbers(2))
    axes = node.axes(3) or list(range(len(starts)))
    steps = node.optional(4) or [1] * len(starts)
    if any(step < 1 for step in steps):
        raise node.refusal("steps backwards, which is not translated")
    cut = [slice(None)] * len(node.shape())
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = slice(start, end, step)
    places = tuple(cut)
    return Call(lambda x: x[places], (0,))


def _gather(node: Node) -> Call:
    axis = node.get("axis", 0) % len(node.shape())
    if node.constants[1] is not None and not node.shape(1):
        place = int(node.numbers(1)[0])
        return Call(lambda x: x.select(axis, place), (0,))
    sides, indices = node.shape(), node.shape(1)
    shape = (*sides[:axis], *indices, *sides[axis + 1 :])
    if node.constants[1] is not None and min(node.numbers(1), default=0) < 0:
        raise node.refusal("counts from the end in a list of places, which is not translated")
    return Call(lambda x, index: x.index_select(axis, index.reshape(-1)).reshape(shape), (0, 1))


def _gather_elements(node: Node) -> Call:
    axis = node.get("axis", 0)
    return Call(lambda x, index: node.torch.gather(x, axis, index), (0, 1))


def _expand(node: Node) -> Call:
    wanted = node.numbers(1)
    return Call(lambda x: x.expand(node.torch.broadcast_shapes(x.shape, tuple(wanted))), (0,))


def _tile(node: Node) -> Call:
    times = node.numbers(1)
    return Call(lambda x: x.repeat(times), (0,))


def _pad(node: Node) -> Call:
    pads = list(node.get("pads") or node.numbers(1))
    sides, mode = len(node.shape()), node.get("mode", "constant")
    if node.has(3) or mode not in ("constant", "reflect"):
        raise node.refusal(f"pads {mode} or along chosen axes, which is not translated")
    value = node.get("value", 0.0) if node.opset < 11 else (node.optional(2) or [0])[0]
    pairs = [pad for axis in reversed(range(sides)) for pad in (pads[axis], pads[axis + sides])]
    if mode == "reflect":  # torch reflects the last axes alone, and wants them alone
        while len(pairs) > 2 and pairs[-2:] == [0, 0]:
            del pairs[-2:]
        return Call(lambda x: node.torch.nn.functional.pad(x, pairs, mode="reflect"), (0,))
    return Call(lambda x: node.torch.nn.functional.pad(x, pairs, value=value), (0,))


def _cast(node: Node) -> Call:
    name = TORCH_TYPES.get(node.get("to"))
    if name is None:
        raise node.refusal(f"casts to element type {node.get('to')}, which torch does not have")
    return Call(lambda x: x.to(getattr(node.torch, name)), (0,))


def _shape(node: Node) -> Call:
    sides = list(node.shape())[node.get("start", 0) : node.get("end", None)]
    return Call(lambda: node.torch.tensor(sides, dtype=node.torch.int64), ())


def _size(node: Node) -> Call:
    count = 1
    for side in node.shape():
        count *= side
    return Call(lambda: node.torch.tensor(count, dtype=node.torch.int64), ())


def _constant_of_shape(node: Node) -> Call:
    shape, value = node.numbers(0), node.get("value")
    if not isinstance(value, Stored):
        return Call(lambda: node.torch.zeros(shape, dtype=node.torch.float32), ())
    return Call(lambda: host_tensor(node.torch, value).reshape(()).expand(shape).clone(), ())


def _constant(node: Node) -> Call:
    torch, value = node.torch, node.get("value")
    if isinstance(value, Stored):
        if value.dtype is None:
            raise node.refusal("holds an element type that torch does not have")
        return Call(lambda: host_tensor(torch, value), ())
    for attribute in ("value_float", "value_floats", "value_int", "value_ints"):
        numbers = node.get(attribute)
        if numbers is not None:
            dtype = torch.float32 if "float" in attribute else torch.int64
            return Call(partial(torch.tensor, numbers, dtype=dtype), ())
    raise node.refusal("holds something else than numbers")


def _range(node: Node) -> Call:
    start, end, step = (node.numbers(index)[0] for index in range(3))
    dtype = node.constants[0].dtype
    return Call(lambda: node.torch.arange(start, end, step, dtype=dtype), ())


def _space_depth(name: str) -> Handler:
    def handler(node: Node) -> Call:
        block = node.get("blocksize")
        if name == "pixel_shuffle" and node.get("mode", "DCR") != "CRD":
            return Call(lambda x: _depth_first(x, block), (0,))
        if name == "pixel_unshuffle":
            return Call(lambda x: _space_to_depth(x, block), (0,))
        return Call(lambda x: node.torch.pixel_shuffle(x, block), (0,))

    return handler


def _depth_first(x: Any, block: int) -> Any:
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, channels // block**2, height * block, width * block)


def _space_to_depth(x: Any, block: int) -> Any:
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, channels, height // block, block, width // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(batch, channels * block**2, height // block, width // block)


def host_tensor(torch: Any, stored: Stored) -> Any:
    """Return a stored tensor on the CPU."""
    dtype = getattr(torch, str(stored.dtype))
    if 0 in stored.shape:
        return torch.empty(stored.shape, dtype=dtype)
    return torch.frombuffer(stored.read(), dtype=dtype).reshape(stored.shape)


ARRANGEMENT: dict[str, Handler] = {
    "Identity": _identity,
    "Dropout": _identity,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "Cast": _cast,
    "Shape": _shape,
    "Size": _size,
    "ConstantOfShape": _constant_of_shape,
    "Constant": _constant,
    "Range": _range,
    "DepthToSpace": _space_depth("pixel_shuffle"),
    "SpaceToDepth": _space_depth("pixel_unshuffle"),
}
