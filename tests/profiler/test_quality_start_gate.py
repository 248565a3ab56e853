"""The start gate: a busy device is refused unless that is allowed, an idle one is not."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from burner import burning
from hypothesis import given
from hypothesis import strategies as st
from nvml_by_hand import GETTERS as KNOWN
from nvml_by_hand import NVMLError_NotSupported
from nvml_sequence import NvmlSequence

from cotenant.models.errors import UserError
from cotenant.profiler.quality.cpu_times import Load
from cotenant.profiler.quality.host import HostSource
from cotenant.profiler.quality.nvml_source import NvmlSource
from cotenant.profiler.quality.start_gate import SPARE_CORES, Idleness, check_idle, crowded, look, look_at_gpu
from cotenant.profiler.quality.thresholds import Quality

ALLOWED = frozenset(os.sched_getaffinity(0))
QUALITY = Quality().resolved("gpu")


def utilization(pct: int) -> dict[str, Any]:
    return {"nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=pct, memory=0)}


def gpu(steps: list[dict[str, Any]], root: Path = Path("/nowhere"), mine: frozenset[int] = frozenset()) -> Idleness:
    """Look at a GPU whose answers go one step on with each look; no time passes."""
    nvml = NvmlSequence(steps)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 1:  # the first pause lets our own past work leave the utilisation
            nvml.next()

    return look_at_gpu(NvmlSource(nvml, "GPU-1", root, lambda: set(mine)), QUALITY.idle_utilization_max_pct, sleep)


def test_an_idle_gpu_passes_and_one_spike_is_nothing() -> None:
    assert gpu([utilization(0)]) == Idleness()
    assert gpu([utilization(pct) for pct in (0, 0, 90, 4, 0, 0)]) == Idleness()


def test_a_gpu_that_is_used_while_we_idle_is_busy_even_where_nobody_can_be_seen(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    found = gpu([utilization(63)], tmp_path)
    assert found.busy is not None
    assert "63 %" in found.busy
    assert "cannot be seen" in found.busy


def test_a_stranger_with_a_context_makes_a_gpu_busy_and_our_own_does_not() -> None:
    process = SimpleNamespace(pid=os.getppid())
    listed = {"nvmlDeviceGetComputeRunningProcesses": [process]}
    found = gpu([listed])
    assert found.busy is not None
    assert f"pid {process.pid}" in found.busy
    assert psutil.Process(process.pid).name() in found.busy
    assert gpu([listed], mine=frozenset({process.pid})) == Idleness()


def test_a_gpu_that_tells_nothing_is_unknown_and_not_refused() -> None:
    found = gpu([dict.fromkeys(KNOWN, NVMLError_NotSupported("Not Supported"))])
    assert found.busy is None
    assert found.unknown is not None
    assert check_idle(found, "NVIDIA L4", allowed=False) is None


def test_a_gpu_that_is_lost_while_it_is_looked_at_is_unknown() -> None:
    found = gpu([utilization(0), utilization(0), dict.fromkeys(KNOWN, NVMLError_NotSupported("lost"))])
    assert found.busy is None
    assert "lost" in str(found.unknown)


def test_busy_is_one_line_that_says_what_to_do_and_can_be_allowed() -> None:
    busy = Idleness(busy="python (pid 7) computes on it")
    with pytest.raises(UserError) as told:
        check_idle(busy, "NVIDIA L4", allowed=False)
    assert "\n" not in str(told.value)
    assert "NVIDIA L4 is not idle: python (pid 7) computes on it" in str(told.value)
    assert "--allow-busy" in str(told.value)
    assert check_idle(busy, "NVIDIA L4", allowed=True) is True
    assert check_idle(Idleness(), "NVIDIA L4", allowed=False) is False


@pytest.mark.parametrize(
    ("foreign_cores", "cores", "needed", "refused"),
    [
        (0.2, 2, 2, False),  # a machine's own services
        (1.0, 2, 2, True),  # one program beside two lanes on two cores
        (1.0, 2, 1, False),  # there is a core for it
        (1.6, 2, 1, True),
        (1.0, 8, 2, False),
        (7.0, 8, 2, True),
        (0.2, 2, 4, False),  # more lanes than cores on purpose
        (1.0, 2, 4, True),
    ],
)
def test_only_what_the_lanes_need_has_to_be_free(foreign_cores: float, cores: int, needed: int, refused: bool) -> None:
    load = Load(100 * foreign_cores / cores, 0.0, cores)
    assert (crowded(load, needed) is not None) == refused
    stolen = Load(0.0, 100 * foreign_cores / cores, cores)
    told = crowded(stolen, needed)
    assert (told is not None) == refused
    assert told is None or "other guests" in told


@given(st.floats(0, 100), st.floats(0, 100), st.integers(1, 256), st.integers(1, 256))
def test_more_load_is_never_less_crowded_and_no_load_is_never_crowded(
    foreign_pct: float, steal_pct: float, cores: int, needed: int
) -> None:
    told = crowded(Load(foreign_pct, steal_pct, cores), needed)
    assert crowded(Load(0, 0, cores), needed) is None
    if told is not None:
        assert (foreign_pct + steal_pct) / 100 * cores > SPARE_CORES
        assert crowded(Load(100, steal_pct, cores), needed) is not None
        assert crowded(Load(foreign_pct, steal_pct, cores), needed + 1) is not None


def test_a_real_program_of_somebody_else_makes_the_processor_busy() -> None:
    with burning(len(ALLOWED)) as pids:
        found = look(HostSource(), QUALITY, len(ALLOWED), ALLOWED)
    assert found.busy is not None
    assert any(f"(pid {pid})" in found.busy for pid in pids)
    assert f"of {len(ALLOWED)} cores busy, and lanes need {len(ALLOWED)}" in found.busy


def test_a_quiet_processor_passes() -> None:
    for _ in range(5):
        before, began_s = psutil.cpu_times(), time.monotonic()
        found = look(HostSource(), QUALITY, len(ALLOWED), ALLOWED)
        after, passed_s = psutil.cpu_times(), time.monotonic() - began_s
        idle_cores = (after.idle + after.iowait - before.idle - before.iowait) / passed_s
        if idle_cores > (psutil.cpu_count() or 1) - 0.3:  # by another's count
            assert found == Idleness()
            return
    pytest.skip("others kept this machine busy in five looks")


def test_a_processor_that_was_busy_only_with_ours_passes(tmp_path: Path) -> None:
    stats = iter(["cpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n", "cpu0 50 0 0 0 0 0 0 0\ncpu1 0 0 0 50 0 0 0 0\n"])
    (tmp_path / "proc").mkdir()

    def tick(_seconds: float = 0.0) -> None:
        (tmp_path / "proc/stat").write_text(next(stats))

    tick()
    own_ns = iter([0, 500_000_000])
    source = HostSource(tmp_path, lambda: {os.getpid()}, lambda pids, known: next(own_ns))
    assert look(source, QUALITY, 2, frozenset({0, 1}), tick) == Idleness()


def test_a_kernel_that_tells_no_times_is_unknown(tmp_path: Path) -> None:
    source = HostSource(tmp_path, lambda: {os.getpid()}, lambda pids, known: 0)
    found = look(source, QUALITY, 2, ALLOWED, lambda _seconds: None)
    assert (found.busy, found.unknown is None) == (None, False)
