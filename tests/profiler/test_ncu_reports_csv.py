"""What ncu prints of a report as CSV: units, locales, headers, and a program that fails."""

from pathlib import Path
from typing import Any

import pytest
from ncu_reports import raw_csv, write_report

from cotenant.models.errors import WorkError
from cotenant.profiler.counters import metrics as m
from cotenant.profiler.counters.metrics import PAPER, SINGLE
from cotenant.profiler.counters.reports import ReportDamaged, Workload, read_report
from cotenant.profiler.counters.reports import raw_csv as reader
from cotenant.profiler.counters.reports.found import Found
from cotenant.profiler.counters.reports.units import factor
from cotenant.profiler.counters.reports.whole import whole

HERE = Path("made_up.ncu-rep")
HANGS = "[ $1 != --import ] || exec sleep 60"
KERNEL = Workload(
    "void k<3, (bool)1>(float *, int)",
    (4096, 1, 1),
    (256, 1, 1),
    {m.DURATION: 5472.0, m.SM: 50.5, m.L2: 20.25, m.DRAM: 30.0, m.MEMORY: 31.5} | dict.fromkeys(m.CLOCKS, 1.5e9),
    False,
)


def read(text: str, metrics: Any = PAPER.metrics) -> list[Workload]:
    return list(whole(HERE, reader.found(HERE, text, metrics), metrics, None).workloads)


def one_metric(name: str, unit: str, value: str) -> float:
    header = '"ID","Kernel Name","Block Size","Grid Size","CC"'
    text = f'{header},"{name}"\n"","","","","","{unit}"\n"0","k","(1, 1, 1)","(1, 1, 1)","9.0","{value}"\n'
    return read(text, (name,))[0].metrics[name]


@pytest.mark.parametrize(
    ("name", "unit", "base"),
    [
        (m.DURATION, "ns", 1),
        (m.DURATION, "nsecond", 1),
        (m.DURATION, "usecond", 1e3),
        (m.DURATION, "us", 1e3),
        (m.DURATION, "ms", 1e6),
        (m.DURATION, "second", 1e9),
        (m.SM_CLOCK, "hz", 1),
        (m.SM_CLOCK, "Ghz", 1e9),
        (m.SM_CLOCK, "cycle/second", 1),
        (m.SM_CLOCK, "cycle/nsecond", 1e9),
        (m.SM_CLOCK, "gpc_cycles/second", 1),
        (m.SM, "%", 1),
        (m.DRAM_BYTES, "byte", 1),
        (m.L2_SECTOR_COUNT, "sector", 1),
        (m.L2_SECTOR_COUNT, "l2_sectors", 1),
        (m.ELAPSED_CYCLES, "cycle", 1),
    ],
)
def test_units_are_converted_to_base_units(name: str, unit: str, base: float) -> None:
    assert factor(name, unit) == base
    assert one_metric(name, unit, "2.50") == 2.5 * base


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        (m.DURATION, "cycle"),
        (m.DURATION, ""),
        (m.SM, "ratio"),
        (m.SM, "ns"),
        (m.DRAM_BYTES, "Mbyte"),
        (m.DRAM_BYTES, "byte/second"),
        (m.SM_CLOCK, "cycle"),
        (m.ELAPSED_CYCLES, "Kcycle"),
        (m.L2_SECTOR_COUNT, "byte"),
    ],
)
def test_units_that_cannot_be_converted_are_refused(name: str, unit: str) -> None:
    with pytest.raises(ReportDamaged, match="cannot be converted"):
        one_metric(name, unit, "2.50")


@pytest.mark.parametrize("name", sorted({*PAPER.metrics, *SINGLE.metrics}))
def test_every_metric_that_we_ask_for_has_units_that_we_know(name: str) -> None:
    assert factor(name, "furlong") is None


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("5472", 5472),
        ("5,472", 5472),
        ("17,466,880.00", 17_466_880),
        ("0.03", 0.03),
        ("1.5e+09", 1.5e9),
        ("12.", 12),
    ],
)
def test_numbers_of_the_c_locale_are_read_grouped_or_not(told: str, value: float) -> None:
    assert reader.number(told) == value


@pytest.mark.parametrize("told", ["1.234,5", "1.234.567", "12,34", "1'234", "1 234", "n/a", "", "0x10", "1_000", "12%"])
def test_numbers_of_other_locales_and_other_words_are_refused(told: str) -> None:
    assert reader.number(told) is None
    with pytest.raises(ReportDamaged, match=r"no finite number|lacks"):
        one_metric(m.DURATION, "ns", told)


def test_what_ncu_says_before_the_page_and_the_order_of_columns_do_not_matter() -> None:
    text = "==PROF== Connected to process 4242 (/usr/bin/python3.11)\n==PROF== Disconnected\n" + raw_csv([KERNEL])
    assert read(text)[0] == read(raw_csv([KERNEL], nvtx=True))[0] == KERNEL


def test_older_spellings_of_a_launch() -> None:
    text = raw_csv([KERNEL]).replace('"(256, 1, 1)"', '"256,  1,  1"').replace('"(4096, 1, 1)"', '"4096, 1, 1"')
    assert read(text)[0] == KERNEL


@pytest.mark.parametrize("told", ["(0, 0, 0)", "n/a", ""])
def test_a_range_has_no_launch_however_the_page_says_so(told: str) -> None:
    span = Workload("range", None, None, {m.DURATION: 1e6}, True)
    text = raw_csv([span]).replace('"(0, 0, 0)"', f'"{told}"')
    assert read(text, (m.DURATION,)) == [span]


def test_every_cut_of_the_page_is_refused_or_tells_fewer_results() -> None:
    text = raw_csv([KERNEL, KERNEL])
    for end in range(len(text)):
        try:
            found: list[Found] = reader.found(HERE, text[:end], PAPER.metrics)
        except ReportDamaged:
            continue
        assert len(found) < 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace('"Kernel Name"', '"Name"'), "another header"),
        (lambda text: text.replace(f'"{m.L2}"', f'"{m.SM}"'), "another header"),
        (lambda text: "".join(line for line in text.splitlines(True) if not line.startswith('""')), "row of units"),
        (lambda text: text[:-10] + "\n", "different lengths|no CSV"),
        (lambda text: text + '"Rule","said"\n', "different lengths"),
    ],
)
def test_pages_of_another_shape_are_refused(damage: Any, said: str) -> None:
    with pytest.raises(ReportDamaged, match=said):
        read(damage(raw_csv([KERNEL])))


def program(folder: Path, script: str) -> Path:
    path = folder / "ncu"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("known", [("--config-file", "--rename-kernels"), ("--config-file",), ()])
def test_the_program_is_asked_for_whole_names_in_base_units_and_the_c_locale(
    tmp_path: Path, known: tuple[str, ...]
) -> None:
    path = write_report(tmp_path / "a report.ncu-rep", [KERNEL])
    (tmp_path / "page.csv").write_text(raw_csv([KERNEL]))
    (tmp_path / "help.txt").write_text(f"  --page arg\n  {'  '.join(known)} arg\n")
    says = "case $1 in --version) echo Version 2025.3.1.0; exit;; --help) cat help.txt; exit;; esac"
    prints = "printf '%s\\n' \"$@\" > asked; echo $LC_ALL > locale; cat page.csv"
    asked = program(tmp_path, f"cd '{tmp_path}'\n{says}\n{prints}")
    assert read_report(path, PAPER.metrics, asked, "csv").workloads == (KERNEL,)
    options = [word for option in known for word in (option, "off")]
    options += ["--page", "raw", "--csv", "--print-fp", "--print-units", "base"]
    assert (tmp_path / "asked").read_text().splitlines() == ["--import", str(path), *options]
    assert (tmp_path / "locale").read_text() == "C\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo '==ERROR== Failed to open report' >&2; exit 1", "Failed to open report"),
        ("exit 3", "exit code 3"),
        ("echo '==ERROR== An error was reported by the driver'", "reported by the driver"),
        ("true", "0 results can be read where the report holds 1"),
    ],
)
def test_a_program_that_fails_is_told(tmp_path: Path, script: str, said: str) -> None:
    path = write_report(tmp_path / "made_up.ncu-rep", [KERNEL])
    with pytest.raises(ReportDamaged, match=said):
        read_report(path, PAPER.metrics, program(tmp_path, script), "csv")


def test_a_program_that_hangs_or_cannot_be_run_is_told(tmp_path: Path) -> None:
    path = write_report(tmp_path / "made_up.ncu-rep", [KERNEL])
    with pytest.raises(WorkError, match=r"did not end in 0\.2 s"):
        reader.printed(path, program(tmp_path, HANGS), timeout_s=0.2)
    with pytest.raises(WorkError, match="cannot be run"):
        reader.printed(path, tmp_path / "no-such-ncu")


def test_fewer_results_on_the_page_than_in_the_file_are_refused(tmp_path: Path) -> None:
    path = write_report(tmp_path / "made_up.ncu-rep", [KERNEL, KERNEL])
    (tmp_path / "page.csv").write_text(raw_csv([KERNEL]))
    with pytest.raises(ReportDamaged, match="1 results can be read where the report holds 2"):
        read_report(path, PAPER.metrics, program(tmp_path, f"cat '{tmp_path}/page.csv'"), "csv")
