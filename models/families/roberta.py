"""RoBERTa (Liu et al. 2019) with its pooler: base and large as published, and small ones for CPUs.

The small ones have the widths and depths of the BERT miniatures (Turc et al. 2019) over RoBERTa's vocabulary. The only
input is the token ids: a batch of full sequences needs no mask, and positions are known when the graph is built.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from cotenant.models.family import Family, Option, Variant
from cotenant.models.graph import Network, Value
from cotenant.models.layers import AFTER_GELU, attention, layer_norm, linear, table
from cotenant.models.operators import add, gelu, rows, take, tanh

VOCABULARY = 50265
POSITIONS = 514  # two more than tokens: positions are counted from the padding id + 1 = 2
FIRST_POSITION = 2
EPSILON = 1e-5
EMBEDDING_STD = 0.5
HEAD_WIDTH = 64
SEQ = Option("seq", default=128, low=1, high=POSITIONS - FIRST_POSITION, step=1, unit="tokens")


def build(net: Network, options: Mapping[str, int], width: int, depth: int) -> None:
    """Build a RoBERTa encoder."""
    ids = net.input("input_ids", (options["seq"],), high=VOCABULARY)
    x = _embedded(net, ids, width)
    for index in range(depth):
        x = _block(net, x, f"block{index}")
    net.output(x, "last_hidden")
    net.output(tanh(net, linear(net, take(net, x, 0, axis=1), "pooler", width)), "pooled")


def _embedded(net: Network, ids: Value, width: int) -> Value:
    words = rows(net, table(net, "words", (VOCABULARY, width), EMBEDDING_STD), ids)
    places = net.constant(np.arange(FIRST_POSITION, FIRST_POSITION + ids.shape[1]))
    positions = rows(net, table(net, "positions", (POSITIONS, width), EMBEDDING_STD), places)
    kind = table(net, "token_type", (1, width), EMBEDDING_STD)
    return layer_norm(net, add(net, add(net, words, positions), kind), "norm", EPSILON)


def _block(net: Network, x: Value, name: str) -> Value:
    width = x.shape[-1]
    query, key, value = (linear(net, x, f"{name}.{part}", width) for part in ("query", "key", "value"))
    y = linear(net, attention(net, query, key, value, width // HEAD_WIDTH), f"{name}.projection", width)
    x = layer_norm(net, add(net, x, y), f"{name}.norm1", EPSILON)
    y = gelu(net, linear(net, x, f"{name}.mlp1", 4 * width))
    y = linear(net, y, f"{name}.mlp2", width, AFTER_GELU)
    return layer_norm(net, add(net, x, y), f"{name}.norm2", EPSILON)


SIZES = {
    "roberta_base": (768, 12),
    "roberta_large": (1024, 24),
    "roberta_small": (512, 4),
    "roberta_mini": (256, 4),
    "roberta_tiny": (128, 2),
}
FAMILY = Family(
    "roberta",
    {name: Variant(partial(build, width=width, depth=depth), (SEQ,)) for name, (width, depth) in SIZES.items()},
)
