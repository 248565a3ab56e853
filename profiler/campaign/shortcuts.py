"""The specs behind `build`, `profile`, `colocate` and `serve`: small campaigns made from options."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.profiler.campaign.engine_names import canonical_name
from cotenant.profiler.campaign.spec import CampaignSpec, parse_spec
from cotenant.profiler.experiments.bench import tenant_name
from cotenant.runners.probe_names import is_probe

Arrangement = Literal["pair", "set", "offset_sweep", "chain"]
LISTED_AS: dict[Arrangement, str] = {  # the key under which a kind of experiment lists its tenants
    "pair": "pairs",
    "set": "sets",
    "offset_sweep": "pairs",
    "chain": "chains",
}


@dataclass(frozen=True)
class Where:
    """The options that all of these commands share."""

    runner: str = "onnxruntime-cpu"
    device: str | None = None
    lanes: int = 2
    isolation: str | None = None
    precision: Precision | None = None
    seed: int = 0

    def keys(self) -> dict[str, Any]:
        """Return what a spec says of them; what is not said, the runner decides."""
        return {key: value for key, value in vars(self).items() if key != "precision" or value is not None}


@dataclass(frozen=True)
class Service:
    """What `serve` asks for: tenants, one for each of `models`, and either `loads` or `rates_per_s`.

    Attributes:
        loads: Offered loads, each an experiment of its own.
        rates_per_s: Requests per second: one rate for every tenant, or one for each.
        wait_us: How long the first queued request waits for more.
        concurrencies: Batches in flight at most, each an experiment of its own; none = as many as lanes.
        seconds: How long requests arrive; None = as long as the measuring window needs.
    """

    models: tuple[str, ...]
    loads: tuple[float, ...] = ()
    rates_per_s: tuple[float, ...] = ()
    max_batch: int = 8
    wait_us: float = 2000.0
    deadline_ms: float | None = None
    concurrencies: tuple[int, ...] = ()
    seconds: float | None = None


def build_spec(where: Where, models: Sequence[str], batch_sizes: Sequence[int]) -> CampaignSpec:
    """Every model at every batch size, built and not measured."""
    return _spec("build", where, [_group(models, batch_sizes)], [])


def profile_spec(
    where: Where, models: Sequence[str], batch_sizes: Sequence[int], counters: dict[str, Any] | None = None
) -> CampaignSpec:
    """Every model at every batch size alone, enough for p50 and p95 with bounds; `counters` as a spec's key says it."""
    return _spec("profile", where, [_group(models, batch_sizes)], [{"kind": "solo"}], counters=counters)


def lanes_needed(arrangement: Arrangement, tenant_count: int) -> int:
    """Return how many lanes so many tenants need: the last one of a chain follows on the lane of the first."""
    return tenant_count - 1 if arrangement == "chain" else tenant_count


def colocate_spec(
    where: Where,
    *tenants: tuple[str, int],
    arrangement: Arrangement | None = None,
    quality: dict[str, Any] | None = None,
) -> CampaignSpec:
    """Engines alone and beside each other, with null co-locations for the noise floor.

    `tenants` are (model, batch size); by default two are a pair and more are a set.
    """
    kind: Arrangement = arrangement or ("pair" if len(tenants) == 2 else "set")
    labels = [f"{canonical_name(model)}@{1 if is_probe(model) else size}" for model, size in tenants]
    experiments: list[dict[str, Any]] = [
        {"kind": kind, LISTED_AS[kind]: [labels]},
        {"kind": "null", "count": len(set(labels))},  # each engine once beside the idle next one
        {"kind": "solo"},
    ]
    engines = [_group([model], [size]) for model, size in dict.fromkeys(tenants)]
    return _spec("colocate", where, engines, experiments, quality)


def serve_spec(where: Where, service: Service, quality: dict[str, Any] | None = None) -> CampaignSpec:
    """Tenants served under each load (or at the rates) and each concurrency, beside profiles of all their engines.

    An engine is made for each power of two below `max_batch` and for `max_batch`; a batch in between takes the next
    larger one. With two lanes or more, null co-locations of each model's largest engine give the noise floor.
    """
    models = [canonical_name(model) for model in service.models]
    distinct = list(dict.fromkeys(models))
    serving: dict[str, Any] = {
        "kind": "serving",
        "deployment": [_tenant(model, service) for model in models],
        "concurrency": list(service.concurrencies) or None,
        **_demand(service),
    }
    nulls: list[dict[str, Any]] = [{"kind": "null", "count": len(distinct)}] if where.lanes > 1 else []
    # the largest first: nulls take the engines in turn
    engines = [_group(distinct, [service.max_batch]), _group(distinct, batch_sizes(service.max_batch))]
    return _spec("serve", where, engines, [serving, {"kind": "solo"}, *nulls], quality)


def batch_sizes(max_batch: int) -> list[int]:
    """Return the powers of two below the largest batch size, and that."""
    return [*(1 << power for power in range((max_batch - 1).bit_length())), max_batch]


def _tenant(model: str, service: Service) -> dict[str, Any]:
    max_batch = 1 if is_probe(model) else service.max_batch
    return {"model": model, "max_batch": max_batch, "wait_us": service.wait_us, "deadline_ms": service.deadline_ms}


def _demand(service: Service) -> dict[str, Any]:
    if bool(service.loads) == bool(service.rates_per_s):
        raise UserError("give --load, e.g. 0.3,0.7, or --rate, e.g. 50, and not both")
    if service.loads:
        return {"loads": list(service.loads), "seconds": service.seconds}
    count = len(service.models)
    rates = service.rates_per_s * (count if len(service.rates_per_s) == 1 else 1)
    if len(rates) != count:
        raise UserError(
            f"--rate has {len(rates)} rates and there is --model {count} times; give one rate, or one for each"
        )
    names = map(tenant_name, range(count))
    return {"schedule": [{"seconds": service.seconds, "rates": dict(zip(names, rates, strict=True))}]}


def _group(models: Iterable[str], sizes: Iterable[int]) -> dict[str, Any]:
    return {"models": list(models), "batch_sizes": list(sizes)}


def _spec(
    name: str,
    where: Where,
    engines: list[dict[str, Any]],
    experiments: list[dict[str, Any]],
    quality: dict[str, Any] | None = None,
    counters: dict[str, Any] | None = None,
) -> CampaignSpec:
    content = {"name": name, **where.keys(), "engines": engines, "experiments": experiments, "quality": quality or {}}
    return parse_spec({**content, "counters": counters}, name)
