"""The specs behind `build`, `profile` and `colocate`: small campaigns made from options."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.models.model import Precision
from cotenant.profiler.campaign.spec import CampaignSpec, parse_spec


@dataclass(frozen=True)
class Where:
    """The options that all of these commands share."""

    runner: str = "onnxruntime-cpu"
    device: str | None = None
    lanes: int = 2
    isolation: str | None = None
    precision: Precision = "fp32"
    seed: int = 0


def build_spec(where: Where, models: Sequence[str], batch_sizes: Sequence[int]) -> CampaignSpec:
    """Every model at every batch size, built and not measured."""
    return _spec("build", where, models, batch_sizes, [])


def profile_spec(where: Where, models: Sequence[str], batch_sizes: Sequence[int]) -> CampaignSpec:
    """Every model at every batch size alone, enough for p50 and p95 with bounds."""
    return _spec("profile", where, models, batch_sizes, [{"kind": "solo"}])


def colocate_spec(
    where: Where, first: tuple[str, int], second: tuple[str, int], quality: dict[str, Any] | None = None
) -> CampaignSpec:
    """Two engines alone and beside each other, with null co-locations for the noise floor.

    `first` and `second` are (model, batch size).
    """
    from cotenant.profiler.campaign.engine_names import canonical_name, is_probe

    labels = [f"{canonical_name(model)}@{1 if is_probe(model) else size}" for model, size in (first, second)]
    content = {
        "name": "colocate",
        **vars(where),
        "engines": [{"models": [model], "batch_sizes": [size]} for model, size in dict.fromkeys([first, second])],
        "experiments": [
            {"kind": "pair", "pairs": [labels]},
            {"kind": "null", "count": len(set(labels))},  # each tenant once beside the idle other
            {"kind": "solo"},
        ],
        "quality": quality or {},
    }
    return parse_spec(content, "colocate")


def _spec(
    name: str, where: Where, models: Sequence[str], batch_sizes: Sequence[int], experiments: list[dict[str, Any]]
) -> CampaignSpec:
    content = {
        "name": name,
        **vars(where),
        "engines": [{"models": list(models), "batch_sizes": list(batch_sizes)}],
        "experiments": experiments,
    }
    return parse_spec(content, name)
