"""Thresholds: named, checked, with defaults by kind of device, stored whole."""

import inspect
import json
from typing import Any

import pytest
from pydantic import ValidationError

from cotenant.profiler.quality import nvml as asked
from cotenant.profiler.quality import thresholds
from cotenant.profiler.quality.thresholds import Quality

pynvml = pytest.importorskip("pynvml")


def test_the_masks_are_the_bindings_reasons_that_slow_work_down() -> None:
    slowing = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
    found = {
        name: getattr(pynvml, name) for name in dir(pynvml) if "ClocksEventReason" in name or "ClocksThrottle" in name
    }
    bits = {bit for name, bit in found.items() if name.endswith(slowing)}
    assert sum(bits) == thresholds.THROTTLE_MASK
    assert {bit for name, bit in found.items() if name.endswith("SyncBoost")} == {thresholds.SYNC_BOOST}
    thermal = {bit for name, bit in found.items() if name.endswith("ThermalSlowdown")}
    assert sum(thermal) == thresholds.THERMAL_MASK


def test_the_slowdown_threshold_is_the_bindings() -> None:
    assert asked.THRESHOLD_SLOWDOWN == pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
    assert len(inspect.signature(pynvml.nvmlDeviceGetTemperatureThreshold).parameters) == 2


def test_sync_boost_counts_where_it_is_said() -> None:
    assert Quality().bad_clock_reasons == 0xEC
    assert Quality(sync_boost_throttles=True).bad_clock_reasons == 0xFC


@pytest.mark.parametrize(
    "wrong",
    [
        {"telemetry_s": 0.001},
        {"telemetry_s": -1},
        {"throttle_mask": -1},
        {"clock_drop_max_ratio": 0},
        {"clock_drop_max_ratio": 1},
        {"temperature_margin_min_c": -1},
        {"cool_down_s": -1},
        {"idle_utilization_max_pct": 101},
        {"foreign_cpu_max_pct": -1},
        {"steal_max_pct": 101},
        {"allow_busy": "perhaps"},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Quality.model_validate(wrong)


def test_no_telemetry_at_all_is_allowed() -> None:
    assert Quality(telemetry_s=0).telemetry_s == 0


@pytest.mark.parametrize(("kind", "cores", "drop", "foreign"), [("gpu", 132, 0.05, 10.0), ("cpu", 2, 0.1, 12.5)])
def test_defaults_go_by_the_kind_of_device(kind: str, cores: int, drop: float, foreign: float) -> None:
    found = Quality().resolved(kind, cores)
    assert (found.clock_drop_max_ratio, found.foreign_cpu_max_pct) == (drop, foreign)
    own = Quality(clock_drop_max_ratio=0.2, foreign_cpu_max_pct=0.0).resolved(kind, cores)
    assert (own.clock_drop_max_ratio, own.foreign_cpu_max_pct) == (0.2, 0.0)


def test_on_many_cores_a_quarter_of_one_is_still_what_counts() -> None:
    assert Quality().resolved("cpu", 64).foreign_cpu_max_pct == pytest.approx(100 * 0.25 / 64, rel=0.01)


def test_all_of_it_is_stored() -> None:
    stored = json.loads(json.dumps(Quality().resolved("gpu").stored()))
    assert stored.keys() == Quality.model_fields.keys()
    assert [name for name, value in stored.items() if value is None] == []
