"""Numbers in another unit than their name says: a factor of 1000 (or of 2^10, or percent as a ratio) is seen."""

from collections.abc import Iterator, Mapping
from typing import Any

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables

# Widest that real devices have, with room: from embedded boards to the largest accelerators and hosts.
PLAUSIBLE = {
    ("devices", "l2_bytes"): (1 << 16, 1 << 33),
    ("devices", "dram_bytes"): (1 << 28, 1 << 44),
    ("devices", "datasheet_flop_per_s"): (1e9, 1e17),
    ("devices", "datasheet_dram_bytes_per_s"): (1e9, 1e14),
    ("devices", "peak_flop_per_s"): (1e8, 1e17),
    ("devices", "peak_cache_bytes_per_s"): (1e8, 1e15),
    ("devices", "peak_dram_bytes_per_s"): (1e8, 1e14),
    ("solo_profiles", "sm_clock_mhz"): (50, 10_000),
    ("throughputs", "sm_clock_mhz"): (50, 10_000),
    ("throughputs", "memory_clock_mhz"): (50, 30_000),
}
FACTOR_MAX = 30.0  # two medians of one engine alone; conditions and shares are apart, and a slip makes 1000
PERCENTAGES = ("sm_pct", "l2_pct", "dram_pct", "memory_pct")
ENGINES_MIN = 2  # one may do next to nothing


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare numbers with what can be, and with each other."""
    for (table, column), (low, high) in PLAUSIBLE.items():
        for row in small.rows[table]:
            value = row[column]
            if value is not None and not low <= value <= high:
                yield table, f"{column} {value:g} is no value of a real device ({low:g} to {high:g}): another unit?"
    yield from _spans(small)
    yield from _percentages(small)


def _spans(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare an experiment's own solo medians with the profiles that they should be like."""
    profiles: dict[tuple[str, str], list[float]] = {}
    for row in small.rows["solo_profiles"]:
        if row["span_p50_ns"]:
            profiles.setdefault((row["engine_id"], row["device_id"]), []).append(row["span_p50_ns"])
    for row in small.rows["slowdowns"]:
        own, known = row["solo_p50_ns"], profiles.get((row["engine_id"], row["device_id"]))
        if own and known and not min(known) / FACTOR_MAX <= own <= max(known) * FACTOR_MAX:
            yield (
                "slowdowns",
                f"experiment {row['experiment_id']}, tenant {row['tenant']}: solo_p50_ns {own:g} beside a solo profile "
                f"of {known[0]:g}: another unit?",
            )


def _percentages(small: SmallTables) -> Iterator[tuple[str, str]]:
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in small.rows["throughputs"]:
        groups.setdefault((row["device_id"], row["counter_source"], row["counter_set"]), []).append(row)
    for (_, source, chosen), rows in groups.items():
        largest = [max((row[name] or 0.0 for name in PERCENTAGES), default=0.0) for row in rows]
        if len(rows) >= ENGINES_MIN and 0 < max(largest) <= 1:
            yield "throughputs", f"no percentage of {source} {chosen} exceeds 1 over {len(rows)} engines: ratios?"


CHECK = DatasetCheck("units", run)
