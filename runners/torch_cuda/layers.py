"""Operators on images and normalisations: convolutions, pooling, resizing, batch, layer and group norm."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from cotenant.runners.torch_cuda.node import Call, Node

Handler = Callable[[Node], Call]
NEAREST_ROUNDINGS = {"asymmetric": ("floor",), "half_pixel": ("round_prefer_floor", "floor", "round_prefer_ceil")}


def _sides(node: Node) -> int:
    return len(node.shape()) - 2


def _kernel(node: Node) -> list[int]:
    return list(node.get("kernel_shape") or node.shape(1)[2:])


def _pads(node: Node) -> tuple[list[int], list[int]]:
    """Return padding before and after each side."""
    sides, mode = _sides(node), node.get("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        pads = [0] * 2 * sides if mode == "VALID" else list(node.get("pads") or [0] * 2 * sides)
        return pads[:sides], pads[sides:]
    strides, dilations = node.get("strides") or [1] * sides, node.get("dilations") or [1] * sides
    totals = [
        max(0, (math.ceil(side / stride) - 1) * stride + dilation * (kernel - 1) + 1 - side)
        for side, kernel, stride, dilation in zip(node.shape()[2:], _kernel(node), strides, dilations, strict=True)
    ]
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def _padder(node: Node, before: Sequence[int], after: Sequence[int], value: float) -> Callable[[Any], Any]:
    """Return what pads an image where a layer's own padding cannot: torch counts sides from the last one."""
    pairs = [pad for both in reversed(list(zip(before, after, strict=True))) for pad in both]
    return lambda x: node.torch.nn.functional.pad(x, pairs, value=value)


def _same(x: Any) -> Any:
    return x


def _conv(node: Node) -> Call:
    sides = _sides(node)
    if not 1 <= sides <= 3:
        raise node.refusal(f"has {sides} sides; 1 to 3 are translated")
    function = getattr(node.torch.nn.functional, f"conv{sides}d")
    before, after = _pads(node)
    own = before if before == after else [0] * sides
    pad = _same if before == after else _padder(node, before, after, 0.0)
    options = {
        "stride": list(node.get("strides") or [1] * sides),
        "padding": own,
        "dilation": list(node.get("dilations") or [1] * sides),
        "groups": node.get("group", 1),
    }
    return Call(lambda x, weight, bias=None: function(pad(x), weight, bias, **options), node.present())


def _conv_transpose(node: Node) -> Call:
    sides = _sides(node)
    before, after = _pads(node)
    if not 1 <= sides <= 3 or before != after or node.get("auto_pad", "NOTSET") != "NOTSET" or node.get("output_shape"):
        raise node.refusal("is padded in a way that is not translated")
    function = getattr(node.torch.nn.functional, f"conv_transpose{sides}d")
    options = {
        "stride": list(node.get("strides") or [1] * sides),
        "padding": before,
        "output_padding": list(node.get("output_padding") or [0] * sides),
        "groups": node.get("group", 1),
        "dilation": list(node.get("dilations") or [1] * sides),
    }
    return Call(lambda x, weight, bias=None: function(x, weight, bias, **options), node.present())


def _fits(node: Node, before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether torch's pooling takes this padding: alike on both ends and at most half of the window."""
    return before == after and all(2 * pad <= side for pad, side in zip(before, _kernel(node), strict=True))


def _max_pool(node: Node) -> Call:
    sides = _sides(node)
    if len(node.graph.outputs) > 1:
        raise node.refusal("returns indices, which are not translated")
    before, after = _pads(node)
    fits = _fits(node, before, after)
    pad = _same if fits else _padder(node, before, after, -math.inf)
    options = {
        "kernel_size": _kernel(node),
        "stride": list(node.get("strides") or [1] * sides),
        "padding": before if fits else [0] * sides,
        "dilation": list(node.get("dilations") or [1] * sides),
        "ceil_mode": bool(node.get("ceil_mode", 0)),
    }
    function = getattr(node.torch.nn.functional, f"max_pool{sides}d")
    return Call(lambda x: function(pad(x), **options), (0,))


def _average_pool(node: Node) -> Call:
    sides = _sides(node)
    before, after = _pads(node)
    if not _fits(node, before, after) or any(each != 1 for each in node.get("dilations") or [1]):
        raise node.refusal("is padded or dilated in a way that is not translated")
    options = {
        "kernel_size": _kernel(node),
        "stride": list(node.get("strides") or [1] * sides),
        "padding": before,
        "ceil_mode": bool(node.get("ceil_mode", 0)),
        "count_include_pad": bool(node.get("count_include_pad", 0)),
    }
    function = getattr(node.torch.nn.functional, f"avg_pool{sides}d")
    return Call(lambda x: function(x, **options), (0,))


def _global_average_pool(node: Node) -> Call:
    axes = tuple(range(2, len(node.shape())))
    return Call(lambda x: x.mean(dim=axes, keepdim=True), (0,))


def _global_max_pool(node: Node) -> Call:
    axes = tuple(range(2, len(node.shape())))
    return Call(lambda x: x.amax(dim=axes, keepdim=True), (0,))


def _resize(node: Node) -> Call:
    given = list(node.shape())
    sizes, scales = (node.optional(index) if len(node.graph.inputs) > index else None for index in (3, 2))
    if node.graph.op == "Upsample":
        sizes, scales = None, node.optional(1)
    if not sizes:
        sizes = [math.floor(side * scale) for side, scale in zip(given, scales or [], strict=True)]
    mode = node.get("mode", "nearest")
    place = node.get("coordinate_transformation_mode", "half_pixel" if node.graph.op == "Resize" else "asymmetric")
    if len(given) != 4 or sizes[:2] != given[:2] or node.get("axes") or node.get("antialias"):
        raise node.refusal("resizes something else than the two sides of an image, which is not translated")
    options = _interpolation(mode, place, node, sizes[2:])
    interpolate = node.torch.nn.functional.interpolate
    return Call(lambda x: interpolate(x, size=sizes[2:], **options), (0,))


def _interpolation(mode: str, place: str, node: Node, sides: Sequence[int]) -> dict[str, Any]:
    """Return torch's options; where both definitions give the same image, which they do not always."""
    whole = all(side % given == 0 for side, given in zip(sides, node.shape()[2:], strict=True))
    rounding = node.get("nearest_mode", "round_prefer_floor" if node.graph.op == "Resize" else "floor")
    if mode == "nearest" and rounding in NEAREST_ROUNDINGS.get(place, ()):
        if place == "asymmetric" or (whole and rounding != "floor"):
            return {"mode": "nearest"}
        if rounding == "floor":
            raise node.refusal(f"rounds {place} places down, which is not translated")
    if mode in ("linear", "bilinear") and place in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return {"mode": "bilinear", "align_corners": place == "align_corners"}
    raise node.refusal(f"interpolates {mode} with {place} places ({rounding}), which is not translated")


def _batch_norm(node: Node) -> Call:
    if node.get("training_mode", 0):
        raise node.refusal("is in training mode; export the model for inference")
    epsilon = node.get("epsilon", 1e-5)
    norm = node.torch.nn.functional.batch_norm
    run = lambda x, scale, bias, mean, var: norm(x, mean, var, scale, bias, False, 0.0, epsilon)  # noqa: E731
    return Call(run, (0, 1, 2, 3, 4))


def _layer_norm(node: Node) -> Call:
    if len([name for name in node.graph.outputs if name]) > 1:
        raise node.refusal("returns mean or deviation, which is not translated")
    axis = node.get("axis", -1) % len(node.shape())
    sides, epsilon = list(node.shape()[axis:]), node.get("epsilon", 1e-5)
    norm = node.torch.nn.functional.layer_norm
    return Call(lambda x, scale, bias=None: norm(x, sides, scale, bias, epsilon), node.present())


def _instance_norm(node: Node) -> Call:
    epsilon = node.get("epsilon", 1e-5)
    norm = node.torch.nn.functional.instance_norm
    return Call(lambda x, scale, bias: norm(x, None, None, scale, bias, True, 0.0, epsilon), (0, 1, 2))


LAYERS: dict[str, Handler] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "Resize": _resize,
    "Upsample": _resize,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
}
