"""What may be chosen about features, stored with every feature set; the set's name follows from it."""

import re
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from cotenant.models.errors import UserError

FEATURES_VERSION = "1.0"  # of what the columns mean; a new major number where old predictors must not read new features

METRICS = {  # by name: columns of the throughputs table, for ablations
    "paper": ("sm_pct", "l2_pct", "dram_pct"),
    "tensor": ("tensor_pct",),
    "occupancy": ("occupancy_pct",),
    "issue": ("issue_pct",),
    "memory": ("memory_pct",),
    "bytes_per_s": ("l2_bytes_per_s", "dram_bytes_per_s"),
}
STARTS = {
    "first": "the first interval's throughput is where the average starts; each later interval is a step",
    "zero": "the average starts at 0; the first interval is a step like each later one",
}
COMBINES = {"sum": "sum over the co-runners", "max": "maximum over the co-runners"}
DENOMINATORS = {"p50": "median of the solo span", "p95": "95th percentile of the solo span"}
COALESCE_NS = 20_000


@dataclass(frozen=True)
class FeatureOptions:
    """One choice of everything that is open.

    Attributes:
        source, counter_set: Whose throughputs; never mixed.
        metrics: Names of METRICS, in that order.
        alphas: Smoothing factors as fractions in lowest terms, such as 1/3, rising.
        ewma_start: A word of STARTS.
        coalesce_ns: Inner intervals shorter than this are left out of the average.
        combine: A word of COMBINES.
        denominator: A word of DENOMINATORS, for the lost fraction.
    """

    source: str
    counter_set: str
    metrics: tuple[str, ...] = ("paper",)
    alphas: tuple[str, ...] = ("1/3", "1/2", "2/3")
    ewma_start: str = "first"
    coalesce_ns: int = COALESCE_NS
    combine: str = "sum"
    denominator: str = "p50"
    labels: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", _ordered_metrics(self.metrics))
        object.__setattr__(self, "alphas", _lowest_terms(self.alphas))
        object.__setattr__(self, "labels", tuple(f"{round(100 * value):02d}" for value in self.alpha_values))
        if len(set(self.labels)) < len(self.labels):
            raise UserError(f"alphas {', '.join(self.alphas)}: two of them are the same in percent; leave one out")
        for name, words in (("ewma_start", STARTS), ("combine", COMBINES), ("denominator", DENOMINATORS)):
            if getattr(self, name) not in words:
                raise UserError(f"{name} {getattr(self, name)!r} is none of {', '.join(words)}")
        if self.coalesce_ns < 0:
            raise UserError(f"coalesce_ns is {self.coalesce_ns}; it is at least 0, which leaves every interval in")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the throughputs table that features are made of."""
        return tuple(column for name in self.metrics for column in METRICS[name])

    @property
    def alpha_values(self) -> tuple[float, ...]:
        """The smoothing factors as numbers."""
        return tuple(float(Fraction(alpha)) for alpha in self.alphas)

    @property
    def name(self) -> str:
        """Name of the feature set: source, set and metrics, then whatever is not as by default."""
        default = FeatureOptions(self.source, self.counter_set)
        parts = [self.source, re.sub(r"[^A-Za-z0-9_.]", "_", self.counter_set), "+".join(self.metrics)]
        if self.alphas != default.alphas:
            parts.append("alpha_" + "_".join(alpha.replace("/", "over") for alpha in self.alphas))
        if self.ewma_start != default.ewma_start:
            parts.append(f"start_{self.ewma_start}")
        if self.coalesce_ns != default.coalesce_ns:
            parts.append(f"coalesce_{self.coalesce_ns}")
        parts += [getattr(self, n) for n in ("combine", "denominator") if getattr(self, n) != getattr(default, n)]
        return "-".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        stored = {name: value for name, value in asdict(self).items() if name != "labels"}
        return {**stored, "metrics": list(self.metrics), "alphas": list(self.alphas)}


def options_of(stored: dict[str, Any]) -> FeatureOptions:
    """Return the options that `as_dict` wrote; TypeError, ValueError or UserError where they are none."""
    return FeatureOptions(**{**stored, "metrics": tuple(stored["metrics"]), "alphas": tuple(stored["alphas"])})


def _ordered_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UserError(f"metrics {', '.join(unknown) or 'are none'}; choose from {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in names)


def _lowest_terms(alphas: tuple[str, ...]) -> tuple[str, ...]:
    found = set()
    for text in alphas:
        try:
            alpha = Fraction(text)
        except (ValueError, ZeroDivisionError) as error:
            raise UserError(f"alpha {text!r} is no number; write it as 0.5 or 1/3") from error
        if not 0 < alpha <= 1:
            raise UserError(f"alpha {text} is not above 0 and at most 1")
        found.add(alpha)
    return tuple(str(alpha) for alpha in sorted(found))
