"""Counters that NVML reads by itself: scripted answers (nvml_gpm) beside an engine that runs in virtual time."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest
from model_parts import Traits
from model_runner import ModelRunner
from nvml_gpm import NvmlGpm, Values, pynvml
from virtual_session import VirtualSession, engine

from cotenant.datasets.derive.counters import _row
from cotenant.datasets.tables.throughputs import THROUGHPUTS
from cotenant.datasets.words import NULL_REASONS
from cotenant.profiler.counters import utilization
from cotenant.profiler.counters.gpm import METRICS, WINDOW_NS, WINDOWS, GpmUnavailable, gpm_windows, measure_gpm
from cotenant.profiler.counters.utilization import UtilizationUnavailable, measure_utilization
from cotenant.profiler.experiments.bench import Hang
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Device, LaneLost

MS = 1_000_000
QUALITY = Quality()
DEVICE = Device("GPU-model", "model GPU", "gpu", "model", sm_count=16, l2_bytes=1 << 25, dram_bytes=1 << 34)


class OneEngine:
    """A runner whose one session stays at hand, so that a test can ask it for the time."""

    def __init__(self, span_ns: int = 5 * MS, **planted: Any) -> None:
        self.session = VirtualSession(1, {"net": span_ns}, **planted)
        self.busy_from_ns: int | None = None

    @contextmanager
    def open(self, device: Device, lanes: Any, isolation: str | None = None, seed: int = 0) -> Iterator[VirtualSession]:
        assert len(lanes) == 1
        yield self.session


def placement(device: Device = DEVICE) -> Any:
    return SimpleNamespace(device=device, isolation="streams", quality=QUALITY)


def window(**changed: float) -> Values:
    values: Values = dict(zip(METRICS.values(), (90.0, 50.0, 40.0, 30.0, 99.0), strict=True))
    return values | {METRICS[name]: value for name, value in changed.items()}


def scripted(
    monkeypatch: pytest.MonkeyPatch, runner: Any, windows: list[Values] | None = None, **planted: Any
) -> NvmlGpm:
    nvml = NvmlGpm(windows or [window()] * WINDOWS, now_ns=lambda: runner.session.now_ns(), **planted)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
    return nvml


def nvml_error(code: str) -> Exception:
    return pynvml.NVMLError(getattr(pynvml, f"NVML_ERROR_{code}"))  # type: ignore[no-any-return]


def run(runner: Any, device: Device = DEVICE) -> dict[str, Any]:
    row, kernels = measure_gpm(runner, placement(device), engine("net"), QUALITY)
    assert kernels == []
    return row


def test_every_name_used_exists_in_the_real_binding() -> None:
    names = [*METRICS.values(), "NVML_SUCCESS", "NVML_ERROR_NOT_SUPPORTED", "NVML_GPM_METRICS_GET_VERSION"]
    names += [name for name in vars(NvmlGpm) if name.startswith("nvml")]
    assert [name for name in names if not hasattr(pynvml, name)] == []
    assert [getattr(pynvml, name) for name in METRICS.values()] == [2, 3, 5, 10, 1]
    fields = dict(pynvml.c_nvmlGpmMetric_t._fields_)
    assert {"metricId", "nvmlReturn", "value"} <= set(fields)
    assert len(METRICS) <= pynvml.NVML_GPM_METRIC_MAX


def test_the_row_holds_medians_over_windows_and_their_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine()
    busy = [10.0, 80.0, 81.0, 82.0, 83.0, 84.0, 85.0, 86.0, 87.0, 100.0]
    scripted(monkeypatch, runner, [window(sm_pct=value) for value in busy])
    windows = gpm_windows(runner, placement(), engine("net"), QUALITY)  # type: ignore[arg-type]
    row = windows.row()
    assert row["sm_pct"] == median(busy) == 83.5
    assert windows.spread()["sm_pct"] == (10.0, 100.0)
    assert (row["occupancy_pct"], row["tensor_pct"], row["dram_pct"]) == (50, 40, 30)
    assert row["gpu_utilization_pct"] == 99
    assert (row["counter_source"], row["counter_set"], row["aggregation"]) == ("gpm", "gpm", "range")
    assert (row["sm_clock_mhz"], row["memory_clock_mhz"]) == (1980, 2619)
    assert row["wall_ns"] == 5 * MS
    assert row["l2_pct"] is None
    assert row["null_reasons"]["l2_pct"] == "not_in_set"


@pytest.mark.parametrize("measure", [measure_gpm, measure_utilization])
def test_a_row_is_one_of_the_table_with_a_reason_for_every_null(monkeypatch: pytest.MonkeyPatch, measure: Any) -> None:
    runner = OneEngine()
    scripted(monkeypatch, runner)
    row, _ = measure(runner, placement(), engine("net"), QUALITY)
    whole = _row(THROUGHPUTS, {**row, "engine_id": "net", "device_id": "GPU-model"})
    assert set(whole) == {column.name for column in THROUGHPUTS.columns}
    nullable = {column.name for column in THROUGHPUTS.columns if column.nullable}
    assert set(row["null_reasons"]) == {name for name in nullable if row[name] is None}
    assert set(row["null_reasons"].values()) <= set(NULL_REASONS)


@pytest.mark.parametrize("span_ns", [50_000, 5 * MS, 130 * MS])
def test_windows_begin_after_the_engine_has_led_in_and_last_long_enough(
    monkeypatch: pytest.MonkeyPatch, span_ns: int
) -> None:
    runner = OneEngine(span_ns, load_ns=700 * MS)  # nothing runs while it loads
    nvml = scripted(monkeypatch, runner)
    row = run(runner)
    led_in_ns = max(int(QUALITY.settle_s * 1e9), QUALITY.settle_executions * span_ns)
    assert nvml.sampled_ns[0] >= 700 * MS + led_in_ns
    gaps_ns = [after - before for before, after in zip(nvml.sampled_ns, nvml.sampled_ns[1:], strict=False)]
    assert len(gaps_ns) == WINDOWS
    assert min(gaps_ns) >= WINDOW_NS
    assert max(gaps_ns) < WINDOW_NS + MS  # a long execution does not hold a sample up
    assert row["wall_ns"] == span_ns
    assert not any(runner.session.queues)


def test_it_runs_on_lanes_of_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = ModelRunner({"net": 5 * MS}, Traits(drift=0.0))
    built = runner.build("net", 1, "fp32", "model", tmp_path)
    nvml = NvmlGpm([window()] * WINDOWS)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
    row, _ = measure_gpm(runner, placement(), built, QUALITY)
    assert row["wall_ns"] == pytest.approx(5 * MS, rel=0.02)
    assert nvml.uuids == ["GPU-model"]
    assert nvml.attached == 0


def test_a_metric_that_a_window_lacks_is_null_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine()
    unsupported, unknown = pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_UNKNOWN
    whole = window(tensor_pct=unsupported, sm_pct=111.0)
    windows = [whole] * (WINDOWS - 1) + [whole | window(tensor_pct=unsupported, dram_pct=unknown, sm_pct=111.0)]
    windows[0] = windows[0] | {METRICS["occupancy_pct"]: float("nan")}
    scripted(monkeypatch, runner, windows)
    row = run(runner)
    reasons = {name: row["null_reasons"].get(name) for name in METRICS if row[name] is None}
    assert reasons == {
        "tensor_pct": "no_counter",
        "dram_pct": "not_reported",
        "occupancy_pct": "not_reported",
        "sm_pct": "above_peak",
    }


def test_none_of_the_metrics_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine()
    scripted(monkeypatch, runner, [dict.fromkeys(METRICS.values(), pynvml.NVML_ERROR_NOT_SUPPORTED)] * WINDOWS)
    with pytest.raises(GpmUnavailable, match="none of its metrics"):
        run(runner)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({"raising": {"nvmlInit": (0, nvml_error("LIBRARY_NOT_FOUND"))}}, "LibraryNotFound.*install NVIDIA's driver"),
        ({"supported": 0}, "came with Hopper"),
        ({"mig_mode": 1}, "MIG mode"),
        ({"raising": {"nvmlGpmQueryDeviceSupport": (0, nvml_error("NOT_SUPPORTED"))}}, "NotSupported"),
        ({"raising": {"nvmlGpmSampleAlloc": (1, nvml_error("MEMORY"))}}, "NVMLError_Memory"),
        ({"raising": {"nvmlGpmSampleGet": (0, nvml_error("NO_PERMISSION"))}}, "NoPermission.*ask for the right"),
        ({"raising": {"nvmlGpmSampleGet": (4, nvml_error("GPU_IS_LOST"))}}, "GpuIsLost.*cotenant doctor"),
        ({"raising": {"nvmlGpmMetricsGet": (3, nvml_error("UNKNOWN"))}}, "Unknown"),
        ({"lacking": ("nvmlGpmSampleAlloc",)}, "nvidia-ml-py is too old"),
    ],
)
def test_what_nvml_refuses_is_one_typed_line_and_samples_are_freed(
    monkeypatch: pytest.MonkeyPatch, planted: dict[str, Any], said: str
) -> None:
    runner = OneEngine()
    nvml = scripted(monkeypatch, runner, **planted)
    with pytest.raises(GpmUnavailable, match=said) as caught:
        run(runner)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("GPM is not available: ")
    assert nvml.freed == nvml.allocated[::-1]
    assert nvml.attached == 0
    assert not any(runner.session.queues)  # what was in flight has ended


def test_the_gpu_is_found_by_its_uuid_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine()
    nvml = scripted(monkeypatch, runner)
    other = Device("GPU-other", "model GPU", "gpu", "model", sm_count=16, l2_bytes=None, dram_bytes=None)
    with pytest.raises(GpmUnavailable, match=r"NotFound.*nvidia-smi -L"):
        run(runner, other)
    assert nvml.uuids == ["GPU-other"]
    assert nvml.attached == 0
    cpu = Device("cpu-1", "a processor", "cpu", "model", None, None, None)
    with pytest.raises(GpmUnavailable, match="is no GPU"):
        run(runner, cpu)


def test_the_real_binding_without_a_driver_or_such_a_gpu_is_refused_in_one_line() -> None:
    with pytest.raises(GpmUnavailable, match=r"^GPM is not available: NVMLError_\w+: [^\n]+; [^\n]+$"):
        run(OneEngine())


def test_a_missing_binding_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(GpmUnavailable, match="install nvidia-ml-py"):
        run(OneEngine())


@pytest.mark.parametrize(("planted", "kind"), [({"die_at_ns": 600 * MS}, LaneLost), ({"hang_at_ns": 600 * MS}, Hang)])
def test_samples_are_freed_when_the_lane_is_lost_or_hangs(
    monkeypatch: pytest.MonkeyPatch, planted: dict[str, int], kind: type[Exception]
) -> None:
    runner = OneEngine(**planted)
    nvml = scripted(monkeypatch, runner)
    with pytest.raises(kind):
        run(runner)
    assert nvml.sampled_ns
    assert len(nvml.freed) == 2
    assert nvml.attached == 0


def test_errors_of_ours_stay_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine()
    nvml = scripted(monkeypatch, runner, raising={"nvmlGpmMetricsGet": (2, ZeroDivisionError("bug"))})
    with pytest.raises(ZeroDivisionError):
        run(runner)
    assert nvml.freed == nvml.allocated[::-1]


def test_utilization_is_a_median_of_what_is_read_once_its_window_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine(load_ns=700 * MS)
    shown = [0, *[98] * 5, *[100] * 6]  # the first answers a question before the engine runs, and does not count
    nvml = scripted(monkeypatch, runner, utilizations_pct=shown)
    row, kernels = measure_utilization(runner, placement(), engine("net"), QUALITY)  # type: ignore[arg-type]
    assert kernels == []
    assert row["gpu_utilization_pct"] == 100
    assert (row["counter_source"], row["counter_set"]) == ("nvml", "utilization")
    counted = nvml.utilization_ns[1:]
    assert len(counted) == utilization.READS
    assert counted[0] >= 700 * MS + utilization.PERIOD_MAX_NS
    assert counted[-1] - counted[0] >= 2_000 * MS
    known = {name for name, value in row.items() if name.endswith("_pct") and value is not None}
    assert known == {"gpu_utilization_pct"}


def test_utilization_that_is_refused_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine()
    refused = {"nvmlDeviceGetUtilizationRates": (0, nvml_error("NOT_SUPPORTED"))}
    scripted(monkeypatch, runner, raising=refused)
    with pytest.raises(UtilizationUnavailable, match="NotSupported"):
        measure_utilization(runner, placement(), engine("net"), QUALITY)  # type: ignore[arg-type]
    assert runner.session.tickets == 0  # known at once, before the engine is loaded


def test_clocks_that_are_refused_are_null(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = OneEngine()
    scripted(monkeypatch, runner, raising={"nvmlDeviceGetClockInfo": (0, nvml_error("NOT_SUPPORTED"))})
    row = run(runner)
    assert row["sm_clock_mhz"] is None
    assert row["null_reasons"]["sm_clock_mhz"] == "not_reported"
