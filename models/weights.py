"""Seeded weights: the same declaration gives the same bytes on every machine and with every version of numpy.

The numbers come from PCG64's raw bits (a stream that numpy keeps) by way of exact float32 steps, not from numpy's
distributions, which may change. Uniform numbers are as good as normal ones here: what matters is their deviation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cotenant.models.digest import digest_id
from cotenant.models.graph import DIGEST_REVISION, Weight, declaration

ALIGNMENT_BYTES = 4096  # so that each tensor can be mapped into memory by itself
CHUNK_ELEMENTS = 1 << 22  # what is in memory at once, however large a tensor is
UNIFORM_HALF_WIDTH = np.sqrt(np.float32(3))  # of a uniform distribution with standard deviation 1


@dataclass(frozen=True)
class Placed:
    """Where a tensor lies in the weights file."""

    offset: int
    byte_count: int


def placed(byte_counts: Sequence[int]) -> list[Placed]:
    """Return where tensors of these sizes lie, one after another on aligned offsets."""
    places, offset = [], 0
    for byte_count in byte_counts:
        places.append(Placed(offset, byte_count))
        offset += -(-byte_count // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return places


def weights_key(weights: Sequence[Weight]) -> str:
    """Return the key of a weights file: a digest of everything that decides its bytes."""
    return digest_id([DIGEST_REVISION, ALIGNMENT_BYTES, [declaration(weight) for weight in weights]])


def write_weights(weights: Sequence[Weight], stream: BinaryIO) -> None:
    """Make the weights and write them to where `placed` puts them."""
    written = 0
    for weight, place in zip(weights, placed([weight.byte_count for weight in weights]), strict=True):
        stream.write(bytes(place.offset - written))
        for chunk in _chunks(weight):
            stream.write(chunk.data)
        written = place.offset + place.byte_count


def numbers(weight: Weight) -> NDArray[Any]:
    """Return a weight's numbers."""
    return np.concatenate([*_chunks(weight)]).reshape(weight.shape)


def _chunks(weight: Weight) -> Iterator[NDArray[Any]]:
    total = int(np.prod(weight.shape))
    generator = np.random.PCG64(weight.seed)
    for start in range(0, total, CHUNK_ELEMENTS):
        count = min(CHUNK_ELEMENTS, total - start)
        values = _ramp(start, count) if weight.ramp else _uniform(generator, weight, count)
        yield values.astype(weight.dtype)


def _ramp(start: int, count: int) -> NDArray[np.float32]:
    return np.arange(start, start + count, dtype=np.float32)


def _uniform(generator: np.random.PCG64, weight: Weight, count: int) -> NDArray[np.float32]:
    """Return the next numbers of a weight's stream: 24 bits each, which float32 holds exactly."""
    raw = np.asarray(generator.random_raw(-(-count // 2)), dtype="<u8")
    bits = (raw.view("<u4")[:count] >> 8).astype(np.float32)
    half_width = UNIFORM_HALF_WIDTH * np.float32(weight.std)
    centred = bits * np.float32(2**-23) - np.float32(1)
    values: NDArray[np.float32] = centred * half_width + np.float32(weight.mean)
    return values
