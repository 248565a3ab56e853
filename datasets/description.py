"""What a dataset holds and says, as plain values and as the page that a person reads."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cotenant.datasets.trainable import Trainable
from cotenant.datasets.verdicts import REASONS

SLOWDOWNS_SHOWN = 5
REASONS_SHOWN = 12
UNKNOWN_REASON = "a word of a newer cotenant"


@dataclass(frozen=True)
class Slowdown:
    """One tenant's slowdown with names that people know."""

    engine: str
    beside: list[str]
    slowdown_ratio: float
    slowdown_lower_ratio: float | None
    slowdown_upper_ratio: float | None
    within_noise: bool | None
    concurrency_gain_ratio: float | None
    verdict: str
    experiment_id: str


@dataclass(frozen=True)
class Agreement:
    """How far two counter sources say the same of one percentage of the same engines; None where too few have both."""

    device_id: str
    metric: str
    source: str
    other: str
    engine_count: int
    rank_correlation: float | None
    median_ratio: float | None
    median_lower_ratio: float | None
    median_upper_ratio: float | None


@dataclass(frozen=True)
class Description:
    """What a dataset holds and says.

    Attributes:
        devices, engines, profiles: One line each, in plain words.
        row_counts: Table -> rows.
        experiment_counts: Kind -> experiments.
        verdict_counts, reason_counts: Word -> experiments.
        noise_floor_ratios: Device -> its noise floor; None where it is not known.
        slowdowns: Of tenants beside others, the largest first.
        within_noise_count, slowdown_count: Of these slowdowns.
        counter_sources: Counter source and set -> engines with a row of it.
        agreements: Of two sources each, by device and metric.
        predictors: Families of predictors of the literature, each with what is missing to train it from this dataset.
        missing: What is not there, and how to get it.
    """

    folder: str
    devices: list[str]
    engines: list[str]
    profiles: list[str]
    row_counts: dict[str, int]
    experiment_counts: dict[str, int]
    verdict_counts: dict[str, int]
    reason_counts: dict[str, int]
    noise_floor_ratios: dict[str, float | None]
    slowdowns: list[Slowdown]
    slowdown_count: int
    within_noise_count: int
    counter_sources: dict[str, int]
    agreements: list[Agreement]
    predictors: list[Trainable]
    missing: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Return what a person reads."""
        return "\n".join(_lines(self))


def _lines(found: Description) -> Iterator[str]:
    yield f"Dataset {found.folder}"
    yield "Measured on " + "; ".join(found.devices)
    yield f"Engines ({len(found.engines)}): " + ", ".join(found.engines)
    yield "Experiments: " + _counts(found.experiment_counts) + "; verdicts: " + _counts(found.verdict_counts)
    yield "Tables (rows): " + ", ".join(f"{name} {count:,}" for name, count in found.row_counts.items())
    for reason, count in list(found.reason_counts.items())[:REASONS_SHOWN]:
        yield f"  {count} x {reason}: {REASONS[reason].meaning if reason in REASONS else UNKNOWN_REASON}"
    if found.profiles:
        yield "Alone:"
        yield from (f"  {line}" for line in found.profiles)
    for device_id, floor in found.noise_floor_ratios.items():
        if floor is not None:
            of_device = f" of device {device_id}" if len(found.noise_floor_ratios) > 1 else ""
            yield f"Noise floor{of_device}: a slowdown up to {floor:.3f}x can be chance"
    if found.slowdown_count:
        yield (
            f"Side by side, {found.slowdown_count} slowdowns, of which {found.within_noise_count} cannot be told from "
            f"none; the largest:"
        )
        yield from (f"  {_sentence(slowdown)}" for slowdown in found.slowdowns[:SLOWDOWNS_SHOWN])
    if found.counter_sources:
        yield "Throughputs (engines): " + ", ".join(f"{name} {n}" for name, n in found.counter_sources.items())
    yield from _agreements(found.agreements)
    yield from _predictors(found.predictors)
    if found.missing:
        yield "Missing:"
        yield from (f"  {line}" for line in found.missing)


def _predictors(predictors: list[Trainable]) -> Iterator[str]:
    able = [found.predictor for found in predictors if not found.lacks]
    yield "Predictors that it can train: " + ("; ".join(able) or "none")
    yield from (f"  not {found.predictor}: no {'; no '.join(found.lacks)}" for found in predictors if found.lacks)


def _agreements(agreements: list[Agreement]) -> Iterator[str]:
    told = [found for found in agreements if found.median_ratio is not None]
    if told:
        yield "Where two counter sources tell the same percentage of the same engines:"
    for found in told:
        text = f"  {found.source} is {found.median_ratio:.2f}x {found.other}"
        if found.median_lower_ratio is not None and found.median_upper_ratio is not None:
            text += f" [{found.median_lower_ratio:.2f}, {found.median_upper_ratio:.2f}]"
        rank = "no order" if found.rank_correlation is None else f"rank correlation {found.rank_correlation:.2f}"
        yield f"{text} in {found.metric}, {rank} ({found.engine_count} engines)"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "none"


def _sentence(found: Slowdown) -> str:
    verb = "slows" if len(found.beside) == 1 else "slow"
    text = f"{' and '.join(found.beside)} {verb} {found.engine} {found.slowdown_ratio:.2f}x"
    if found.slowdown_lower_ratio is not None and found.slowdown_upper_ratio is not None:
        text += f" [{found.slowdown_lower_ratio:.2f}, {found.slowdown_upper_ratio:.2f}]"
    if found.concurrency_gain_ratio is not None:
        text += f", gain {found.concurrency_gain_ratio:.2f}"
    return text + (" (within noise)" if found.within_noise else "") + (", failed" if found.verdict == "failed" else "")
