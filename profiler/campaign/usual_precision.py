"""The precision of a spec that names none: what its runner is used with, unless a network of the user's has another."""

from collections.abc import Iterator
from typing import Any

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.models.onnx_file import FILE_PREFIX, OnnxFile
from cotenant.models.zoo import resolve
from cotenant.runners.registry import available, load

FALLBACK: Precision = "fp32"
DEFAULT_RUNNER = "onnxruntime-cpu"


def usual_precision(content: dict[str, Any]) -> Precision:
    """Return it for a spec's content, which nobody has checked yet; what is wrong with that is told later."""
    runner = content.get("runner", DEFAULT_RUNNER)
    if not isinstance(runner, str) or runner not in available():
        return FALLBACK
    usual: Precision = getattr(load(runner), "usual_precision", FALLBACK)
    for network in _own_networks(content.get("engines")):
        if usual not in (own := network.own_precisions() or {usual}):
            return min(own)
    return usual


def _own_networks(engines: Any) -> Iterator[OnnxFile]:
    groups = engines if isinstance(engines, list) else [engines]
    for models in (group.get("models") for group in groups if isinstance(group, dict)):
        for name in models if isinstance(models, list | tuple) else []:
            if isinstance(name, str) and name.startswith(FILE_PREFIX):
                try:
                    model = resolve(name)
                except UserError:
                    continue
                if isinstance(model, OnnxFile):
                    yield model
