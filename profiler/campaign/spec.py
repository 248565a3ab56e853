"""A campaign's YAML, checked: what it names, what it leaves to defaults, and one clear line for each mistake."""

from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.profiler.campaign.spec_faults import dotted, first_fault, not_finite, truth_as_number
from cotenant.profiler.campaign.usual_precision import usual_precision
from cotenant.profiler.campaign.yaml_text import read_yaml
from cotenant.profiler.counters.tiers import CountersSpec
from cotenant.profiler.experiments.kinds import ExperimentSpec, experiment_kind, kind_names
from cotenant.profiler.experiments.lanes import LaneSpecs
from cotenant.profiler.quality.thresholds import Quality

SpecModel = TypeVar("SpecModel", bound=BaseModel)


class EngineGroup(BaseModel):
    """Engines of several models at several batch sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(min_length=1)
    batch_sizes: tuple[int, ...] = Field(default=(1,), min_length=1)
    build_index: int = Field(default=0, ge=0)

    @field_validator("batch_sizes")
    @classmethod
    def _batch_sizes_are_positive(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in sizes):
            raise ValueError("batch sizes are whole numbers from 1")
        return sizes


class CampaignSpec(BaseModel):
    """Everything that decides what a campaign measures; the resolved form is kept as campaign.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    runner: str = "onnxruntime-cpu"
    device: str | None = None
    lanes: LaneSpecs = 2
    isolation: str | None = None
    precision: Precision = "fp32"
    seed: int = Field(default=0, ge=0)
    engines: tuple[EngineGroup, ...]
    experiments: tuple[SerializeAsAny[ExperimentSpec], ...] = ()
    quality: Quality = Quality()
    counters: CountersSpec | None = None

    @field_validator("device", mode="before")
    @classmethod
    def _an_index_is_a_name(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("engines", mode="before")
    @classmethod
    def _one_group_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    def resolved(self) -> dict[str, Any]:
        """Return the whole spec as plain values, as campaign.yaml keeps it."""
        return self.model_dump(mode="json")


def load_spec(name_or_path: str) -> CampaignSpec:
    """Read a spec from a path or by the name of a ready campaign; UserError with one line otherwise."""
    path = Path(name_or_path)
    if path.is_file():
        text, where = path.read_text(encoding="utf-8", errors="replace"), str(path)
    elif name_or_path in ready_campaigns():
        text = files("cotenant.profiler.campaign.specs").joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
        where = name_or_path
    else:
        ready = ", ".join(ready_campaigns())
        raise UserError(f"no spec {name_or_path!r}: neither a file nor a ready campaign; ready ones are: {ready}")
    return parse_spec(read_yaml(text, where), where)


def ready_campaigns() -> list[str]:
    """Return the names of the campaigns that come with the package."""
    folder = files("cotenant.profiler.campaign.specs")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def parse_spec(content: Any, where: str) -> CampaignSpec:
    """Check a spec's content; `where` names it in the error line."""
    if not isinstance(content, dict):
        raise UserError(f"{where} holds no spec: expected keys {', '.join(CampaignSpec.model_fields)}")
    try:
        place = not_finite(content)
    except RecursionError as error:  # YAML can refer to what it stands in
        raise UserError(f"{where} contains itself; write it without references") from error
    if place is not None:
        raise UserError(f"{where}: `{dotted(place)}`: Input should be a finite number")
    experiments = content.get("experiments", [])
    if not isinstance(experiments, list):
        raise UserError(f"{where}: `experiments` must be a list, each entry with a `kind`")
    parsed = [_experiment(entry, f"{where}: experiments.{index}") for index, entry in enumerate(experiments)]
    return _checked(CampaignSpec, {"precision": usual_precision(content), **content, "experiments": parsed}, where)


def _experiment(entry: Any, where: str) -> ExperimentSpec:
    if not isinstance(entry, dict) or "kind" not in entry:
        raise UserError(f"{where}: each experiment needs a `kind`, one of {', '.join(kind_names())}")
    kind = "null" if entry["kind"] is None else str(entry["kind"])  # YAML reads a bare null as nothing
    return _checked(experiment_kind(kind, where).spec, {**entry, "kind": kind}, where)


def _checked(schema: type[SpecModel], content: dict[str, Any], where: str) -> SpecModel:
    try:
        found = schema.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{where}: {first_fault(schema, error)}") from error
    place = truth_as_number(content, found.model_dump(mode="json"))
    if place is not None:
        raise UserError(f"{where}: `{dotted(place)}`: true and false are no numbers; give a number")
    return found
