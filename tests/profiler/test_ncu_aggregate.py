"""Means over kernels, amounts and clocks against exact fractions; slips of units are refused."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.datasets import words
from cotenant.datasets.tables.kernels import KERNELS
from cotenant.datasets.tables.throughputs import THROUGHPUTS
from cotenant.profiler.counters import metrics as m
from cotenant.profiler.counters.aggregate import throughputs_of
from cotenant.profiler.counters.metrics import PAPER, SINGLE, MetricSet, available
from cotenant.profiler.counters.plausible import ReportImplausible
from cotenant.profiler.counters.reports.report import Report, Workload

LEFT_TO_THE_CALLER = {"engine_id", "device_id", "isolation", "flop_per_s", "l2_bytes_per_s", "dram_bytes_per_s"}
LEFT_TO_THE_CALLER |= {"gpu_utilization_pct"}

percents = st.floats(0, 109.9)
clocks = st.floats(1e8, 2e9)


@st.composite
def paper_kernels(draw: st.DrawFn) -> Workload:
    values = {m.DURATION: float(draw(st.integers(0, 10**9)))}
    values |= {name: draw(percents) for name in (m.SM, m.L2, m.DRAM, m.MEMORY)}
    return Workload("k", (1, 2, 3), (32, 1, 1), values | {name: draw(clocks) for name in m.CLOCKS}, False)


def lasting(kernels: list[Workload]) -> bool:
    return any(each.metrics[m.DURATION] for each in kernels)


def a_range(**changed: float) -> Workload:
    """A range of 1 ms at 1.5 GHz."""
    values = {m.DURATION: 1e6, m.ELAPSED_CYCLES: 1.5e6, m.ACTIVE_CYCLES: 1.2e6, m.ISSUE: 31.0, m.TENSOR: 55.0}
    values |= {m.OCCUPANCY: 40.0, m.L2_SECTORS: 25.0, m.L2_SECTOR_COUNT: 1000.0, m.DRAM_ACTIVE: 60.0}
    values |= {m.DRAM_BYTES: 5e8, m.SM_CLOCK: 1.5e9, m.L2_CLOCK: 1.6e9, m.DRAM_CLOCK: 2.6e9}
    return Workload("range", None, None, values | changed, True)


def a_kernel(**changed: float) -> Workload:
    values = {m.DURATION: 5000.0, m.SM: 50.0, m.L2: 20.0, m.DRAM: 30.0, m.MEMORY: 31.0}
    return Workload("k", (1, 1, 1), (32, 1, 1), values | dict.fromkeys(m.CLOCKS, 1.5e9) | changed, False)


def row_of(workloads: list[Workload], counter_set: MetricSet = PAPER) -> dict[str, Any]:
    return throughputs_of(Report(tuple(workloads), "2026.3.1", 9), counter_set)[0]


@given(st.lists(paper_kernels(), min_size=1, max_size=30).filter(lasting))
def test_means_are_the_exact_ones(kernels: list[Workload]) -> None:
    row, rows = throughputs_of(Report(tuple(kernels), "2026.3.1", 9), PAPER)
    weights = [Fraction(each.metrics[m.DURATION]) for each in kernels]
    for column, metric, scale in (
        ("sm_pct", m.SM, 1),
        ("l2_pct", m.L2, 1),
        ("dram_pct", m.DRAM, 1),
        ("memory_pct", m.MEMORY, 1),
        ("sm_clock_mhz", m.SM_CLOCK, 10**6),
        ("memory_clock_mhz", m.DRAM_CLOCK, 10**6),
        ("l2_clock_mhz", m.L2_CLOCK, 10**6),
    ):
        values = [Fraction(each.metrics[metric]) / scale for each in kernels]
        exact = sum((value * weight for value, weight in zip(values, weights, strict=True)), Fraction(0)) / sum(weights)
        assert row[column] == pytest.approx(float(exact), rel=2e-15, abs=1e-300)
    assert row["busy_ns"] == sum(weights)
    assert row["kernel_count"] == row["replayed_kernel_count"] == len(kernels) == len(rows)
    assert [each["kernel_index"] for each in rows] == [each["measured_kernel_index"] for each in rows]
    assert [each["sm_pct"] for each in rows] == [each.metrics[m.SM] for each in kernels]
    assert sum(each["duration_ns"] for each in rows) == row["busy_ns"]


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 100)), min_size=1, max_size=9))
def test_means_follow_from_the_whole_nanoseconds_that_are_kept(drawn: list[tuple[float, float]]) -> None:
    kernels = [a_kernel(**{m.DURATION: lasted, m.SM: pct}) for lasted, pct in drawn]
    row, rows = throughputs_of(Report(tuple(kernels), "2026.3.1", 9), PAPER)
    assert row["busy_ns"] == sum(each["duration_ns"] for each in rows)
    exact = sum(Fraction(each["sm_pct"]) * each["duration_ns"] for each in rows) / row["busy_ns"]
    assert row["sm_pct"] == pytest.approx(float(exact), rel=2e-15, abs=1e-300)


@given(paper_kernels().filter(lambda each: each.metrics[m.DURATION] > 0), st.integers(0, 5))
def test_one_kernel_is_its_own_mean_and_kernels_of_no_time_weigh_nothing(kernel: Workload, more: int) -> None:
    instant = replace(kernel, metrics={**kernel.metrics, m.DURATION: 0.0, m.SM: 100.0})
    row = row_of([kernel, *[instant] * more])
    assert row["sm_pct"] == pytest.approx(kernel.metrics[m.SM], rel=2e-16, abs=1e-300)


@given(st.permutations([a_kernel(**{m.DURATION: 10.0**i, m.SM: 7.3 * i}) for i in range(1, 8)]))
def test_the_order_of_kernels_does_not_matter(kernels: list[Workload]) -> None:
    ordered = sorted(kernels, key=lambda each: each.metrics[m.DURATION])
    assert row_of(kernels) == row_of(ordered)


def test_a_range_gives_its_own_values_and_wall_time() -> None:
    row, rows = throughputs_of(Report((a_range(),), None, 1), SINGLE)
    assert rows == []
    assert (row["wall_ns"], row["busy_ns"], row["kernel_count"]) == (10**6, None, None)
    assert (row["issue_pct"], row["tensor_pct"], row["sm_pct"]) == (31.0, 55.0, 55.0)
    assert (row["l2_pct"], row["dram_pct"], row["memory_pct"]) == (25.0, 60.0, None)
    assert (row["l2_moved_bytes"], row["dram_moved_bytes"]) == (32_000, 500_000_000)
    assert (row["sm_clock_mhz"], row["memory_clock_mhz"], row["l2_clock_mhz"]) == (1500.0, 2600.0, 1600.0)
    assert (row["aggregation"], row["replay_mode"], row["cache_control"]) == ("range", "app_range", "none")
    reasons = {"busy_ns": "one_range", "kernel_count": "one_range", "replayed_kernel_count": "one_range"}
    assert row["null_reasons"] == {**reasons, "memory_pct": "not_in_set", "profiler_version": "not_reported"}


@pytest.mark.parametrize("capability", ["9.0", "12.1"])
@pytest.mark.parametrize(("counter_set", "workload"), [(PAPER, a_kernel()), (SINGLE, a_range())])
def test_every_null_has_a_reason_and_every_reason_is_declared(
    counter_set: MetricSet, workload: Workload, capability: str
) -> None:
    asked = available(counter_set, capability)
    partial = replace(workload, metrics={name: workload.metrics[name] for name in asked})
    row, rows = throughputs_of(Report((partial,), None, None), counter_set)
    for each in (row, *rows):
        nulls = {name for name, value in each.items() if value is None}
        assert nulls == set(each["null_reasons"])
        assert set(each["null_reasons"].values()) <= set(words.NULL_REASONS)
    if capability == "12.1":
        assert (row["dram_pct"], row["null_reasons"]["dram_pct"]) == (None, "no_counter")


@pytest.mark.parametrize(("counter_set", "workload"), [(PAPER, a_kernel()), (SINGLE, a_range())])
def test_rows_have_the_columns_of_their_tables(counter_set: MetricSet, workload: Workload) -> None:
    row, rows = throughputs_of(Report((workload,), "2026.3.1", 1), counter_set)
    assert set(row) == {column.name for column in THROUGHPUTS.columns} - LEFT_TO_THE_CALLER
    for each in rows:
        assert set(each) == {column.name for column in KERNELS.columns} - {"engine_id", "device_id"}


def test_identical_kernels_may_carry_one_measurement() -> None:
    report = Report((a_kernel(), a_kernel(**{m.SM: 60.0}), a_kernel()), None, None)
    row, rows = throughputs_of(report, PAPER, measured=[0, 1, 0])
    assert (row["kernel_count"], row["replayed_kernel_count"]) == (3, 2)
    assert [each["measured_kernel_index"] for each in rows] == [0, 1, 0]


def test_durations_measured_without_the_profiler_weigh_instead() -> None:
    report = Report((a_kernel(**{m.SM: 10.0}), a_kernel(**{m.SM: 40.0})), None, None)
    row, rows = throughputs_of(report, PAPER, durations_ns=[2000.0, 4000.0])
    assert row["sm_pct"] == pytest.approx(30.0)
    assert (row["busy_ns"], [each["duration_ns"] for each in rows]) == (6000, [2000, 4000])
    with pytest.raises(ValueError, match="one duration"):
        throughputs_of(report, PAPER, durations_ns=[2000.0])


def test_values_slightly_above_100_stay_and_contradictions_are_null_with_a_reason() -> None:
    row, rows = throughputs_of(Report((a_kernel(**{m.L2: 104.5, m.DRAM: 131.0}),), None, None), PAPER)
    for each in (row, *rows):
        assert (each["l2_pct"], each["dram_pct"]) == (104.5, None)
        assert each["null_reasons"]["dram_pct"] == "above_peak"
    mixed, rows = throughputs_of(Report((a_kernel(**{m.DRAM: 131.0}), a_kernel()), None, None), PAPER)
    assert mixed["dram_pct"] == pytest.approx((131 + 30) / 2)  # as measured: the mean hides no kernel
    assert [each["dram_pct"] for each in rows] == [None, 30.0]


def in_microseconds(name: str, value: float) -> float:
    return value / 1000 if name == m.DURATION else value


def as_shares(name: str, value: float) -> float:
    return value / 100 if ".pct" in name else value


def clocks_in_mhz(name: str, value: float) -> float:
    return value / 1e6 if name in m.CLOCKS else value


def percents_of_percents(name: str, value: float) -> float:
    return value * 100 if ".pct" in name else value


@pytest.mark.parametrize("slip", [in_microseconds, as_shares, clocks_in_mhz, percents_of_percents])
def test_slips_of_units_are_refused(slip: Callable[[str, float], float]) -> None:
    whole = a_range()
    slipped = replace(whole, metrics={name: slip(name, value) for name, value in whole.metrics.items()})
    throughputs_of(Report((whole,), None, None), SINGLE)
    with pytest.raises(ReportImplausible, match="cannot be used"):
        throughputs_of(Report((slipped,), None, None), SINGLE)


def test_clocks_in_mhz_are_refused_where_no_cycles_tell_too() -> None:
    with pytest.raises(ReportImplausible, match="1500 Hz"):
        row_of([a_kernel(**{m.SM_CLOCK: 1500.0})])


def test_durations_in_another_unit_than_those_measured_without_the_profiler_are_refused() -> None:
    with pytest.raises(ReportImplausible, match="without the profiler"):
        throughputs_of(Report((a_kernel(),), None, None), PAPER, durations_ns=[5.0])


def test_an_idle_range_is_no_slip() -> None:
    """All counters of an execution that hardly loads anything are small, and stay."""
    idle = a_range(**{m.ISSUE: 0.02, m.TENSOR: 0.0, m.L2_SECTORS: 0.01, m.DRAM_ACTIVE: 0.0, m.OCCUPANCY: 1.56})
    assert row_of([idle], SINGLE)["sm_pct"] == 0.02


@pytest.mark.parametrize(
    ("workloads", "counter_set", "said"),
    [
        ([a_kernel(), a_range()], PAPER, "holds 1 ranges"),
        ([a_kernel()], SINGLE, "0 ranges and 1 kernels"),
        ([a_range(), a_range()], SINGLE, "2 ranges"),
        ([a_kernel(**{m.DURATION: 0.0})], PAPER, "last 0 ns"),
    ],
)
def test_a_report_of_another_kind_is_refused(workloads: list[Workload], counter_set: MetricSet, said: str) -> None:
    with pytest.raises(ReportImplausible, match=said):
        row_of(workloads, counter_set)
