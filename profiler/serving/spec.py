"""What a spec says of serving.

- kind: serving
  deployment:
    - {model: resnet50, max_batch: 8, wait_ms: 2, deadline_ms: 50}
    - {model: vgg19, name: big}
  loads: [0.3, 0.7]                 # or a schedule:
  schedule:
    - {seconds: 20, rates: {a: 100, big: 20}}
    - {seconds: 20, rates: {a: 100}}        # big has left
    - {seconds: 20, load: 0.8, shares: {a: 1, big: 3}}
  concurrency: [1, 2]
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cotenant.profiler.experiments.kinds import ExperimentSpec

WAIT_MS = 2.0
QUEUE_BOUND = 1024
TURNS = 8  # of the deployed engines before and after a run: for rates and drift, the profile has cells of its own
LAG_MAX_US = 1000.0  # the generator's p99; later than that, latencies are the host's as well as the device's


class TenantSpec(BaseModel):
    """One entry of `deployment`; several may deploy one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    name: str | None = Field(default=None, min_length=1)
    max_batch: int | None = Field(default=None, ge=1)
    wait_us: float | None = Field(default=None, ge=0)
    wait_ms: float | None = Field(default=None, ge=0)
    deadline_ms: float | None = Field(default=None, gt=0)
    queue_bound: int = Field(default=QUEUE_BOUND, ge=1)

    @model_validator(mode="after")
    def _one_wait(self) -> Self:
        if self.wait_us is not None and self.wait_ms is not None:
            raise ValueError("give `wait_us` or `wait_ms`, not both")
        return self

    @property
    def wait_ns(self) -> int:
        """The waiting time."""
        if self.wait_us is not None:
            return round(self.wait_us * 1e3)
        return round((WAIT_MS if self.wait_ms is None else self.wait_ms) * 1e6)


class PieceSpec(BaseModel):
    """One entry of `schedule`: rates (requests per second by tenant) or an offered load with its shares by tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float | None = Field(default=None, gt=0)
    rates: dict[str, float] | None = None
    load: float | None = Field(default=None, gt=0)
    shares: dict[str, float] | None = None

    @model_validator(mode="after")
    def _rates_or_load(self) -> Self:
        if (self.rates is None) == (self.load is None):
            raise ValueError("give `rates` or `load`")
        if self.rates is not None and self.shares is not None:
            raise ValueError("`shares` divide a `load`; `rates` need none")
        for values in (self.rates, self.shares):
            if values is not None and (any(each < 0 for each in values.values()) or not any(values.values())):
                raise ValueError("rates and shares are not below 0, and one at least is above")
        return self


class ServingSpec(ExperimentSpec):
    """Keys of `kind: serving`."""

    deployment: tuple[TenantSpec, ...] = Field(min_length=1)
    loads: tuple[float, ...] = ()
    seconds: float | None = Field(default=None, gt=0)
    schedule: tuple[PieceSpec, ...] = ()
    concurrency: tuple[int, ...] | None = None
    order: str = "fifo"
    repeats: int = Field(default=1, ge=1, le=10_000)
    turns: int = Field(default=TURNS, ge=1, le=100_000)
    lag_max_us: float = Field(default=LAG_MAX_US, gt=0)

    @field_validator("concurrency", "loads", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _loads_or_schedule(self) -> Self:
        if bool(self.loads) == bool(self.schedule):
            raise ValueError("give `loads`, e.g. [0.3, 0.7], or a `schedule`")
        if self.schedule and self.seconds is not None:
            raise ValueError("`seconds` goes with `loads`; a schedule's entries have their own")
        if any(load <= 0 for load in self.loads):
            raise ValueError("loads are above 0")
        if len({piece.seconds is None for piece in self.schedule}) > 1:
            raise ValueError("either every entry of the schedule says `seconds`, or none does")
        return self
