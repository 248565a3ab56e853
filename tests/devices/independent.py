"""A zoo model beside an independent implementation in torch that computes with the very same weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cotenant.models.weights import numbers
from cotenant.models.zoo import ZooModel, resolve

NORM_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
TOLERANCE = 2e-4  # of the largest output: float32 sums in another order, through up to 50 layers


class Ours:
    """A zoo model's weights, each to be taken once, and what ONNX Runtime computes with them."""

    def __init__(self, name: str, batch_size: int) -> None:
        model = resolve(name)
        assert isinstance(model, ZooModel)
        self.model = model
        self.batch_size = batch_size
        self.network = model.network(batch_size, "fp32")
        self.left = set(self.network.weights)

    def take(self, name: str) -> NDArray[Any]:
        """Return a weight and note that it was used; a part is asked for as `name[first:last]` of its last axis."""
        stem, _, part = name.partition("[")
        self.left.discard(stem)
        found = numbers(self.network.weights[stem])
        if part:
            first, last = (int(edge) for edge in part.removesuffix("]").split(":"))
            return found[..., first:last]
        return found

    def fill(self, module: Any, name_of: Callable[[str], str]) -> None:
        """Load our weights into a torch module: `name_of` says which of ours each of its parameters is.

        Batch norm becomes what is folded into ours: scale 1, our bias as its shift. Both sides use every weight.
        """
        import torch

        norms = {name for name, part in module.named_modules() if isinstance(part, torch.nn.BatchNorm2d)}
        state = {}
        for key, there in module.state_dict().items():
            parent, _, leaf = key.rpartition(".")
            owner = module.get_submodule(parent)
            if parent in norms:
                state[key] = self._norm(owner, leaf, key, name_of)
            else:
                found = self.take(name_of(key))
                if isinstance(owner, torch.nn.Linear) and leaf == "weight":
                    found = found.T
                state[key] = torch.tensor(np.ascontiguousarray(found))
            assert state[key].shape == there.shape, key
        module.load_state_dict(state)
        assert not self.left, f"these of our weights are used nowhere: {sorted(self.left)}"
        module.eval()

    def _norm(self, norm: Any, leaf: str, key: str, name_of: Callable[[str], str]) -> Any:
        import torch

        if leaf == "bias":
            return torch.tensor(self.take(name_of(key)))
        constant = {"weight": 1.0, "running_mean": 0.0, "running_var": 1 - norm.eps}.get(leaf)
        return torch.tensor(0) if constant is None else torch.full_like(norm.running_mean, constant)

    def inputs(self, low: int = 0) -> list[NDArray[Any]]:
        """Return random inputs; whole numbers start at `low`."""
        rng = np.random.default_rng(7)
        return [
            rng.integers(low, given.high, given.shape)
            if given.high
            else rng.standard_normal(given.shape).astype(given.dtype)
            for given in self.network.inputs
        ]

    def outputs(self, inputs: list[NDArray[Any]], cache: Path) -> list[NDArray[Any]]:
        """Return what ONNX Runtime computes from the exported graph."""
        export = self.model.export(self.batch_size, "fp32", cache)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(export.graph_path), options, providers=["CPUExecutionProvider"])
        names = [given.name for given in self.network.inputs]
        return list(session.run(None, dict(zip(names, inputs, strict=True))))


def assert_same(ours: NDArray[Any], theirs: Any) -> None:
    """Fail unless both have the same values up to float32 rounding, and values that differ among themselves."""
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    scale = np.abs(expected).max()
    assert np.std(expected) > 0.01 * scale  # an output that is all alike would agree with anything
    assert np.abs(ours - expected).max() <= TOLERANCE * scale
