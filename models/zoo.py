"""The zoo: names to models. A family is one file in `families/`; no list of them is kept anywhere else."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from cotenant.models import families
from cotenant.models.atomic import write_atomic
from cotenant.models.batch_size import checked_batch_size
from cotenant.models.costs import graph_cost, operator_costs
from cotenant.models.errors import UserError
from cotenant.models.family import Family, Variant, check_once
from cotenant.models.graph import Network
from cotenant.models.model import PRECISIONS, Export, GraphCost, Input, Model, OperatorCost, Precision
from cotenant.models.onnx_file import FILE_PREFIX, OnnxFile
from cotenant.models.onnx_writer import graph_bytes, onnx_model
from cotenant.models.weights import weights_key, write_weights
from cotenant.models.weights_store import stored_weights


@dataclass(frozen=True)
class ZooEntry:
    """One variant at its published size.

    Attributes:
        name: What `resolve` takes.
        family: Name of the family's file.
        parameter_count: Parameters of the architecture (frozen included, batch norm unfolded).
        mac_count: Multiply-accumulates of one item at the published size.
        options: What may be chosen, with the published size, e.g. `image=224`.
    """

    name: str
    family: str
    parameter_count: int
    mac_count: int
    options: tuple[str, ...]


@dataclass(frozen=True)
class ZooModel:
    """A variant of a family with its options chosen."""

    family: str
    variant: str
    options: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        """Canonical name: options that have their default are left out."""
        defaults = {option.name: option.default for option in _variant(self.family, self.variant).options}
        chosen = [f"{key}={number}" for key, number in self.options if number != defaults[key]]
        return f"{self.variant}:{','.join(chosen)}" if chosen else self.variant

    def network(self, batch_size: int, precision: Precision) -> Network:
        """Return the network at one batch size, its weights declared only."""
        return _network(self, checked_batch_size(batch_size), precision)

    def inputs(self, batch_size: int, precision: Precision) -> tuple[Input, ...]:
        """Return the inputs at one batch size."""
        return tuple(self.network(batch_size, precision).inputs)

    def source_sha256(self, precision: Precision) -> str:
        """Return the digest of the canonical graph at batch size 1, weights as declarations."""
        return self.network(1, precision).sha256()

    def operator_costs(self, batch_size: int, precision: Precision) -> tuple[OperatorCost, ...]:
        """Return the work of each fused group of operators; makes no weights."""
        return operator_costs(onnx_model(self.network(batch_size, precision)), self.name)

    def cost(self, batch_size: int, precision: Precision) -> GraphCost:
        """Return the work of one execution; makes no weights."""
        network = self.network(batch_size, precision)
        weight_bytes = sum(weight.byte_count for weight in network.weights.values())
        return graph_cost(self.operator_costs(batch_size, precision), weight_bytes, network.parameter_count)

    def export(self, batch_size: int, precision: Precision, cache: Path) -> Export:
        """Write the graph beside the weights that every batch size shares; makes those once."""
        network = self.network(batch_size, precision)
        weights = list(network.weights.values())
        stored = stored_weights(cache, weights_key(weights), lambda stream: write_weights(weights, stream))
        file_name = f"{re.sub('[^a-z0-9]+', '_', self.name)}_b{batch_size}_{precision}.onnx"
        graph_path = stored.path.with_name(file_name)
        write_atomic(graph_path, graph_bytes(onnx_model(network)))
        return Export(graph_path, stored.path, stored.sha256)


def resolve(name: str) -> Model:
    """Return the model of that name; UserError with the nearest names if there is none."""
    if name.startswith(FILE_PREFIX):
        return OnnxFile.open(name)
    variant_name, _, tail = name.partition(":")
    family = _families_by_variant().get(variant_name)
    if family is None:
        raise UserError(f"no model is called {variant_name!r}; {_nearest(variant_name)}")
    return ZooModel(family, variant_name, _options(name, _variant(family, variant_name), tail))


def catalogue() -> list[ZooEntry]:
    """Return every variant at its published size, by family and size."""
    return [_entry(variant, family) for variant, family in _families_by_variant().items()]


@cache
def found_families() -> dict[str, Family]:
    """Return the family that each file in `families/` defines."""
    modules = [import_module(f"{families.__name__}.{found.name}") for found in iter_modules(families.__path__)]
    return {module.FAMILY.name: module.FAMILY for module in modules}


@cache
def _families_by_variant() -> dict[str, str]:
    return {variant: family.name for family in found_families().values() for variant in family.variants}


def _variant(family: str, name: str) -> Variant:
    return found_families()[family].variants[name]


@lru_cache(maxsize=32)
def _network(model: ZooModel, batch_size: int, precision: Precision) -> Network:
    if precision not in PRECISIONS:
        raise UserError(f"{precision!r} is no precision; give one of {', '.join(PRECISIONS)}")
    network = Network(model.variant, batch_size, precision)
    _variant(model.family, model.variant).build(network, dict(model.options))
    return network


@cache
def _entry(variant: str, family: str) -> ZooEntry:
    options = _variant(family, variant).options
    cost = ZooModel(family, variant, tuple((option.name, option.default) for option in options)).cost(1, "fp32")
    sizes = tuple(f"{option.name}={option.default}" for option in options)
    return ZooEntry(variant, family, cost.parameter_count, cost.mac_count, sizes)


def _options(name: str, variant: Variant, tail: str) -> tuple[tuple[str, int], ...]:
    chosen = {option.name: option.default for option in variant.options}
    known = {option.name: option for option in variant.options}
    given = [part.partition("=") for part in tail.split(",")] if ":" in name else []
    check_once([key for key, _, _ in given], name)
    for key, _, text in given:
        if key not in known:
            allowed = "; ".join(option.allowed for option in variant.options)
            raise UserError(f"{name}: no option is called {key!r}; give {allowed}")
        chosen[key] = known[key].parse(text, name)
    return tuple(chosen.items())


def _nearest(name: str) -> str:
    names = list(_families_by_variant())
    close = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(sorted(found_families()))} models;"
    )
    return f"{hint} `cotenant models list` shows all, and your own ONNX is {FILE_PREFIX}net.onnx"
