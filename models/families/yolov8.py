"""YOLOv8 detection, n to x, built from the published description: CSP backbone, path aggregation, decoupled head.

The head is decoded in the graph: `boxes` holds centre and size in pixels (batch x 4 x places), `scores` one logistic
value a class (batch x 80 x places). Choosing among overlapping boxes is left to the user, as engines usually do.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from cotenant.models.family import Family, Variant, image_option
from cotenant.models.graph import Network, Value
from cotenant.models.layers import conv, conv_batch_norm
from cotenant.models.operators import (
    Window,
    add,
    concat,
    div,
    max_pool,
    mul,
    reshape,
    sigmoid,
    silu,
    softmax,
    split,
    sub,
    transpose,
    upsample,
)

CLASSES = 80
BINS = 16  # a side's distance is the mean of a distribution over 0 ... 15 cells
SILU_GAIN, SILU_BIAS_STD = 2**0.5, 0.54  # power 1 stays 1, less grows, more shrinks (a SiLU scales not all alike)
BRANCH_GAIN = 0.5  # of a block's second convolution, whose result is added to the block's input


def build(net: Network, options: Mapping[str, int], depth: float, width: float, most: int) -> None:
    """Build a detector; `depth` and `width` scale blocks and channels, `most` caps the channels before scaling."""
    channels = [_divisible(min(count, most) * width) for count in (64, 128, 256, 512, 1024)]
    few, many = max(round(3 * depth), 1), max(round(6 * depth), 1)
    side = options["image"]
    x = _unit(net, net.input("image", (3, side, side)), "backbone.0", channels[0], Window(3, 2))
    levels = []
    for stage, count in enumerate((few, many, many, few), start=1):
        x = _unit(net, x, f"backbone.{stage}", channels[stage], Window(3, 2))
        x = _csp(net, x, f"backbone.{stage}.csp", channels[stage], count, shortcut=True)
        levels.append(x)
    levels[3] = _pyramid(net, x, "backbone.pyramid", channels[4])
    _decode(net, _neck(net, levels[1:], channels[2:], few), side)


def _neck(net: Network, levels: list[Value], channels: list[int], count: int) -> list[Value]:
    small, middle, large = levels  # named after the objects seen there: strides 8, 16 and 32
    x = concat(net, [upsample(net, large, 2), middle], axis=1)
    between = _csp(net, x, "neck.up16", channels[1], count)
    x = concat(net, [upsample(net, between, 2), small], axis=1)
    out8 = _csp(net, x, "neck.up8", channels[0], count)
    x = concat(net, [_unit(net, out8, "neck.down16", channels[0], Window(3, 2)), between], axis=1)
    out16 = _csp(net, x, "neck.csp16", channels[1], count)
    x = concat(net, [_unit(net, out16, "neck.down32", channels[1], Window(3, 2)), large], axis=1)
    return [out8, out16, _csp(net, x, "neck.csp32", channels[2], count)]


def _decode(net: Network, levels: list[Value], side: int) -> None:
    box_width = max(16, levels[0].shape[1] // 4, 4 * BINS)
    class_width = max(levels[0].shape[1], min(CLASSES, 100))
    flat = []
    for index, level in enumerate(levels):
        box = _branch(net, level, f"head.{index}.box", box_width, 4 * BINS)
        score = _branch(net, level, f"head.{index}.class", class_width, CLASSES)
        joined = concat(net, [box, score], axis=1)
        flat.append(reshape(net, joined, (*joined.shape[:2], joined.shape[2] * joined.shape[3])))
    boxes, scores = split(net, concat(net, flat, axis=2), (4 * BINS, CLASSES), axis=1)
    strides = [side // level.shape[2] for level in levels]
    net.output(_boxes(net, _distances(net, boxes), side, strides), "boxes")
    net.output(sigmoid(net, scores), "scores")


def _distances(net: Network, x: Value) -> Value:
    """Take the mean of each side's distribution, by a convolution whose frozen weight is 0 ... 15."""
    batch, _, places = x.shape
    chances = softmax(net, transpose(net, reshape(net, x, (batch, 4, BINS, places)), (0, 2, 1, 3)), axis=1)
    net.parameter("head.bins", (1, BINS, 1, 1))
    bins = net.weight("head.bins", (1, BINS, 1, 1), 0.0, ramp=True)
    mean = net.emit("Conv", [chances, bins], (batch, 1, 4, places), name="head.mean", kernel_shape=(1, 1))
    return reshape(net, mean, (batch, 4, places))


def _boxes(net: Network, distances: Value, side: int, strides: list[int]) -> Value:
    cells = [np.arange(side // stride) + 0.5 for stride in strides]
    centres = np.concatenate([np.stack(np.meshgrid(cell, cell)).reshape(2, -1) for cell in cells], axis=1)
    scale = np.concatenate([np.full(cell.size**2, stride) for cell, stride in zip(cells, strides, strict=True)])
    anchors = net.constant(centres[np.newaxis])
    before, after = split(net, distances, (2, 2), axis=1)
    first, last = sub(net, anchors, before), add(net, anchors, after)
    centre = div(net, add(net, first, last), net.scalar(2.0))
    boxes = concat(net, [centre, sub(net, last, first)], axis=1)
    return mul(net, boxes, net.constant(scale[np.newaxis].astype(np.float64)))


def _branch(net: Network, x: Value, name: str, width: int, channels: int) -> Value:
    for index in range(2):
        x = _unit(net, x, f"{name}.{index}", width, Window(3))
    return conv(net, x, f"{name}.2", channels, Window(1), SILU_GAIN)


def _unit(net: Network, x: Value, name: str, channels: int, window: Window, gain: float = SILU_GAIN) -> Value:
    return silu(net, conv_batch_norm(net, x, name, channels, window, gain, SILU_BIAS_STD))


def _csp(net: Network, x: Value, name: str, channels: int, count: int, shortcut: bool = False) -> Value:
    """Cut the channels in two halves, refine one again and again, and join all that came up."""
    half = channels // 2
    parts = split(net, _unit(net, x, f"{name}.first", channels, Window(1)), (half, half), axis=1)
    for index in range(count):
        y = _unit(net, parts[-1], f"{name}.{index}.0", half, Window(3))
        y = _unit(net, y, f"{name}.{index}.1", half, Window(3), SILU_GAIN * (BRANCH_GAIN if shortcut else 1.0))
        parts.append(add(net, parts[-1], y) if shortcut else y)
    return _unit(net, concat(net, parts, axis=1), f"{name}.last", channels, Window(1))


def _pyramid(net: Network, x: Value, name: str, channels: int) -> Value:
    parts = [_unit(net, x, f"{name}.first", x.shape[1] // 2, Window(1))]
    for _ in range(3):
        parts.append(max_pool(net, parts[-1], Window(5)))
    return _unit(net, concat(net, parts, axis=1), f"{name}.last", channels, Window(1))


def _divisible(channels: float, by: int = 8) -> int:
    return int(-(-channels // by) * by)


SIZES = {
    "yolov8n": (0.33, 0.25, 1024),
    "yolov8s": (0.33, 0.50, 1024),
    "yolov8m": (0.67, 0.75, 768),
    "yolov8l": (1.00, 1.00, 512),
    "yolov8x": (1.00, 1.25, 512),
}
FAMILY = Family(
    "yolov8",
    {
        name: Variant(partial(build, depth=depth, width=width, most=most), (image_option(default=640),))
        for name, (depth, width, most) in SIZES.items()
    },
)
