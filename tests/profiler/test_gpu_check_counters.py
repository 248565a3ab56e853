"""When two readers of one report are taken to agree: up to the digits that ncu prints, and no further."""

from dataclasses import replace
from pathlib import Path

import pytest
from ncu_reports import raw_csv

from cotenant.profiler.counters import metrics as m
from cotenant.profiler.counters.metrics import PAPER
from cotenant.profiler.counters.reports import Report, Workload
from cotenant.profiler.counters.reports import raw_csv as reader
from cotenant.profiler.counters.reports.whole import whole
from cotenant.profiler.gpu_check.parts.counters import differences

KERNEL = Workload(
    "void k<3>(float *, int)",
    (4096, 1, 1),
    (256, 1, 1),
    {m.DURATION: 5472.0, m.SM: 50.49499, m.L2: 20.255001, m.DRAM: 1e-7, m.MEMORY: 100 / 3}
    | dict.fromkeys(m.CLOCKS, 1590163934.426229),
    False,
)
BY_PACKAGE = Report((KERNEL, KERNEL), "2025.3.1.0", 8)


def by_csv(digits: int = 2) -> Report:
    """What the other reader makes of what ncu prints of the same report."""
    here = Path("made_up.ncu-rep")
    text = raw_csv(BY_PACKAGE.workloads, digits=digits)
    return replace(whole(here, reader.found(here, text, PAPER.metrics), PAPER.metrics, "2025.3.1.0"), passes=8)


def test_what_printing_rounds_is_no_difference() -> None:
    assert by_csv().workloads != BY_PACKAGE.workloads
    assert differences(BY_PACKAGE, by_csv()) == []


def changed(**fields: object) -> Report:
    return replace(by_csv(), workloads=(replace(by_csv().workloads[0], **fields), by_csv().workloads[1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(by_csv(), workloads=by_csv().workloads[:1]), "the number of results"),
        (replace(by_csv(), passes=9), "the passes"),
        (changed(name="k"), "what result 0 is"),
        (changed(grid=(4096, 1, 2)), "what result 0 is"),
        (changed(metrics={m.DURATION: 5472.0}), "what result 0 is"),
        (changed(metrics={**by_csv().workloads[0].metrics, m.SM: 50.51}), f"result 0, {m.SM}: 50.49499 and 50.51"),
        (by_csv(digits=1), f"result 0, {m.L2}: 20.255001 and 20.3"),
    ],
)
def test_anything_more_is(other: Report, told: str) -> None:
    assert told in differences(BY_PACKAGE, other)
