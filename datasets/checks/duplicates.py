"""The same measurement under different keys: a stale file read again, or one result stored for several settings.

Two measurements of a real device never agree in every digit of an estimate and both its bounds. Simulated devices may
(noise can be switched off), so they are left out. Imported numbers are rounded and may agree by chance: there a part of
the rows is the limit.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables

Row = Mapping[str, Any]
ESTIMATES = {  # table -> (what tells its rows apart, numbers that do not repeat by chance)
    "slowdowns": (
        ("experiment_id", "tenant"),
        ("slowdown_ratio", "slowdown_lower_ratio", "slowdown_upper_ratio", "solo_p50_ns", "co_run_p50_ns"),
    ),
    "solo_profiles": (
        ("engine_id", "isolation", "share_pct", "pattern", "condition"),
        ("span_mean_ns", "span_std_ns", "span_p50_ns", "span_p95_ns", "span_min_ns", "sample_count"),
    ),
    "experiments": (
        ("experiment_id",),
        ("span_p95_first_half_ns", "span_p95_second_half_ns", "latency_p95_first_half_ns", "lone_slowdown_ratio"),
    ),
}
IMPORTED_PART_MAX = 0.1  # of imported rows; 600 of 750 rows of one public campaign were copies of the others


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare the estimates of each table with each other, device by device."""
    simulated = {row["device_id"] for row in small.rows["devices"] if row["kind"] == "simulated"}
    for table, (key, numbers) in ESTIMATES.items():
        rows = [row for row in small.rows[table] if row["device_id"] not in simulated]
        measured = [row for row in rows if row.get("source", "measured") == "measured"]
        for first, second in _repeated(measured, ("device_id", *numbers)):
            yield table, f"{_named(second, key)} repeats {_named(first, key)} to the last digit: a file read twice?"
    yield from _imported([row for row in small.rows["slowdowns"] if row["source"] == "imported"])


def _imported(rows: list[Row]) -> Iterator[tuple[str, str]]:
    by_median = list(_repeated(rows, ("device_id", "solo_p50_ns", "co_run_p50_ns")))
    by_mean = list(_repeated(rows, ("device_id", "solo_mean_ns", "co_run_mean_ns")))
    repeats = max(by_median, by_mean, key=len)
    if len(repeats) > IMPORTED_PART_MAX * len(rows):
        first, second = repeats[0]
        yield (
            "slowdowns",
            f"{len(repeats)} of {len(rows)} imported rows repeat another, the first "
            f"{_named(second, ('experiment_id', 'tenant'))} that of {_named(first, ('experiment_id', 'tenant'))}",
        )


def _repeated(rows: Iterable[Row], columns: tuple[str, ...]) -> Iterator[tuple[Row, Row]]:
    """Yield (first row, later row with the same values), where all values are known."""
    seen: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        values = tuple(row[name] for name in columns)
        if None in values:
            continue
        first = seen.setdefault(values, row)
        if first is not row:
            yield first, row


def _named(row: Row, key: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {row[name]}" for name in key if row[name] is not None)


CHECK = DatasetCheck("duplicates", run)
