"""Features by definition alone, in plain Python with exact numbers: from executions, one after the other.

An execution's intervals are cut at every stamp of all others; who runs in a cut is asked of everyone. Nothing of
cotenant is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

Value = Fraction | None
Vector = list[Value]


@dataclass(frozen=True)
class Run:
    """One execution; `engine` is a place among the throughputs."""

    lane: int
    engine: int
    dispatched_ns: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Choices:
    """What is open about features, told without the words of the options."""

    alphas: Sequence[Fraction]
    from_zero: bool
    coalesce_ns: int
    by_max: bool


@dataclass(frozen=True)
class Interval:
    duration_ns: int
    others: frozenset[int]


def intervals(runs: Sequence[Run], own: int) -> list[Interval]:
    """Cut an execution at all stamps within it and join neighbours with the same others."""
    me = runs[own]
    stamps = {stamp for run in runs for stamp in (run.start_ns, run.end_ns)}
    cuts = sorted({me.start_ns, me.end_ns, *(stamp for stamp in stamps if me.start_ns < stamp < me.end_ns)})
    found: list[Interval] = []
    for begin, end in pairwise(cuts):
        beside = {i for i, run in enumerate(runs) if i != own and run.start_ns <= begin and end <= run.end_ns}
        if found and found[-1].others == beside:
            found[-1] = Interval(found[-1].duration_ns + end - begin, found[-1].others)
        else:
            found.append(Interval(end - begin, frozenset(beside)))
    return found


def together(runs: Sequence[Run], others: Sequence[int], throughputs: Sequence[Vector], by_max: bool) -> Vector:
    """Add or take the largest of co-runners' throughputs, metric by metric; unknown if that of one is."""
    found: Vector = []
    for metric in range(len(throughputs[0])):
        values = [throughputs[runs[other].engine][metric] for other in others]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            found.append(None)
        elif by_max:
            found.append(max(known, default=Fraction(0)))
        else:
            found.append(sum(known, start=Fraction(0)))
    return found


def steps(own: Sequence[Interval], coalesce_ns: int) -> list[Interval]:
    """Leave out short inner intervals, then join neighbours with the same others."""
    last = len(own) - 1
    long_enough = [each for k, each in enumerate(own) if k in (0, last) or each.duration_ns >= coalesce_ns]
    return [each for k, each in enumerate(long_enough) if k == 0 or each.others != long_enough[k - 1].others]


def average(values: Sequence[Value], alpha: Fraction, from_zero: bool) -> Value:
    """Return R after all steps; unknown if any of them is."""
    if any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    result, rest = (Fraction(0), known) if from_zero else (known[0], known[1:])
    for value in rest:
        result = alpha * value + (1 - alpha) * result
    return result


def features(runs: Sequence[Run], throughputs: Sequence[Vector], choices: Choices) -> list[dict[str, Vector]]:
    """Return for each execution: group of features -> one value for each metric."""
    found = []
    for place, run in enumerate(runs):
        own = intervals(runs, place)
        beside = [together(runs, sorted(each.others), throughputs, choices.by_max) for each in own]
        stepped = [
            together(runs, sorted(each.others), throughputs, choices.by_max) for each in steps(own, choices.coalesce_ns)
        ]
        seen = [
            other
            for other, each in enumerate(runs)
            if each.lane != run.lane and each.start_ns <= run.dispatched_ns < each.end_ns
        ]
        span_ns = sum(each.duration_ns for each in own)
        weighted = [
            weighed([(Fraction(each.duration_ns, span_ns), value) for each, value in zip(own, column, strict=True)])
            for column in zip(*beside, strict=True)
        ]
        groups = {
            "self": throughputs[run.engine],
            "static": together(runs, seen, throughputs, choices.by_max),
            "static_start": beside[0],
            "weighted": weighted,
        }
        for number, alpha in enumerate(choices.alphas):
            columns = zip(*stepped, strict=True)
            groups[f"ewma {number}"] = [average(column, alpha, choices.from_zero) for column in columns]
        found.append(groups)
    return found


def weighed(parts: Sequence[tuple[Fraction, Value]]) -> Value:
    """Return the weighted sum; unknown if any value is."""
    total = Fraction(0)
    for weight, value in parts:
        if value is None:
            return None
        total += weight * value
    return total
