"""VGG (Simonyan and Zisserman 2014) without batch norm, as torchvision has it: any image is averaged to 7 x 7 areas."""

from collections.abc import Mapping
from functools import partial

from cotenant.models.family import Family, Variant, image_option
from cotenant.models.graph import Network
from cotenant.models.layers import AFTER_RELU, conv, linear
from cotenant.models.operators import Window, adaptive_average_pool, flatten, max_pool, relu

CLASSES = 1000
CHANNELS = (64, 128, 256, 512, 512)
AREAS = 7


def build(net: Network, options: Mapping[str, int], depths: tuple[int, ...]) -> None:
    """Build a VGG; `depths` counts the convolutions of each stage."""
    side = options["image"]
    x = net.input("image", (3, side, side))
    for stage, (depth, channels) in enumerate(zip(depths, CHANNELS, strict=True)):
        for index in range(depth):
            x = relu(net, conv(net, x, f"stage{stage}.{index}", channels, Window(3), AFTER_RELU))
        x = max_pool(net, x, Window(2, stride=2, padding=0))
    x = flatten(net, adaptive_average_pool(net, x, AREAS))
    x = relu(net, linear(net, x, "classifier.0", 4096, AFTER_RELU))
    x = relu(net, linear(net, x, "classifier.1", 4096, AFTER_RELU))
    net.output(linear(net, x, "classifier.2", CLASSES), "logits")


SIZES = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
FAMILY = Family(
    "vgg", {name: Variant(partial(build, depths=depths), (image_option(),)) for name, depths in SIZES.items()}
)
