"""ConvNeXt (Liu et al. 2022) as torchvision has it: blocks work channels-last between two transposes."""

from collections.abc import Mapping
from functools import partial

from cotenant.models.family import Family, Variant, image_option
from cotenant.models.graph import Network, Value
from cotenant.models.layers import AFTER_GELU, conv, layer_norm, linear, table
from cotenant.models.operators import Window, add, gelu, global_average_pool, mul, transpose

CLASSES = 1000
EPSILON = 1e-6
CHANNELS_LAST, CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
SCALE_MEAN, SCALE_STD = 0.3, 0.05  # of the layer scale; training starts it at 1e-6, which would hide the blocks


def build(net: Network, options: Mapping[str, int], depths: tuple[int, ...], widths: tuple[int, ...]) -> None:
    """Build a ConvNeXt; `depths` counts the blocks of each stage, `widths` its channels."""
    side = options["image"]
    image = net.input("image", (3, side, side))
    x = conv(net, image, "stem", widths[0], Window(4, stride=4, padding=0))
    x = _norm_of_channels(net, x, "stem.norm")
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage > 0:
            x = _norm_of_channels(net, x, f"stage{stage}.norm")
            x = conv(net, x, f"stage{stage}.halve", width, Window(2, stride=2, padding=0))
        for index in range(depth):
            x = _block(net, x, f"stage{stage}.{index}")
    x = layer_norm(net, global_average_pool(net, x), "norm", EPSILON)
    net.output(linear(net, x, "classifier", CLASSES), "logits")


def _block(net: Network, x: Value, name: str) -> Value:
    width = x.shape[1]
    y = conv(net, x, f"{name}.depthwise", width, Window(7, groups=width))
    y = layer_norm(net, transpose(net, y, CHANNELS_LAST), f"{name}.norm", EPSILON)
    y = gelu(net, linear(net, y, f"{name}.mlp1", 4 * width))
    y = linear(net, y, f"{name}.mlp2", width, AFTER_GELU)
    y = mul(net, y, table(net, f"{name}.scale", (width,), SCALE_STD, SCALE_MEAN))
    return add(net, x, transpose(net, y, CHANNELS_FIRST))


def _norm_of_channels(net: Network, x: Value, name: str) -> Value:
    normed = layer_norm(net, transpose(net, x, CHANNELS_LAST), name, EPSILON)
    return transpose(net, normed, CHANNELS_FIRST)


SIZES = {
    "convnext_tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext_small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext_base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "convnext_large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
}
FAMILY = Family(
    "convnext",
    {
        name: Variant(partial(build, depths=depths, widths=widths), (image_option(),))
        for name, (depths, widths) in SIZES.items()
    },
)
