"""ResNet (He et al. 2015) as torchvision has it: the stride of a bottleneck lies on its 3 x 3 convolution."""

from collections.abc import Mapping
from functools import partial

from cotenant.models.family import Family, Variant, image_option
from cotenant.models.graph import Network, Value
from cotenant.models.layers import AFTER_RELU, conv_batch_norm, linear
from cotenant.models.operators import Window, add, global_average_pool, max_pool, relu

CLASSES = 1000
BRANCH_GAIN = 0.2  # of a block's last convolution: 50 blocks multiply the power by about 50


def build(net: Network, options: Mapping[str, int], blocks: tuple[int, ...], bottleneck: bool) -> None:
    """Build a ResNet; `blocks` counts the blocks of each stage."""
    side = options["image"]
    image = net.input("image", (3, side, side))
    x = relu(net, conv_batch_norm(net, image, "stem", 64, Window(7, stride=2), AFTER_RELU))
    x = max_pool(net, x, Window(3, stride=2))
    block = _bottleneck if bottleneck else _basic
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if index == 0 and stage > 0 else 1
            x = block(net, x, f"stage{stage}.{index}", 64 << stage, stride)
    net.output(linear(net, global_average_pool(net, x), "classifier", CLASSES), "logits")


def _basic(net: Network, x: Value, name: str, width: int, stride: int) -> Value:
    y = relu(net, conv_batch_norm(net, x, f"{name}.conv1", width, Window(3, stride), AFTER_RELU))
    y = conv_batch_norm(net, y, f"{name}.conv2", width, Window(3), BRANCH_GAIN * AFTER_RELU)
    return relu(net, add(net, y, _shortcut(net, x, name, y.shape[1], stride)))


def _bottleneck(net: Network, x: Value, name: str, width: int, stride: int) -> Value:
    y = relu(net, conv_batch_norm(net, x, f"{name}.conv1", width, Window(1), AFTER_RELU))
    y = relu(net, conv_batch_norm(net, y, f"{name}.conv2", width, Window(3, stride), AFTER_RELU))
    y = conv_batch_norm(net, y, f"{name}.conv3", 4 * width, Window(1), BRANCH_GAIN * AFTER_RELU)
    return relu(net, add(net, y, _shortcut(net, x, name, y.shape[1], stride)))


def _shortcut(net: Network, x: Value, name: str, channels: int, stride: int) -> Value:
    if x.shape[1] == channels and stride == 1:
        return x
    return conv_batch_norm(net, x, f"{name}.shortcut", channels, Window(1, stride))


SIZES = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}
FAMILY = Family(
    "resnet",
    {
        name: Variant(partial(build, blocks=blocks, bottleneck=bottleneck), (image_option(),))
        for name, (blocks, bottleneck) in SIZES.items()
    },
)
