"""The plain sentence that a co-location ends with: who slows whom by how much, and how far that can be trusted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]

NEXT_STEPS = {  # reason of a verdict -> what to do about it
    "serialised": "choose another --isolation",
    "self_test_failed": "choose another --isolation",
    "canary_drift": "measure again in a new --out when the machine is quiet",
    "cap_reached": "allow more quads (`look_quads`) in a spec",
    "too_few_samples": "allow longer blocks (`block_s`) in a spec",
    "oversubscribed": "use no more --lanes than there are cores",
    "enqueue_bound": "measure longer executions (a larger --batch)",
    "no_core_for_host": "use fewer --lanes, so that a core is left",
    "device_not_idle": "measure again when it is idle",
    "throttled": "let it cool, or have its power limit raised",
    "foreign_load": "stop the other programs",
    "stolen": "measure when its host is quiet",
    "quota_throttled": "raise the quota, or use fewer --lanes",
}


def sentence(slowdowns: Sequence[Row], experiment: Row) -> str:
    """Return e.g. `b slows a 1.32x [1.29, 1.35], a slows b 1.08x [1.06, 1.10]; they ran concurrently (gain 1.6)`."""
    parts = [f"{_who_slows(row, _but(row, slowdowns))} {_ratio(row)}" for row in slowdowns]
    return f"{', '.join(parts)}; {_together(experiment)}"


def overlap_sentence(slowdowns: Sequence[Row], beside_pct: Mapping[str, float | None]) -> str:
    """Return e.g. `b slows a 1.01x [1.00, 1.02] with 20 % of a overlapped, a and c slow b 1.3x ... with 96 % of b`.

    Tenants that follow each other on one lane are never beside each other.
    """
    parts = []
    for row in slowdowns:
        others = [other for other in slowdowns if other["lane"] != row["lane"]]
        parts.append(f"{_who_slows(row, others)} {_ratio(row)} {_overlapped(row['tenant'], beside_pct)}")
    return ", ".join(parts)


def sweep_sentence(points: Sequence[Row]) -> str:
    """Return what the most and the least overlap did to each tenant of an offset sweep.

    `points` are results of one offset each, with `slowdowns` in one order of tenants and `beside_pct` by tenant.
    """
    parts = []
    for place, row in enumerate(points[0]["slowdowns"]):
        told = [
            f"{_ratio(point['slowdowns'][place])} {_overlapped(row['tenant'], point['beside_pct'])}"
            for point in _most_and_least(points, row["tenant"])
        ]
        parts.append(f"{_who_slows(row, _but(row, points[0]['slowdowns']))} {', '.join(told)}")
    return "; ".join(parts)


def _most_and_least(points: Sequence[Row], tenant: str) -> list[Row]:
    """Return the points where most and least of a tenant was overlapped; one if there is no other."""
    ordered = sorted(points, key=lambda point: -(point["beside_pct"][tenant] or 0.0))
    return [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered


def doubts(experiment: Row, next_steps: Mapping[str, str] = NEXT_STEPS) -> list[str]:
    """Return one line for each reason of the verdict: what it means and what to do about it."""
    from cotenant.datasets.verdicts import REASONS

    lines = []
    for reason in experiment["verdict_reasons"]:
        next_step = f"; {next_steps[reason]}" if reason in next_steps else ""
        lines.append(f"{reason}: {REASONS[reason].meaning}{next_step}")
    return lines


def doubt_lines(results: Sequence[tuple[str, Row]]) -> Iterator[str]:
    """Yield each doubt of named results once, with the names of those that it is about where it is not about all."""
    about: dict[str, list[str]] = {}
    for name, result in results:
        for doubt in result["doubts"]:
            about.setdefault(f"{result['verdict']}: {doubt}", []).append(name)
    for line, names in about.items():
        yield line if len(names) == len(results) else f"{line} ({'; '.join(names)})"


def _who_slows(row: Row, others: Sequence[Row]) -> str:
    """Return e.g. `b and c slow a`."""
    *first, last = (str(other["tenant"]) for other in others)
    names = f"{', '.join(first)} and {last}" if first else last
    return f"{names} {'slow' if first else 'slows'} {row['tenant']}"


def _but(row: Row, slowdowns: Sequence[Row]) -> list[Row]:
    return [other for other in slowdowns if other["tenant"] != row["tenant"]]


def _ratio(row: Row) -> str:
    ratio = row["slowdown_ratio"]
    if ratio is None:
        return "by an unknown factor (too few samples)"
    told = f"{ratio:.2f}x [{row['slowdown_lower_ratio']:.2f}, {row['slowdown_upper_ratio']:.2f}]"
    return f"{told} (within noise)" if row["within_noise"] else told


def _overlapped(tenant: str, beside_pct: Mapping[str, float | None]) -> str:
    part_pct = beside_pct[tenant]
    part = "an unknown part" if part_pct is None else f"{part_pct:.0f} %"
    return f"with {part} of {tenant} overlapped"


def _together(experiment: Row) -> str:
    gain = experiment["concurrency_gain_ratio"]
    if gain is None:
        return "whether they ran concurrently is unknown"
    if "serialised" in experiment["verdict_reasons"]:
        return f"they did not run concurrently (gain {gain:.1f})"
    if "enqueue_bound" in experiment["verdict_reasons"]:
        return f"their lanes waited for the host, so the gain ({gain:.1f}) says nothing of the device"
    return f"they ran concurrently (gain {gain:.1f})"
