"""The arguments that ncu is given, and what is known of the program that gets them."""

import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ncu_stand_in import OLD, VERSION, install

from cotenant.profiler.counters.metrics import DURATION, METRIC_SETS, PAPER, SINGLE, MetricSet
from cotenant.profiler.counters.ncu.command import Selection, command
from cotenant.profiler.counters.ncu.errors import NcuMissing
from cotenant.profiler.counters.ncu.program import examined

CHILD = ["python", "-m", "somewhere", "request.json"]
NOWHERE = Path("/nowhere")


def arguments(program: Path, counter_set: MetricSet, selection: Selection | None = None) -> list[str]:
    metrics = counter_set.metrics
    return command(
        examined(program), counter_set, metrics, NOWHERE / "r.ncu-rep", NOWHERE / "log.txt", CHILD, selection
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("bin"))


def test_the_whole_command_of_the_papers_counters(program: Path) -> None:
    assert arguments(program, PAPER) == [
        str(program), "--config-file", "off", "--target-processes", "application-only",
        "--nvtx", "--nvtx-include", "cotenant@profile/", "--nvtx-push-pop-scope", "process",
        "--replay-mode", "kernel", "--clock-control", "none", "--cache-control", "all",
        "--metrics",
        "gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,"
        "lts__throughput.avg.pct_of_peak_sustained_elapsed,gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed,"
        "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed,gpc__cycles_elapsed.avg.per_second,"
        "dram__cycles_elapsed.avg.per_second,lts__cycles_elapsed.avg.per_second",
        "--disable-extra-suffixes", "--import-sass", "no", "--apply-rules", "no", "--rename-kernels", "off",
        "--force-overwrite", "--export", "/nowhere/r.ncu-rep", "--log-file", "/nowhere/log.txt",
        "--", *CHILD,
    ]  # fmt: skip


def test_the_single_pass_leaves_caches_alone_and_runs_the_program_again(program: Path) -> None:
    given_ = arguments(program, SINGLE)
    values = dict(pairwise(given_))
    assert (values["--replay-mode"], values["--cache-control"], values["--clock-control"]) == (
        "app-range",
        "none",
        "none",
    )
    assert values["--metrics"].split(",") == list(SINGLE.metrics)
    assert len(SINGLE.metrics) == 13


@pytest.mark.parametrize("name", sorted(METRIC_SETS))
@pytest.mark.parametrize("selection", [None, Selection(), Selection(("a(int)", "b<1, 2>"))])
def test_the_program_knows_every_argument(
    program: Path, tmp_path: Path, name: str, selection: Selection | None
) -> None:
    counter_set = METRIC_SETS[name]
    given_ = command(
        examined(program), counter_set, [DURATION], tmp_path / "r", tmp_path / "log", ["/bin/true"], selection
    )
    subprocess.run(given_, check=True)
    assert "unrecognised" not in (tmp_path / "log").read_text()


def test_a_selection_takes_the_first_of_each_launch_configuration(program: Path) -> None:
    given_ = arguments(program, PAPER, Selection(("void f(int*)",)))
    values = dict(pairwise(given_))
    assert (values["--filter-mode"], values["--launch-count"]) == ("per-launch-config", "1")
    assert (values["--kernel-name-base"], values["--kernel-name"]) == ("demangled", r"regex:^(void f\(int\*\))$")
    assert "--kernel-name" not in arguments(program, PAPER, Selection())


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1), min_size=1, unique=True))
def test_a_pattern_matches_the_names_and_nothing_else(names: list[str]) -> None:
    pattern = Selection(tuple(names)).pattern()
    assert all(re.search(pattern, name) for name in names)
    others = {name + "x" for name in names} | {"x" + name for name in names} | {name[:-1] for name in names}
    assert not [other for other in others - set(names) if re.search(pattern, other)]


def test_an_older_version_goes_without_what_it_lacks(tmp_path: Path) -> None:
    old = install(tmp_path, OLD)
    lacking = {"--nvtx-push-pop-scope", "--import-sass", "--disable-extra-suffixes", "--rename-kernels"}
    given_ = arguments(old, PAPER)
    assert not lacking & set(given_)
    assert "process" not in given_
    assert given_.count("no") == 1  # of --apply-rules; the value went with its option
    assert subprocess.run([*given_[: given_.index("--export")], "--", "/bin/true"], check=False).returncode == 0


def lacking(folder: Path, word: str) -> Path:
    """Write a program whose help does not hold a word."""
    text = examined(install(folder)).help.replace(word, "other")
    script = folder / "lacking"
    script.write_text(f"#!/bin/sh\ncase $1 in --help) cat <<'X'\n{text}\nX\n;; *) echo 'Version {VERSION}' ;; esac\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("missing", ["--nvtx-include", "--cache-control", "--metrics", "--replay-mode"])
def test_what_is_needed_and_missing_is_told_in_a_line(tmp_path: Path, missing: str) -> None:
    script = lacking(tmp_path, missing)
    with pytest.raises(NcuMissing, match=rf"lacks the option {missing}; update Nsight Compute") as caught:
        arguments(script, PAPER)
    assert "\n" not in str(caught.value)


def test_a_version_without_application_ranges_still_replays_kernels(tmp_path: Path) -> None:
    script = lacking(tmp_path, "app-range")
    assert arguments(script, PAPER)
    with pytest.raises(NcuMissing, match=r"lacks --replay-mode app-range"):
        arguments(script, SINGLE)


def test_a_per_cent_sign_in_the_reports_path_is_no_macro(program: Path) -> None:
    given_ = command(examined(program), PAPER, [DURATION], Path("/a%p/r"), Path("/a%p/log"), CHILD)
    values = dict(pairwise(given_))
    assert (values["--export"], values["--log-file"]) == ("/a%%p/r", "/a%p/log")


def test_a_program_is_asked_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    monkeypatch.setenv("NCU_STAND_IN_ARGV", str(asked))
    path = install(tmp_path / "bin")
    first = examined(path)
    assert examined(path) is first
    assert len(asked.read_text().splitlines()) == 2
    install(tmp_path / "bin", OLD)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    assert (first.version, examined(path).version) == (VERSION, OLD)


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo no version here", "tells no version"),
        ("echo broken >&2; exit 3", "broken"),
        ("exit 3", "exit code 3"),
    ],
)
def test_a_program_that_cannot_be_used(tmp_path: Path, script: str, word: str) -> None:
    path = tmp_path / "ncu"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    with pytest.raises(NcuMissing, match=word):
        examined(path)


def test_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cotenant.profiler.counters.ncu import program

    monkeypatch.setattr(program, "found", lambda: None)
    with pytest.raises(NcuMissing, match=r"no ncu on PATH.*install Nsight Compute"):
        examined()
    with pytest.raises(NcuMissing, match=r"cannot be run"):
        examined(tmp_path / "nothing")
