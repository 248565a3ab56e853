"""A network's engine asked of a runner: what its id and most of its fields come from, whatever the runner."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cotenant.models.digest import digest_id
from cotenant.models.errors import UserError
from cotenant.models.model import PRECISIONS, Model, Precision


def check_request(batch_size: int, precision: str, build_index: int) -> None:
    """Raise UserError for numbers with which no engine can be."""
    if batch_size < 1:
        raise UserError(f"batch size {batch_size} is not possible; give a whole number from 1")
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if build_index < 0:
        raise UserError(f"build index {build_index} is not possible; give a whole number from 0")


@dataclass(frozen=True)
class NetworkRequest:
    """One engine asked for; UserError where its numbers are not possible.

    Attributes:
        flags: Everything else that decides what a build makes of the model.
    """

    model: Model
    batch_size: int
    precision: Precision
    runner: str
    runner_version: str
    target: str
    flags: Mapping[str, Any]
    build_index: int = 0

    def __post_init__(self) -> None:
        check_request(self.batch_size, self.precision, self.build_index)

    def inputs(self) -> list[dict[str, Any]]:
        """Return name, dtype, shape and high of every input, as meta.json keeps them."""
        return [asdict(tensor) for tensor in self.model.inputs(self.batch_size, self.precision)]

    def input_shapes(self) -> dict[str, list[int]]:
        """Return the static shape of every input."""
        return {tensor.name: list(tensor.shape) for tensor in self.model.inputs(self.batch_size, self.precision)}

    def engine_id(self) -> str:
        """Return the id: a digest of everything that decides what executes (design section 5); makes no weights."""
        source, shapes = self.model.source_sha256(self.precision), sorted(self.input_shapes().items())
        runner = [self.runner, self.runner_version]
        return digest_id([source, shapes, self.precision, runner, self.target, dict(self.flags), self.build_index])

    def fields(self) -> dict[str, Any]:
        """Return the fields of Engine that are known before it is built: all but its kind, digest and size."""
        return {
            "engine_id": self.engine_id(),
            "model": self.model.name,
            "family": self.model.family,
            "batch_size": self.batch_size,
            "input_shapes": self.input_shapes(),
            "precision": self.precision,
            "runner": self.runner,
            "build_target": self.target,
            "build_index": self.build_index,
            "source_sha256": self.model.source_sha256(self.precision),
            **asdict(self.model.cost(self.batch_size, self.precision)),
        }
