"""Reports that the vendor's own reader reads: both readers agree on every value, and nothing damaged is believed.

The reports are made up (tests/devices/ncu_reports.py), file and CSV from the same workloads; no number was measured.
"""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ncu_reports import Written, raw_csv, read_back, write_report

from cotenant.profiler.counters import metrics as m
from cotenant.profiler.counters.metrics import PAPER, SINGLE, available
from cotenant.profiler.counters.reports import NoReader, Report, ReportDamaged, Workload, read_report
from cotenant.profiler.counters.reports.blocks import contents
from cotenant.profiler.counters.reports.wire import Malformed, fields

READERS = ("package", "csv")
HALF_OF_THE_LAST_DIGIT = 0.005 * (1 + 1e-9)

names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Zl", "Zp"]), min_size=1)
dimensions = st.tuples(*[st.integers(1, 2**31 - 1)] * 3)
times = st.integers(0, 10**10).map(float)
percents = st.floats(0, 105)
clocks = st.floats(1e8, 2e10)


@st.composite
def kernels(draw: st.DrawFn) -> Workload:
    values = {m.DURATION: draw(times)} | {name: draw(percents) for name in (m.SM, m.L2, m.DRAM, m.MEMORY)}
    values |= {name: draw(clocks) for name in m.CLOCKS}
    return Workload(draw(names), draw(dimensions), draw(dimensions), values, False)


def a_kernel(name: str = "void gemm<float, 3>(float *, int)", **changed: Any) -> Workload:
    values = {m.DURATION: 5472.0, m.SM: 50.5, m.L2: 20.25, m.DRAM: 30.0, m.MEMORY: 31.5}
    values |= dict.fromkeys(m.CLOCKS, 1.5e9) | changed
    return Workload(name, (4, 2, 1), (256, 1, 1), values, False)


def a_range() -> Workload:
    return Workload("range", None, None, {name: 12.5 * place for place, name in enumerate(SINGLE.metrics, 1)}, True)


@pytest.fixture(autouse=True)
def _the_vendor_reader(require: Any) -> None:
    require("ncu-report", find_spec("ncu_report") is not None, "pip install 'cotenant[ncu]'")


def printing(folder: Path, text: str) -> Path:
    """Return a program that prints this whatever it is asked, as ncu prints a report."""
    (folder / "page.csv").write_text(text)
    program = folder / "ncu"
    program.write_text(f"#!/bin/sh\nexec cat '{folder / 'page.csv'}'\n")
    program.chmod(0o755)
    return program


def both(folder: Path, workloads: list[Workload], metrics: Any, written: Written = Written(), **options: Any) -> Any:  # noqa: B008
    path = write_report(folder / "made_up.ncu-rep", workloads, written)
    program = printing(folder, raw_csv(path, **options))
    return [read_report(path, metrics, program, reader) for reader in READERS]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(kernels(), min_size=1, max_size=6), st.booleans(), st.booleans(), st.integers(1, 3), st.booleans())
def test_both_readers_agree_on_every_value_of_kernels(
    tmp_path: Path, workloads: list[Workload], grouped: bool, nvtx: bool, blocks: int, launch_metrics: bool
) -> None:
    """Grouped digits, NVTX columns, several blocks, and reports without the launch's own metrics make no difference."""
    written = Written(blocks=blocks, launch_metrics=launch_metrics)
    package, page = both(tmp_path, workloads, PAPER.metrics, written, grouped=grouped, nvtx=nvtx)
    assert package == Report(tuple(workloads), "2025.3.1.0", 8)
    assert (page.passes, page.profiler_version) == (8, "2025.3.1.0")
    for mine, theirs in zip(workloads, page.workloads, strict=True):
        assert (theirs.name, theirs.grid, theirs.block) == (mine.name, mine.grid, mine.block)
        assert set(theirs.metrics) == set(PAPER.metrics)
        for name, value in mine.metrics.items():
            assert abs(theirs.metrics[name] - value) <= max(HALF_OF_THE_LAST_DIGIT, 1e-15 * value)


@pytest.mark.parametrize("digits", [2, 6])
def test_both_readers_agree_exactly_where_digits_suffice(tmp_path: Path, digits: int) -> None:
    workloads = [a_kernel(), a_kernel('k("a, b")', **{m.DURATION: 1_234_567_890.0})]
    package, page = both(tmp_path, workloads, PAPER.metrics, digits=digits)
    assert package == page == Report(tuple(workloads), "2025.3.1.0", 8)


def test_both_readers_agree_on_a_range(tmp_path: Path) -> None:
    package, page = both(tmp_path, [a_range()], SINGLE.metrics)
    assert package == page == Report((a_range(),), "2025.3.1.0", 8)


def test_what_a_chip_lacks_may_be_absent_and_nothing_else(tmp_path: Path) -> None:
    spark = available(PAPER, "12.1")
    partial = [Workload("k", (1, 1, 1), (32, 1, 1), {name: a_kernel().metrics[name] for name in spark}, False)]
    package, page = both(tmp_path, partial, PAPER.metrics, Written(capability="12.1"))
    assert tuple(package.workloads[0].metrics) == spark
    with pytest.raises(ReportDamaged, match="lacks gpu__dram_throughput"):
        both(tmp_path, partial, PAPER.metrics, Written(capability="9.0"))
    assert package == page


@pytest.mark.parametrize("written", [Written(version=None), Written(passes=None)])
def test_what_the_report_does_not_tell_is_none(tmp_path: Path, written: Written) -> None:
    for report in both(tmp_path, [a_kernel()], PAPER.metrics, written):
        assert (report.profiler_version, report.passes) == (written.version, written.passes)


@pytest.mark.parametrize("value", ["n/a", "", math.nan, math.inf, -math.inf, -1.0, None])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_finite_number_is_refused(tmp_path: Path, reader: Any, value: float | str | None) -> None:
    bad = a_kernel(**{m.SM: value})
    metrics = {name: each for name, each in bad.metrics.items() if each is not None}
    path = write_report(tmp_path / "bad.ncu-rep", [a_kernel(), Workload("bad", bad.grid, bad.block, metrics, False)])
    page = raw_csv([a_kernel(), a_kernel("bad", **{m.SM: 4321.25})]).replace("4,321.25", _printed(value))
    with pytest.raises(ReportDamaged, match=r"result 1 \(bad\) (has|lacks) .*sm__throughput") as refused:
        read_report(path, PAPER.metrics, printing(tmp_path, page), reader)
    assert "\n" not in str(refused.value)


def _printed(value: float | str | None) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize(
    ("workloads", "metrics"), [([a_kernel(), a_kernel("k")], PAPER.metrics), ([a_range()], SINGLE.metrics)]
)
def test_every_cut_of_a_report_is_refused(tmp_path: Path, workloads: list[Workload], metrics: Any) -> None:
    """The vendor's reader gives what it could read of a cut file, and no error; we refuse it wherever it was cut."""
    whole = write_report(tmp_path / "whole.ncu-rep", workloads).read_bytes()
    cut = tmp_path / "cut.ncu-rep"
    blocks_start = 8 + int.from_bytes(whole[4:8], "little")
    for end in range(len(whole)):
        cut.write_bytes(whole[:end])
        with pytest.raises(ReportDamaged, match=r"empty|no report|cut or damaged|no results") as refused:
            read_report(cut, metrics, None)
        assert end <= blocks_start or "cut or damaged" in str(refused.value)


def test_the_vendor_reader_says_nothing_about_a_cut_file(tmp_path: Path) -> None:
    """Why lengths are checked by us: if this fails, the reader has learned to complain."""
    import ncu_report

    whole = write_report(tmp_path / "whole.ncu-rep", [a_kernel(), a_kernel("k")]).read_bytes()
    cut = tmp_path / "cut.ncu-rep"
    cut.write_bytes(whole[:-40])
    context = ncu_report.load_report(str(cut))
    assert context.num_ranges() == 1


def test_a_cut_between_blocks_is_refused_where_the_count_is_known(tmp_path: Path) -> None:
    whole = write_report(tmp_path / "two.ncu-rep", [a_kernel(), a_kernel("k")], Written(blocks=2))
    one = write_report(tmp_path / "one.ncu-rep", [a_kernel()])
    cut = tmp_path / "cut.ncu-rep"
    cut.write_bytes(whole.read_bytes()[: one.stat().st_size])
    assert len(read_report(cut, PAPER.metrics, None).workloads) == 1
    with pytest.raises(ReportDamaged, match="1 results where 2 were expected"):
        read_report(cut, PAPER.metrics, None, expected_count=2)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_leave_a_whole_report(tmp_path: Path, data: st.DataObject) -> None:
    path = write_report(tmp_path / "damaged.ncu-rep", [a_kernel(), a_kernel("k")])
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        report = read_report(path, PAPER.metrics, None)
    except ReportDamaged:
        return
    assert len(report.workloads) == 2
    for each in report.workloads:
        each.name.encode()
        assert set(each.metrics) == set(PAPER.metrics)
        assert all(math.isfinite(value) and value >= 0 for value in each.metrics.values())


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 999, b"NVR\0", b"NVR", b"PK\x03\x04 some archive", b"==ERROR== no", b"\x28\xb5\x2f\xfd.."]
)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, reader: Any) -> None:
    path = tmp_path / "foreign.ncu-rep"
    path.write_bytes(content)
    with pytest.raises(ReportDamaged, match="profile the engine again"):
        read_report(path, PAPER.metrics, printing(tmp_path, raw_csv([a_kernel()])), reader)


@pytest.mark.parametrize("reader", READERS)
def test_a_report_without_results_and_a_missing_one(tmp_path: Path, reader: Any) -> None:
    path = write_report(tmp_path / "none.ncu-rep", [])
    with pytest.raises(ReportDamaged, match="nothing was profiled"):
        read_report(path, PAPER.metrics, printing(tmp_path, "==WARNING== No kernels were profiled.\n"), reader)
    with pytest.raises(FileNotFoundError):
        read_report(tmp_path / "missing.ncu-rep", PAPER.metrics, None, reader)


def test_a_reader_older_than_the_report_gives_way_to_the_program(tmp_path: Path) -> None:
    path = write_report(tmp_path / "new.ncu-rep", [a_kernel()], Written(version="2999.1.0.0"))
    with pytest.raises(NoReader, match=r"is older than the Nsight Compute 2999\.1\.0\.0 that wrote it"):
        read_report(path, PAPER.metrics, None)
    program = printing(tmp_path, raw_csv([a_kernel()]))
    assert read_report(path, PAPER.metrics, program).workloads == (a_kernel(),)
    with pytest.raises(NoReader, match="pip install --upgrade"):
        read_report(path, PAPER.metrics, program, "package")


def test_a_name_that_is_no_text_stays_a_name(tmp_path: Path) -> None:
    path = write_report(tmp_path / "odd.ncu-rep", [a_kernel("gemm")])
    path.write_bytes(path.read_bytes().replace(b"gemm", b"ge\xff\xfe"))
    report = read_report(path, PAPER.metrics, None)
    assert (report.workloads[0].name, report.workloads[0].grid) == ("ge\ufffd\ufffd", (4, 2, 1))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\x0a\x05ab", "a field ends"),  # a text of five bytes, of which two are there
        (b"\x09abc", "a field ends"),
        (b"\x08\xff", "a number ends"),
        (b"\x08" + b"\xff" * 11, "a number ends"),
        (b"\x0b", "unknown kind 3"),
    ],
)
def test_bytes_that_are_no_message_are_told(message: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        list(fields(memoryview(message)))


@given(st.lists(kernels(), min_size=1, max_size=4))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_made_up_reports_are_what_their_maker_reads_back(tmp_path: Path, workloads: list[Workload]) -> None:
    """Oracle of the stand-in: our walk over the file, the vendor's reader and the maker see the same launches."""
    path = write_report(tmp_path / "made_up.ncu-rep", workloads)
    launches = [(each.name, each.grid, each.block) for each in workloads]
    assert [(each.name, each.grid, each.block) for each in contents(path).launches] == launches
    assert [(each.name, each.grid, each.block) for each in read_back(path)] == launches
