"""Random inputs of an engine, the same for the same seed: no zeros, which some devices compute faster than data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def random_inputs(inputs: Sequence[dict[str, Any]], seed: int) -> "dict[str, np.ndarray[Any, Any]]":
    """Return an array for each input: standard normal floats, integers below their bound.

    Args:
        inputs: Name, dtype (numpy's name), shape and high of each, as meta.json keeps them; integers without a bound
            are zeros.
        seed: What they are drawn from.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    return {tensor["name"]: _random_input(tensor, rng) for tensor in inputs}


def _random_input(tensor: dict[str, Any], rng: "np.random.Generator") -> "np.ndarray[Any, Any]":
    import numpy as np

    dtype = np.dtype(tensor["dtype"])
    values: np.ndarray[Any, Any]
    if dtype.kind == "f":
        values = rng.standard_normal(tensor["shape"], dtype=np.float32)
    else:
        values = rng.integers(0, tensor["high"] or 1, size=tensor["shape"])
    return values.astype(dtype)
