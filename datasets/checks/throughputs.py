"""Throughputs by operator costs follow from engines, devices and solo profiles; those of kernels from their kernels."""

import math
from collections.abc import Iterator
from typing import Any

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import THROUGHPUTS
from cotenant.datasets.derive.throughputs import throughput_rows
from cotenant.datasets.differences import differences

Row = dict[str, Any]
CLOSE = 1e-6  # runners may round what they tell
KEY = THROUGHPUTS.key
ONE_AFTER_THE_OTHER = ("simulated",)  # sources whose kernels of one execution never overlap


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Derive the analytic rows again, and weigh kernels by their durations."""
    stored = small.rows["throughputs"]
    analytic = [row for row in stored if row["counter_source"] == "analytic"]
    again = throughput_rows(small.rows["engines"], small.rows["devices"], small.rows["solo_profiles"])
    yield from differences("throughputs", analytic, again, KEY, "costs, peaks and solo profile say")
    kernels: dict[tuple[str, ...], list[Row]] = {}
    for row in small.rows["kernels"]:
        kernels.setdefault(tuple(row[name] for name in KEY), []).append(row)
    known = {tuple(row[name] for name in KEY): row for row in stored}
    for key, own in kernels.items():
        yield from (("kernels", f"{', '.join(key)}: {fault}") for fault in _faults(own, known.get(key)))


def _faults(kernels: list[Row], whole: Row | None) -> Iterator[str]:
    if [row["kernel_index"] for row in kernels] != list(range(len(kernels))):
        yield "kernel_index does not number 0, 1, 2 ..."
    if whole is None:
        yield "throughputs has no row for these kernels"
        return
    if whole["kernel_count"] is not None and whole["kernel_count"] != len(kernels):
        yield f"{len(kernels)} kernels, throughputs says {whole['kernel_count']}"
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
