"""Whole measurements through real processes: ours, the stand-in for ncu on PATH, and the program that it profiles."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ncu_stand_in import OLD, VERSION, install, made_up
from plugin_runner import LAYERS, NAME, RUNNER, kernels_of, plugged_in

from cotenant.profiler.counters.metrics import DRAM, L2, METRIC_SETS, PAPER, SINGLE, SM, MetricSet
from cotenant.profiler.counters.ncu import process
from cotenant.profiler.counters.ncu.errors import (
    ChildFailed,
    CountersForbidden,
    DriverMismatch,
    LibraryNotLoaded,
    LogError,
    NcuCrashed,
    NcuFailed,
    NcuHung,
    NoKernelsProfiled,
    ProfilerBusy,
)
from cotenant.profiler.counters.ncu.lock import counter_session
from cotenant.profiler.counters.ncu.measure import Measured, NcuOptions, measure
from cotenant.profiler.counters.reports.report import ReportDamaged
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Engine

Measure = Callable[..., Measured]
DEVICE = RUNNER.device(None)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return RUNNER.build("resnet18", 4, "fp16", "model", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def profiled(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Measure the engine with a stand-in on PATH; `mode` is the stand-in's."""
    for name, value in plugged_in(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NCU_STAND_IN_ARGV", str(tmp_path / "argv"))

    def run(counter_set: MetricSet = PAPER, mode: str = "ok", version: str = VERSION, **options: object) -> Measured:
        program = install(tmp_path / "bin", version)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("NCU_STAND_IN", mode)
        chosen = {"lock": tmp_path / "lock", "timeout_s": 60.0, "kept": tmp_path / "kept", **options}
        return measure(engine, NAME, DEVICE, counter_set, NcuOptions(**chosen))  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize("reader", ["auto", "csv"])
def test_the_papers_numbers_are_the_means_of_the_kernels_weighted_by_duration(
    profiled: Measure, engine: Engine, reader: str
) -> None:
    measured = profiled(PAPER, reader=reader)
    kernels = kernels_of(read_meta(engine.folder))
    total_ns = sum(each["duration_ns"] for each in kernels)
    for column, metric in (("sm_pct", SM), ("l2_pct", L2), ("dram_pct", DRAM)):
        exact = sum(made_up(metric, each) * each["duration_ns"] for each in kernels) / total_ns
        assert math.isclose(measured.throughputs[column], exact, rel_tol=1e-9)
    expected = {
        "counter_source": "ncu",
        "counter_set": "paper",
        "aggregation": "kernel_wmean",
        "busy_ns": total_ns,
        "kernel_count": len(kernels),
        "replayed_kernel_count": len(kernels),
        "replay_passes": 9,
        "replay_mode": "kernel",
        "clock_control": "none",
        "cache_control": "all",
        "profiler_version": VERSION,
        "sm_clock_mhz": 1200.0,
    }
    assert {name: measured.throughputs[name] for name in expected} == expected
    assert [each["name"] for each in measured.kernels] == [each["name"] for each in kernels]
    assert [each["measured_kernel_index"] for each in measured.kernels] == list(range(len(kernels)))
    assert measured.outcome["executions"] == 1
    assert measured.seconds > 0


def test_the_single_pass_is_one_range_of_the_whole_execution(profiled: Measure, engine: Engine) -> None:
    measured = profiled(SINGLE)
    total_ns = sum(each["duration_ns"] for each in kernels_of(read_meta(engine.folder)))
    row = measured.throughputs
    assert (row["counter_set"], row["aggregation"], row["replay_mode"]) == ("single", "range", "app_range")
    assert (row["wall_ns"], row["busy_ns"], row["replay_passes"]) == (total_ns, None, 1)
    assert measured.kernels == []


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        ("permission", CountersForbidden, "does not let this user"),
        ("no_kernels", NoKernelsProfiled, "profiled no kernel"),
        ("cut", ReportDamaged, "cut or damaged"),
        ("fewer", ReportDamaged, "17 results where 18"),
        ("garbage", ReportDamaged, "no report of Nsight Compute"),
        ("empty", ReportDamaged, "empty"),
        ("not_finite", ReportDamaged, "no finite number"),
        ("no_report", LogError, "wrote no report"),
        ("driver_mismatch", DriverMismatch, "does not work with the driver"),
        ("library_not_loaded", LibraryNotLoaded, "gVisor"),
        ("busy", ProfilerBusy, "DCGM"),
        ("old_for_gpu", DriverMismatch, "does not support this GPU"),
        ("failed_kernel", LogError, "Failed to profile"),
        ("crash", NcuCrashed, "SIGSEGV"),
        ("not_run", LogError, "wrote no report"),
    ],
)
def test_whatever_goes_wrong_is_one_line_and_no_numbers(
    profiled: Measure, mode: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        profiled(PAPER, mode)
    assert "\n" not in str(caught.value)
    assert "ERR_NVGPUCTRPERM" not in str(caught.value)


def test_no_range_is_no_numbers_either(profiled: Measure) -> None:
    with pytest.raises(NoKernelsProfiled, match=r"profiled no kernel"):
        profiled(SINGLE, "no_kernels")


@pytest.mark.parametrize("mode", ["cut", "garbage", "empty", "not_finite"])
def test_damaged_reports_of_ranges_are_refused_by_the_csv_reader_too(profiled: Measure, mode: str) -> None:
    with pytest.raises(ReportDamaged):
        profiled(SINGLE, mode, reader="csv")


@pytest.mark.parametrize("mode", ["hang", "hang_deaf"])
def test_what_hangs_is_ended_and_leaves_the_next_measurement_free(
    profiled: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.3)
    monkeypatch.setenv("NCU_STAND_IN_PIDS", str(tmp_path / "pids"))
    with pytest.raises(NcuHung, match=r"within 1 s.*timeout_s"):
        profiled(PAPER, mode, timeout_s=1.0)
    assert not [pid for pid in json.loads((tmp_path / "pids").read_text()) if runs(pid)]
    assert profiled(SINGLE).throughputs["counter_set"] == "single"


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("load", "could not be executed under ncu: out of GPU memory: 12 of 81920 MiB"),
        ("execute", "RuntimeError: a bug of the profiled program"),
        ("exit", "ended with code 3"),
    ],
)
def test_a_program_that_fails_under_ncu_tells_why(
    profiled: Measure, monkeypatch: pytest.MonkeyPatch, fails: str, said: str
) -> None:
    monkeypatch.setenv("PLUGIN_RUNNER_FAILS", fails)
    with pytest.raises(ChildFailed, match=said) as caught:
        profiled()
    assert "\n" not in str(caught.value)


MEASURES = """
import sys
from pathlib import Path
from plugin_runner import NAME, RUNNER
from cotenant.profiler.counters.metrics import PAPER
from cotenant.profiler.counters.ncu.measure import NcuOptions, measure
folder = Path(sys.argv[1])
engine = RUNNER.build("resnet18", 4, "fp16", "model", folder / "cache")
measure(engine, NAME, RUNNER.device(None), PAPER, NcuOptions(folder / "bin" / "ncu", lock=folder / "lock"))
"""


def test_nothing_runs_on_once_the_measuring_process_was_killed(tmp_path: Path) -> None:
    install(tmp_path / "bin")
    hung = tmp_path / "hung"
    variables = {**plugged_in(tmp_path), "PLUGIN_RUNNER_FAILS": "hang", "PLUGIN_RUNNER_HUNG": str(hung)}
    with subprocess.Popen([sys.executable, "-c", MEASURES, str(tmp_path)], env={**os.environ, **variables}) as ours:
        wait_for(lambda: hung.exists() and hung.read_text() != "")
        ours.kill()
    pid = int(hung.read_text())
    wait_for(lambda: not runs(pid))


def wait_for(happens: Callable[[], bool]) -> None:
    for _ in range(1500):
        if happens():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen in 30 s")


def test_log_and_output_of_a_failed_run_are_kept(profiled: Measure, tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(NcuFailed):
        profiled(PAPER, "permission")
    assert "ERR_NVGPUCTRPERM" in (tmp_path / "kept" / f"{engine.engine_id}-log.txt").read_text()
    assert (tmp_path / "kept" / f"{engine.engine_id}-output.txt").exists()


def test_an_older_ncu_does_as_well(profiled: Measure) -> None:
    assert profiled(PAPER, version=OLD).throughputs["profiler_version"] == OLD


def test_reuse_gives_the_same_numbers_from_fewer_replays(profiled: Measure, tmp_path: Path) -> None:
    full = profiled(PAPER)
    (tmp_path / "argv").unlink()
    fast = profiled(PAPER, reuse_kernels=True)
    differing = {name for name in full.throughputs if full.throughputs[name] != fast.throughputs[name]}
    assert differing <= {"replayed_kernel_count", "sm_pct", "l2_pct", "dram_pct", "memory_pct"}
    for column in ("sm_pct", "l2_pct", "dram_pct", "memory_pct"):
        assert math.isclose(full.throughputs[column], fast.throughputs[column], rel_tol=1e-12)
    assert (fast.throughputs["kernel_count"], fast.throughputs["replayed_kernel_count"]) == (6 * LAYERS, 4)
    assert [each["measured_kernel_index"] for each in fast.kernels] == [0, 1, 0, 1, 4, 5] * LAYERS
    assert fast.notes == ()
    asked = [json.loads(line) for line in (tmp_path / "argv").read_text().splitlines()]
    replays = [each for each in asked if "--replay-mode" in each]
    first = replays[0]
    assert first[first.index("--metrics") + 1] == "gpu__time_duration.sum"
    assert ["--filter-mode" in each for each in replays] == [False, True, True]  # two names share each grid and block


def test_kernels_that_take_different_times_are_all_replayed(profiled: Measure) -> None:
    measured = profiled(PAPER, "unlike", reuse_kernels=True)
    assert measured.throughputs["replayed_kernel_count"] == 6 * LAYERS
    (note,) = measured.notes
    assert note.startswith("every kernel was replayed: ")
    assert "of one grid and block take" in note


def test_names_that_ncu_does_not_find_again_lead_to_a_full_profile(profiled: Measure) -> None:
    measured = profiled(PAPER, "nameless", reuse_kernels=True)
    assert measured.throughputs["replayed_kernel_count"] == 6 * LAYERS
    assert measured.notes == ("every kernel was replayed: ncu did not profile one kernel of each kind when asked to",)


def test_ranges_are_not_reused(profiled: Measure) -> None:
    assert profiled(SINGLE, reuse_kernels=True).notes == ()


def test_a_measurement_waits_for_the_hosts_one_counter_session(profiled: Measure, tmp_path: Path) -> None:
    said: list[str] = []
    with counter_session(tmp_path / "lock"), pytest.raises(ProfilerBusy, match=r"one at a time"):
        profiled(PAPER, wait_s=0.2, waiting=said.append)
    assert len(said) == 1
    assert not (tmp_path / "argv").exists() or "--replay-mode" not in (tmp_path / "argv").read_text()


def test_the_profiled_program_is_this_interpreter_and_gets_the_engine(
    profiled: Measure, tmp_path: Path, engine: Engine
) -> None:
    profiled(SINGLE)
    asked = [json.loads(line) for line in (tmp_path / "argv").read_text().splitlines()]
    (given,) = [each for each in asked if "--replay-mode" in each]
    program = given[given.index("--") + 1 :]
    assert program[:-1] == [sys.executable, "-P", "-m", "cotenant.profiler.counters.ncu.child"]


def test_metrics_that_the_chip_lacks_are_not_asked_for(profiled: Measure, tmp_path: Path) -> None:
    row = profiled(PAPER, capability="12.1").throughputs
    assert (row["dram_pct"], row["null_reasons"]["dram_pct"]) == (None, "no_counter")
    assert "dram" not in (tmp_path / "argv").read_text()


def test_every_set_can_be_measured(profiled: Measure) -> None:
    assert {profiled(each).throughputs["counter_set"] for each in METRIC_SETS.values()} == set(METRIC_SETS)
