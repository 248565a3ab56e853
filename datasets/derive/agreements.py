"""The agreements table: every two counter sources and sets of a device, metric by metric, over the engines of both."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from cotenant.datasets.agreement import median_ratio, rank_correlation
from cotenant.datasets.columns import AGREEMENTS, THROUGHPUTS
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.statistics import seed_of

Row = dict[str, Any]
ENGINES_MIN = 3  # two engines are in the same order or in the other, whatever the sources are worth
METRICS = tuple(column.name for column in THROUGHPUTS.columns if column.unit == "percent")
PROBE_PREFIX = "probe:"
RATIOS = ("median_ratio", "median_lower_ratio", "median_upper_ratio")


def agreement_rows(throughputs: Sequence[Row], engines: Sequence[Row]) -> list[Row]:
    """Return a row for each two sources of a device and metric that any engine has both of; probes are left out."""
    models = {row["engine_id"]: str(row["model"]) for row in engines}
    sides: dict[str, dict[tuple[str, str], dict[str, Row]]] = {}
    for row in throughputs:
        if not models.get(row["engine_id"], "").startswith(PROBE_PREFIX):
            source = row["counter_source"], row["counter_set"]
            sides.setdefault(row["device_id"], {}).setdefault(source, {})[row["engine_id"]] = row
    return [row for device_id, sources in sorted(sides.items()) for row in _of_device(device_id, sources)]


def _of_device(device_id: str, sources: dict[tuple[str, str], dict[str, Row]]) -> Iterator[Row]:
    for first, second in combinations(sorted(sources), 2):
        both = sorted(sources[first].keys() & sources[second].keys())
        for metric in METRICS:
            values = [(sources[first][engine][metric], sources[second][engine][metric]) for engine in both]
            known = [(a, b) for a, b in values if a is not None and b is not None]
            if known:
                yield _row((device_id, metric, *first, *second), known)


def _row(key: tuple[str, ...], pairs: Sequence[tuple[float, float]]) -> Row:
    values: Row = {**dict(zip(AGREEMENTS.key, key, strict=True)), "engine_count": len(pairs)}
    if len(pairs) < ENGINES_MIN:
        return row_of(AGREEMENTS, values, dict.fromkeys(("rank_correlation", *RATIOS), "too_few_engines"))
    first, second = [list(side) for side in zip(*pairs, strict=True)]
    ratio = median_ratio(first, second, seed_of(*key))
    values |= {"rank_correlation": rank_correlation(first, second)}
    values |= dict(zip(RATIOS, (ratio.value, ratio.lower, ratio.upper), strict=True))
    return row_of(AGREEMENTS, values, {"rank_correlation": "no_spread", **dict.fromkeys(RATIOS, "too_few_engines")})
