"""Throughputs by operator costs and by probes are derived again; those of kernels follow from their kernels.

What measured rows take from a solo profile is what that says.
"""

import math
from collections.abc import Iterator
from typing import Any

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import THROUGHPUTS
from cotenant.datasets.derive.probe_throughputs import probe_rows
from cotenant.datasets.derive.throughputs import BYTE_RATES, COMPUTED, throughput_rows
from cotenant.datasets.differences import differences

Row = dict[str, Any]
CLOSE = 1e-6  # runners may round what they tell
KEY = THROUGHPUTS.key
ONE_AFTER_THE_OTHER = ("simulated",)  # sources whose kernels of one execution never overlap


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Derive the computed rows again, and weigh kernels by their durations."""
    stored, engines, devices = (small.rows[name] for name in ("throughputs", "engines", "devices"))
    analytic = [row for row in stored if row["counter_source"] == "analytic"]
    again = throughput_rows(engines, devices, small.rows["solo_profiles"])
    yield from differences("throughputs", analytic, again, KEY, "costs, peaks and solo profile say")
    by_probes = [row for row in stored if row["counter_source"] == "probe"]
    again = probe_rows(small.rows["sensitivities"], engines, devices)
    yield from differences("throughputs", by_probes, again, KEY, "sensitivities say")
    yield from _completions(small, [row for row in stored if row["counter_source"] not in COMPUTED])
    kernels: dict[tuple[str, ...], list[Row]] = {}
    for row in small.rows["kernels"]:
        kernels.setdefault(tuple(row[name] for name in KEY), []).append(row)
    known = {tuple(row[name] for name in KEY): row for row in stored}
    for key, own in kernels.items():
        yield from (("kernels", f"{', '.join(key)}: {fault}") for fault in _faults(own, known.get(key)))


def _completions(small: SmallTables, measured: list[Row]) -> Iterator[tuple[str, str]]:
    profiles = small.profiles.best()
    for row in measured:
        if row["isolation"] is None:
            continue
        of = f"of engine {row['engine_id']} by {row['counter_source']}"
        profile = profiles.get((row["engine_id"], row["device_id"]))
        if profile is None or profile["isolation"] != row["isolation"]:
            yield "throughputs", f"isolation {of} is of no solo profile that stands there"
            continue
        apart = row["counter_source"] == "ncu" and row["aggregation"] == "kernel_wmean"  # no time between kernels
        if apart and row["wall_ns"] != profile["span_p50_ns"]:
            yield "throughputs", f"wall_ns {of} is {row['wall_ns']}, its solo profile says {profile['span_p50_ns']}"
        for rate, amount in BYTE_RATES.items():
            if row[rate] is not None and row[amount] is not None:
                per_s = row[amount] / (profile["span_p50_ns"] * 1e-9)
                if not math.isclose(row[rate], per_s, rel_tol=CLOSE):
                    yield "throughputs", f"{rate} {of} is {row[rate]}, {amount} over its solo span is {per_s}"


def _replays(kernels: list[Row], whole: Row) -> Iterator[str]:
    """A kernel carries the measurement of one that was measured itself, and these are counted."""
    measured = {row["kernel_index"]: row for row in kernels if row["measured_kernel_index"] == row["kernel_index"]}
    if whole["replayed_kernel_count"] is not None and whole["replayed_kernel_count"] != len(measured):
        yield f"{len(measured)} of them were measured, throughputs says {whole['replayed_kernel_count']}"
    for row in kernels:
        source = measured.get(row["measured_kernel_index"])
        if source is None:
            yield f"measured_kernel_index {row['measured_kernel_index']} is of no kernel that was measured itself"
        elif any(source[name] != row[name] for name in ("name", "grid", "block")):
            yield f"kernel {row['kernel_index']} carries the measurement of another, {source['name']}"


def _faults(kernels: list[Row], whole: Row | None) -> Iterator[str]:
    if [row["kernel_index"] for row in kernels] != list(range(len(kernels))):
        yield "kernel_index does not number 0, 1, 2 ..."
    if whole is None:
        yield "throughputs has no row for these kernels"
        return
    if whole["kernel_count"] is not None and whole["kernel_count"] != len(kernels):
        yield f"{len(kernels)} kernels, throughputs says {whole['kernel_count']}"
    yield from _replays(kernels, whole)
    length_ns = sum(row["duration_ns"] for row in kernels)
    busy_ns = whole["busy_ns"]
    overlap = whole["counter_source"] not in ONE_AFTER_THE_OTHER
    if busy_ns is not None and (busy_ns > length_ns or (busy_ns < length_ns and not overlap)):
        yield f"they last {length_ns} ns together, throughputs says that they cover {busy_ns} ns"
    if whole["aggregation"] != "kernel_wmean":
        yield f"they stand there, but throughputs says that {whole['aggregation']} was read"
    if not length_ns:
        return
    for name in (name for name in kernels[0] if name.endswith("_pct")):
        if whole[name] is None or any(row[name] is None for row in kernels):
            continue
        mean = math.fsum(row[name] * row["duration_ns"] for row in kernels) / length_ns
        if not math.isclose(mean, whole[name], rel_tol=CLOSE, abs_tol=CLOSE):
            yield f"{name} of throughputs is {whole[name]}, the mean over kernels is {mean}"


CHECK = DatasetCheck("throughputs", run)
