"""Rows of throughputs by probes alone: for devices on which nobody may read counters.

Each percentage is the intensity of the probe of that resource which does the same to the full probe, and suffers the
same beside it, as the engine (calibration.py). It is the demand beside a neighbour: what an engine keeps in the cache
when alone, and fetches from memory when a neighbour streams through the cache, counts as memory traffic here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cotenant.datasets.calibration import FULL_PCT, Curve, Equivalent, Mutual, calibration_curve
from cotenant.datasets.columns import THROUGHPUTS
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.sensitivities import probe_of

Row = dict[str, Any]
PROBE = {"counter_source": "probe", "counter_set": "probe", "aggregation": "equivalent", "marks": []}
METRICS = {"compute": "sm_pct", "cache": "l2_pct", "dram": "dram_pct"}


def probe_rows(sensitivities: Sequence[Row], engines: Sequence[Row], devices: Sequence[Row]) -> list[Row]:
    """Return a row per engine and device with sensitivities, full probes apart: those calibrate."""
    models = {row["engine_id"]: str(row["model"]) for row in engines}
    floors = {row["device_id"]: row["noise_floor_ratio"] for row in devices}
    plain = [row for row in sensitivities if all(row[name] is None for name in ("share_pct", "probe_share_pct"))]
    plain = [row for row in plain if row["condition"] is None]
    curves = _curves(plain, models)
    groups: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in plain:
        own = probe_of(models.get(row["engine_id"]))
        if own is None or own[1] != FULL_PCT:
            by_isolation = groups.setdefault((row["engine_id"], row["device_id"]), {})
            by_isolation.setdefault(row["isolation"], []).append(row)
    return [_row(key, found, curves, floors.get(key[1])) for key, found in groups.items()]


def _curves(rows: Sequence[Row], models: Mapping[str, str]) -> dict[tuple[str, str, str], Curve]:
    """Return the calibration of each device, isolation and probe: the full probe beside the probe."""
    points: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for row in rows:
        mutual = _mutual(row)
        if probe_of(models.get(row["engine_id"])) == (row["probe"], FULL_PCT) and mutual is not None:
            key = row["device_id"], row["isolation"], row["probe"]
            points.setdefault(key, []).append((row["intensity_pct"], mutual.ratio))
    curves = {key: calibration_curve(found) for key, found in points.items()}
    return {key: curve for key, curve in curves.items() if curve is not None}


def _mutual(row: Row) -> Mutual | None:
    """Return the product of a row's two slowdowns; None where one is unknown or nothing ran side by side."""
    found = []
    for end in ("", "_lower", "_upper"):
        slowdown, pressure = row[f"slowdown{end}_ratio"], row[f"pressure{end}_ratio"]
        if not slowdown or not pressure:
            return None
        found.append(slowdown * pressure)
    return None if row["verdict"] == "failed" else Mutual(*found)


def _row(
    key: tuple[str, str],
    by_isolation: Mapping[str, list[Row]],
    curves: Mapping[tuple[str, str, str], Curve],
    floor_ratio: float | None,
) -> Row:
    isolation, rows = max(by_isolation.items(), key=lambda item: (sum(row["quad_count"] for row in item[1]), item[0]))
    full = {row["probe"]: row for row in rows if row["intensity_pct"] == FULL_PCT}
    found = {
        metric: _equivalent(full.get(probe), curves.get((key[1], isolation, probe)), floor_ratio)
        for probe, metric in METRICS.items()
    }
    values = {"engine_id": key[0], "device_id": key[1], "isolation": isolation, **PROBE}
    reasons: dict[str, str | None] = {c.name: "not_measured" for c in THROUGHPUTS.columns if c.nullable}
    reasons |= {metric: equivalent.reason for metric, equivalent in found.items()}
    return row_of(THROUGHPUTS, values | {metric: each.pct for metric, each in found.items()}, reasons)


def _equivalent(row: Row | None, curve: Curve | None, floor_ratio: float | None) -> Equivalent:
    if row is None:
        return Equivalent(None, "no_full_probe")
    if row["verdict"] == "failed":
        return Equivalent(None, "failed_experiment")
    mutual = _mutual(row)
    if mutual is None:
        return Equivalent(None, "too_few_blocks")
    if curve is None:
        return Equivalent(None, "not_calibrated")
    floor = max(1.0, floor_ratio or 1.0)
    return curve.intensity(mutual, floor * floor)  # each of the two slowdowns may reach so far
