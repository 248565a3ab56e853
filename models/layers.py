"""Layers with parameters: each declares what the architecture counts, what the graph holds, and adds its operators.

`gain` is the factor by which a layer scales the root mean square of what it gets; the families choose it so that
activations neither die nor overflow in fp16, however deep the network is.
"""

from dataclasses import dataclass
from math import sqrt

from cotenant.models.graph import Network, Value
from cotenant.models.operators import Window, add, matmul, mul, reshape, softmax, transpose

BIAS_STD = 0.05
AFTER_RELU = sqrt(2)  # half of the power is cut off
AFTER_GELU = 1.53  # for a standard normal x the mean square of the exact GELU is 0.425


def conv(net: Network, x: Value, name: str, channels: int, window: Window, gain: float = 1.0) -> Value:
    """Convolve, with bias."""
    net.parameter(f"{name}.weight", _kernel_shape(x, channels, window))
    net.parameter(f"{name}.bias", (channels,))
    return _convolved(net, x, name, window, _Numbers(channels, gain, BIAS_STD))


def conv_batch_norm(
    net: Network, x: Value, name: str, channels: int, window: Window, gain: float = 1.0, bias_std: float = BIAS_STD
) -> Value:
    """Convolve without bias, then batch norm: counted as the architecture has it, folded in the graph."""
    net.parameter(f"{name}.weight", _kernel_shape(x, channels, window))
    net.parameter(f"{name}.norm.weight", (channels,))
    net.parameter(f"{name}.norm.bias", (channels,))
    return _convolved(net, x, name, window, _Numbers(channels, gain, bias_std))


def linear(net: Network, x: Value, name: str, features: int, gain: float = 1.0) -> Value:
    """Multiply the last axis by a matrix and add a bias."""
    fan_in = x.shape[-1]
    net.parameter(f"{name}.weight", (fan_in, features))
    net.parameter(f"{name}.bias", (features,))
    weight = net.weight(f"{name}.weight", (fan_in, features), gain / sqrt(fan_in))
    bias = net.weight(f"{name}.bias", (features,), BIAS_STD)
    if len(x.shape) == 2:
        return net.emit("Gemm", [x, weight, bias], (x.shape[0], features), name=name)
    return add(net, matmul(net, x, weight), bias)


def layer_norm(net: Network, x: Value, name: str, epsilon: float) -> Value:
    """Normalise the last axis."""
    width = x.shape[-1]
    net.parameter(f"{name}.weight", (width,))
    net.parameter(f"{name}.bias", (width,))
    weight = net.weight(f"{name}.weight", (width,), 0.1, mean=1.0)
    bias = net.weight(f"{name}.bias", (width,), BIAS_STD)
    return net.emit("LayerNormalization", [x, weight, bias], x.shape, name=name, axis=-1, epsilon=epsilon)


def table(net: Network, name: str, shape: tuple[int, ...], std: float, mean: float = 0.0) -> Value:
    """Declare a parameter that is used as it is, such as an embedding."""
    net.parameter(name, shape)
    return net.weight(name, shape, std, mean)


def attention(net: Network, query: Value, key: Value, value: Value, heads: int) -> Value:
    """Attend with several heads; query, key and value are batch x tokens x width."""
    batch, tokens, width = query.shape
    divided = (batch, tokens, heads, width // heads)
    scaled = mul(net, reshape(net, query, divided), net.scalar(1 / sqrt(width // heads)))
    queries = transpose(net, scaled, (0, 2, 1, 3))
    keys = transpose(net, reshape(net, key, divided), (0, 2, 3, 1))
    values = transpose(net, reshape(net, value, divided), (0, 2, 1, 3))
    attended = matmul(net, softmax(net, matmul(net, queries, keys), axis=-1), values)
    return reshape(net, transpose(net, attended, (0, 2, 1, 3)), (batch, tokens, width))


def _kernel_shape(x: Value, channels: int, window: Window) -> tuple[int, int, int, int]:
    return (channels, x.shape[1] // window.groups, window.side, window.side)


@dataclass(frozen=True)
class _Numbers:
    channels: int
    gain: float
    bias_std: float


def _convolved(net: Network, x: Value, name: str, window: Window, numbers: _Numbers) -> Value:
    channels = numbers.channels
    kernel = _kernel_shape(x, channels, window)
    weight = net.weight(f"{name}.weight", kernel, numbers.gain / sqrt(kernel[1] * kernel[2] * kernel[3]))
    bias = net.weight(f"{name}.bias", (channels,), numbers.bias_std)
    batch, _, height, width = x.shape
    return net.emit(
        "Conv",
        [x, weight, bias],
        (batch, channels, window.places(height), window.places(width)),
        name=name,
        kernel_shape=(window.side,) * 2,
        strides=(window.stride,) * 2,
        pads=(window.border,) * 4,
        group=window.groups,
    )
