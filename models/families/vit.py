"""Vision Transformer (Dosovitskiy et al. 2020) with a class token, as torchvision (b, l) and timm (ti, s) have it."""

from collections.abc import Mapping
from functools import partial

from cotenant.models.family import Family, Variant, image_option
from cotenant.models.graph import Network, Value
from cotenant.models.layers import AFTER_GELU, attention, conv, layer_norm, linear, table
from cotenant.models.operators import Window, add, concat, expand, gelu, reshape, split, take, transpose

CLASSES = 1000
EPSILON = 1e-6
POSITION_STD = 0.2


def build(net: Network, options: Mapping[str, int], patch: int, width: int, depth: int, heads: int) -> None:
    """Build a ViT; one token a patch, and the class token before them."""
    side = options["image"]
    image = net.input("image", (3, side, side))
    places = (side // patch) ** 2
    patches = conv(net, image, "patches", width, Window(patch, stride=patch, padding=0))
    tokens = transpose(net, reshape(net, patches, (net.batch_size, width, places)), (0, 2, 1))
    first = expand(net, table(net, "class_token", (1, 1, width), 1.0), (net.batch_size, 1, width))
    positions = table(net, "positions", (1, places + 1, width), POSITION_STD)
    x = add(net, concat(net, [first, tokens], axis=1), positions)
    for index in range(depth):
        x = _block(net, x, f"block{index}", heads)
    x = take(net, layer_norm(net, x, "norm", EPSILON), 0, axis=1)
    net.output(linear(net, x, "classifier", CLASSES), "logits")


def _block(net: Network, x: Value, name: str, heads: int) -> Value:
    width = x.shape[-1]
    y = layer_norm(net, x, f"{name}.norm1", EPSILON)
    query, key, value = split(net, linear(net, y, f"{name}.qkv", 3 * width), (width,) * 3, axis=2)
    x = add(net, x, linear(net, attention(net, query, key, value, heads), f"{name}.projection", width))
    y = layer_norm(net, x, f"{name}.norm2", EPSILON)
    y = gelu(net, linear(net, y, f"{name}.mlp1", 4 * width))
    return add(net, x, linear(net, y, f"{name}.mlp2", width, AFTER_GELU))


SIZES = {"ti": (192, 12, 3), "s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}
FAMILY = Family(
    "vit",
    {
        f"vit_{size}_{patch}": Variant(
            partial(build, patch=patch, width=width, depth=depth, heads=heads), (image_option(step=patch, high=1024),)
        )
        for size, (width, depth, heads) in SIZES.items()
        for patch in (16, 32)
    },
)
