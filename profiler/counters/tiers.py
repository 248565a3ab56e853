"""Counter sources in order of preference: what a spec asks for, what this machine allows, and which one is used.

ncu        Nsight Compute: every counter of the paper; needs the driver's permission
gpm        NVML's GPM, Hopper and newer: compute and memory throughput, no L2; sampled while the engine runs
analytic   operator costs over measured time; always there, so naming it means: go on without counters
probe      slowdowns beside calibrated probes; needs `kind: sensitivity` experiments and no permission
simulated  the device file of a simulated device; the runner knows it, nobody chooses it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cotenant.models.errors import UserError
from cotenant.profiler.counters.ncu.options import TIMEOUT_S

Source = Literal["ncu", "gpm", "analytic", "probe"]
SetName = Literal["paper", "single"]
SETS: tuple[SetName, ...] = ("paper", "single")
AUTOMATIC: tuple[Source, ...] = ("ncu", "gpm", "analytic")
PROFILED = ("ncu", "gpm")  # sources whose rows this stage makes; analytic and probe rows are derived from experiments
TIMEOUT_MAX_S = 86_400.0


class CountersSpec(BaseModel):
    """What a spec says of counters; without it none are profiled.

    Attributes:
        sources: In order of preference: the first that this machine allows is used.
        sets: Counter sets of ncu, each profiled by itself.
        reuse_kernels: Replay one of each group of identical kernels only, in the set `paper`.
        timeout_s: Of one run of ncu.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[Source, ...] = Field(min_length=1)
    sets: tuple[SetName, ...] = Field(default=SETS, min_length=1)
    reuse_kernels: bool = False
    timeout_s: float = Field(default=TIMEOUT_S, gt=0, le=TIMEOUT_MAX_S)

    @field_validator("sources", "sets")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names something twice; name each once")
        return names


@dataclass(frozen=True)
class Tier:
    """Whether this machine allows one source.

    Attributes:
        state: `unknown` = only a trial tells; it is tried.
        value: What was found, in words; where it is not allowed, why.
        remedy: The next step; None where there is nothing to do.
    """

    source: str
    state: Literal["yes", "no", "unknown"]
    value: str
    remedy: str | None = None

    def refusal(self) -> str:
        """Return one sentence: why it is not there, and the fix."""
        return f"{self.source}: {self.value}" + (f" ({self.remedy})" if self.remedy else "")


@dataclass(frozen=True)
class Choice:
    """The source in force, those that were refused before it, and those that may still be fallen back to.

    Attributes:
        refused: One sentence for each source listed before `source`.
        left: Tiers of the sources listed after it, in order.
    """

    source: str
    refused: tuple[str, ...] = ()
    left: tuple[Tier, ...] = ()

    @property
    def is_fallback(self) -> bool:
        """Whether a source listed before this one was not available."""
        return bool(self.refused)

    def told(self) -> str | None:
        """Return the line for people where it is a fallback, else None."""
        if not self.is_fallback:
            return None
        marked = ", marked `fallback`" if self.source in PROFILED else ""
        return f"counters come from `{self.source}`{marked}; not available: {'; '.join(self.refused)}"

    def without(self, reason: str) -> "Choice":
        """Return the choice after a trial has refused the source in force.

        Raises:
            UserError: No source that may be fallen back to is available.
        """
        refused = (*self.refused, f"{self.source}: {reason}")
        return _first_available(refused, self.left)


def choose(sources: Sequence[str], tiers: Mapping[str, Tier]) -> Choice:
    """Return the first of the sources that is allowed.

    Raises:
        UserError: None is, with every reason and fix.
    """
    return _first_available((), tuple(tiers[source] for source in sources))


def _first_available(refused: tuple[str, ...], left: Sequence[Tier]) -> Choice:
    for index, tier in enumerate(left):
        if tier.state != "no":
            return Choice(tier.source, refused, tuple(left[index + 1 :]))
        refused = (*refused, tier.refusal())
    raise UserError(
        f"no counter source that the spec lists is available: {'; '.join(refused)}; or list another in"
        " `counters: sources`, as in [ncu, analytic]"
    )


def merged(tier: Tier, doubt: str | None) -> Tier:
    """Return a tier with a doubt: what is not refused becomes something that only a trial tells."""
    if doubt is None or tier.state == "no":
        return tier
    return replace(tier, state="unknown", value=f"{tier.value}; {doubt}")
