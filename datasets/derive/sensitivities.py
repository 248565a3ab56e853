"""The sensitivities table: experiments of an engine beside a probe, by probe and intensity.

Repeats are pooled: the mean of their log ratios, weighted by quads, with bounds as of independent estimates. One
experiment keeps its own numbers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cotenant.datasets.columns import SENSITIVITIES
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.solo import granted
from cotenant.datasets.words import PROBES, VERDICTS

Row = dict[str, Any]
KIND = "sensitivity"
ENDS = ("", "_lower", "_upper")
WORST_FIRST = list(VERDICTS)[::-1]


def probe_of(model: object) -> tuple[str, int] | None:
    """Return (resource, intensity in percent) of a calibrated probe's model name; None for any other model."""
    word, _, rest = str(model).partition(":")
    kind, _, intensity = rest.partition(":")
    if word != "probe" or kind not in PROBES or not intensity.isdecimal() or int(intensity) > 100:
        return None
    return kind, int(intensity)


def sensitivity_rows(experiments: Sequence[Row], slowdowns: Sequence[Row], engines: Sequence[Row]) -> list[Row]:
    """Return one row per engine, device, isolation, shares, condition, probe and intensity."""
    models = {row["engine_id"]: row["model"] for row in engines}
    own: dict[str, list[Row]] = {}
    for row in slowdowns:
        if row["kind"] == KIND:
            own.setdefault(row["experiment_id"], []).append(row)
    groups: dict[tuple[Any, ...], list[tuple[Row, Row, Row]]] = {}
    for experiment in sorted(experiments, key=lambda row: str(row["experiment_id"])):
        for engine, probe in _sides(experiment, own.get(experiment["experiment_id"], [])):
            found = probe_of(models.get(probe["engine_id"]))
            if found is not None:
                key = _key(experiment, engine, probe, found)
                groups.setdefault(key, []).append((experiment, engine, probe))
    return [_row(dict(zip(SENSITIVITIES.key, key, strict=True)), group) for key, group in groups.items()]


def _sides(experiment: Row, slowdowns: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return the engine's and the probe's slowdown: the first tenant is the engine."""
    by_tenant = {row["tenant"]: row for row in slowdowns}
    names = list(experiment["tenants"])
    if experiment["kind"] != KIND or len(names) != 2 or set(names) != set(by_tenant):
        return []
    return [(by_tenant[names[0]], by_tenant[names[1]])]


def _key(experiment: Row, engine: Row, probe: Row, found: tuple[str, int]) -> tuple[Any, ...]:
    shares = [_share(experiment, side["lane"]) for side in (engine, probe)]
    where = engine["engine_id"], experiment["device_id"], experiment["isolation_observed"]
    return *where, *shares, experiment["condition"], found[0], float(found[1])


def _share(experiment: Row, lane: int) -> float | None:
    shares = experiment["lane_share_pct"]
    return None if shares is None or not 0 <= lane < len(shares) else granted(shares[lane])


def _row(key: Mapping[str, Any], group: Sequence[tuple[Row, Row, Row]]) -> Row:
    verdicts = {str(experiment["verdict"]) for experiment, _, _ in group}
    values = {
        **key,
        **_pooled("slowdown", [engine for _, engine, _ in group]),
        **_pooled("pressure", [probe for _, _, probe in group]),
        "quad_count": sum(min(engine["quad_count"], probe["quad_count"]) for _, engine, probe in group),
        "experiment_ids": [experiment["experiment_id"] for experiment, _, _ in group],
        "verdict": next((word for word in WORST_FIRST if word in verdicts), "failed"),
    }
    reasons = {f"{name}{end}_ratio": "too_few_blocks" for name in ("slowdown", "pressure") for end in ENDS}
    shares = {"share_pct": "whole_device", "probe_share_pct": "whole_device", "condition": "not_applicable"}
    return row_of(SENSITIVITIES, values, {**reasons, **shares})


def _pooled(name: str, rows: Sequence[Row]) -> dict[str, float | None]:
    """Return a ratio with its bounds over all of a row's experiments."""
    if len(rows) == 1:
        return {f"{name}{end}_ratio": rows[0][f"slowdown{end}_ratio"] for end in ENDS}
    known = [row for row in rows if row["slowdown_ratio"] and row["quad_count"] > 0]
    quads = sum(row["quad_count"] for row in known)
    if not known:
        return {f"{name}{end}_ratio": None for end in ENDS}
    weights = [row["quad_count"] / quads for row in known]
    logs = [math.log(row["slowdown_ratio"]) for row in known]
    mean = math.fsum(weight * log for weight, log in zip(weights, logs, strict=True))
    found: dict[str, float | None] = {f"{name}_ratio": math.exp(mean)}
    for end, sign in (("_lower", -1), ("_upper", 1)):
        bounds = [row[f"slowdown{end}_ratio"] for row in known]
        halves = [abs(math.log(bound) - log) for bound, log in zip(bounds, logs, strict=True) if bound]
        total = math.sqrt(math.fsum((w * h) ** 2 for w, h in zip(weights, halves, strict=False)))
        found[f"{name}{end}_ratio"] = math.exp(mean + sign * total) if len(halves) == len(known) else None
    return found
