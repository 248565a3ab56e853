"""Single ONNX operators on a network under construction; each works out its output's shape."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cotenant.models.graph import Network, Value


@dataclass(frozen=True)
class Window:
    """A square window that slides over an image.

    Attributes:
        side: Pixels along each side.
        stride: Pixels from one place to the next.
        padding: Pixels added at each border; None keeps the image's side at stride 1 (odd sides).
        groups: Groups of channels that do not see each other (convolutions only).
    """

    side: int
    stride: int = 1
    padding: int | None = None
    groups: int = 1

    @property
    def border(self) -> int:
        """Padding in pixels."""
        return self.side // 2 if self.padding is None else self.padding

    def places(self, side: int) -> int:
        """Return how many places the window has along a side of that many pixels."""
        return (side + 2 * self.border - self.side) // self.stride + 1


def add(net: Network, first: Value, second: Value) -> Value:
    """Add with broadcasting."""
    return _broadcast(net, "Add", first, second)


def sub(net: Network, first: Value, second: Value) -> Value:
    """Subtract with broadcasting."""
    return _broadcast(net, "Sub", first, second)


def mul(net: Network, first: Value, second: Value) -> Value:
    """Multiply with broadcasting."""
    return _broadcast(net, "Mul", first, second)


def div(net: Network, first: Value, second: Value) -> Value:
    """Divide with broadcasting."""
    return _broadcast(net, "Div", first, second)


def relu(net: Network, x: Value) -> Value:
    """Clip at zero."""
    return net.emit("Relu", [x], x.shape)


def tanh(net: Network, x: Value) -> Value:
    """Return the hyperbolic tangent."""
    return net.emit("Tanh", [x], x.shape)


def sigmoid(net: Network, x: Value) -> Value:
    """Return the logistic function."""
    return net.emit("Sigmoid", [x], x.shape)


def silu(net: Network, x: Value) -> Value:
    """Return x times its logistic function; engine builders fuse the two operators."""
    return mul(net, x, sigmoid(net, x))


def gelu(net: Network, x: Value) -> Value:
    """Return the exact GELU by way of Erf: opset 17 has no Gelu, and engine builders know this pattern."""
    error = net.emit("Erf", [div(net, x, net.scalar(2**0.5))], x.shape)
    doubled = mul(net, x, add(net, error, net.scalar(1.0)))
    return mul(net, doubled, net.scalar(0.5))


def softmax(net: Network, x: Value, axis: int) -> Value:
    """Normalise exponentials along an axis."""
    return net.emit("Softmax", [x], x.shape, axis=axis)


def matmul(net: Network, first: Value, second: Value) -> Value:
    """Multiply matrices with broadcasting of the leading axes."""
    if first.shape[-1] != second.shape[-2]:
        raise ValueError(f"{first} does not fit {second}")
    lead = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    return net.emit("MatMul", [first, second], (*lead, first.shape[-2], second.shape[-1]))


def reshape(net: Network, x: Value, shape: Sequence[int]) -> Value:
    """Give a tensor another shape of as many elements."""
    if np.prod(x.shape) != np.prod(shape):
        raise ValueError(f"{x} does not fit {shape}")
    return net.emit("Reshape", [x, net.constant(np.array(shape, dtype=np.int64))], shape)


def flatten(net: Network, x: Value) -> Value:
    """Keep the batch axis and join the others."""
    return reshape(net, x, (x.shape[0], int(np.prod(x.shape[1:]))))


def transpose(net: Network, x: Value, order: Sequence[int]) -> Value:
    """Reorder the axes."""
    return net.emit("Transpose", [x], [x.shape[axis] for axis in order], perm=tuple(order))


def concat(net: Network, values: Sequence[Value], axis: int) -> Value:
    """Join tensors along an axis."""
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    return net.emit("Concat", values, shape, axis=axis)


def split(net: Network, x: Value, sizes: Sequence[int], axis: int) -> list[Value]:
    """Cut a tensor along an axis."""
    if sum(sizes) != x.shape[axis]:
        raise ValueError(f"{sizes} do not fit {x}")
    shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
    return net.emit_many("Split", [x, net.constant(np.array(sizes, dtype=np.int64))], shapes, axis=axis)


def take(net: Network, x: Value, index: int, axis: int) -> Value:
    """Take one place along an axis and drop the axis."""
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return net.emit("Gather", [x, net.constant(np.array(index, dtype=np.int64))], shape, axis=axis)


def rows(net: Network, table: Value, indices: Value) -> Value:
    """Take rows of a table."""
    return net.emit("Gather", [table, indices], (*indices.shape, *table.shape[1:]), axis=0)


def expand(net: Network, x: Value, shape: Sequence[int]) -> Value:
    """Repeat along axes of size one."""
    return net.emit("Expand", [x, net.constant(np.array(shape, dtype=np.int64))], shape)


def max_pool(net: Network, x: Value, window: Window) -> Value:
    """Take the largest value of each window."""
    batch, channels, height, width = x.shape
    return net.emit(
        "MaxPool",
        [x],
        (batch, channels, window.places(height), window.places(width)),
        kernel_shape=(window.side,) * 2,
        strides=(window.stride,) * 2,
        pads=(window.border,) * 4,
    )


def global_average_pool(net: Network, x: Value) -> Value:
    """Average over the image, whose axes go away."""
    pooled = net.emit("GlobalAveragePool", [x], (*x.shape[:2], 1, 1))
    return flatten(net, pooled)


def adaptive_average_pool(net: Network, x: Value, side: int) -> Value:
    """Average over side x side areas that cover the image; areas overlap where the sides do not divide.

    As a product with a fixed matrix on either side, since ONNX has no such operator; nothing at all if the image
    already has that side.
    """
    for axis in (2, 3):
        if x.shape[axis] != side:
            areas = _averaging(x.shape[axis], side)
            x = matmul(net, net.constant(areas), x) if axis == 2 else matmul(net, x, net.constant(areas.T))
    return x


def upsample(net: Network, x: Value, factor: int) -> Value:
    """Repeat each pixel factor x factor times."""
    batch, channels, height, width = x.shape
    sizes = net.constant(np.array([batch, channels, height * factor, width * factor], dtype=np.int64))
    none = Value("", (), "float32")  # neither region of interest nor scales: the sizes say it all
    return net.emit(
        "Resize",
        [x, none, none, sizes],
        (batch, channels, height * factor, width * factor),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _averaging(given: int, wanted: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    matrix = np.zeros((wanted, given))
    for place in range(wanted):
        start, end = place * given // wanted, -(-(place + 1) * given // wanted)
        matrix[place, start:end] = 1 / (end - start)
    return matrix


def _broadcast(net: Network, op: str, first: Value, second: Value) -> Value:
    return net.emit(op, [first, second], np.broadcast_shapes(first.shape, second.shape))
