"""One GPU while we measure, over NVML answers that change (nvml_sequence): drops, throttling, strangers, refusals."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nvml_by_hand import GETTERS as KNOWN
from nvml_by_hand import NVMLError_GpuIsLost, NVMLError_NotSupported
from nvml_sequence import NvmlSequence

from cotenant.datasets.raw_siblings import RAW_TELEMETRY
from cotenant.profiler.quality.doubts import doubts
from cotenant.profiler.quality.environment import environment
from cotenant.profiler.quality.nvml_reading import GETTERS
from cotenant.profiler.quality.nvml_source import NAMESPACE, NvmlSource, open_nvml
from cotenant.profiler.quality.own_processes import own_pids
from cotenant.profiler.quality.telemetry import Telemetry
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.cuda.mps import PIPE

pynvml = pytest.importorskip("pynvml")

UUID = "GPU-11111111-2222-3333-4444-555555555555"
OURS = {100, 101}
CLOCK, REASONS, LIST = (
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetComputeRunningProcesses",
)


def process(pid: int) -> Any:
    return type("Process", (), {"pid": pid})


def source(nvml: NvmlSequence, root: Path = Path("/nowhere")) -> NvmlSource:
    return NvmlSource(nvml, UUID, root, lambda: OURS)


def sampled(steps: list[dict[str, Any]]) -> Telemetry:
    """Telemetry over all steps, one sample each; no thread, so that each step is seen once."""
    nvml = NvmlSequence(steps)
    telemetry = Telemetry(source(nvml), 3600.0)
    with telemetry:
        for _ in range(len(steps) - 2):
            nvml.next()
            telemetry._sample()
        nvml.next()
    return telemetry


def test_the_gpu_is_picked_by_uuid_and_never_by_index() -> None:
    nvml = NvmlSequence([{}])
    asked = source(nvml)
    asked.begin()
    asked.snapshot()
    asked.sample()
    asked.close()
    assert nvml.asked_for == [UUID]
    assert "nvmlDeviceGetHandleByIndex" not in nvml.called
    assert (nvml.called[0], nvml.called[-1]) == ("nvmlInit", "nvmlShutdown")
    assert [name for name in {*nvml.called, "nvmlDeviceGetHandleByUUID"} if not hasattr(pynvml, name)] == []


def test_without_the_drivers_library_the_reason_is_told() -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("an NVIDIA driver is loaded here")
    assert "LibraryNotFound" in str(open_nvml(UUID))


def test_a_snapshot_tells_everything_or_why_not() -> None:
    snapshot = source(NvmlSequence([{"nvmlDeviceGetEccMode": NVMLError_NotSupported("Not Supported")}])).snapshot()
    assert snapshot.values.keys() | snapshot.refused.keys() >= GETTERS.keys()
    assert snapshot.refused == {"ecc_mode": "NVMLError_NotSupported: Not Supported"}
    assert snapshot.cost_ns.keys() == {*GETTERS, "driver_version"}
    assert all(cost_ns > 0 for cost_ns in snapshot.cost_ns.values())
    assert (snapshot.values["temperature_margin_c"], snapshot.values["slowdown_temperature_c"]) == (44, 85)
    found = environment(snapshot)
    assert found["ecc"] == "unknown: NVMLError_NotSupported: Not Supported"
    assert found | {"driver": "580.65.06", "mig": "off", "mps": "no clients", "virtualization": "none"} == found
    assert found | {"compute_mode": "default", "persistence": "on", "power_limit": "72 W"} == found


def test_a_snapshot_of_a_card_that_refuses_everything_raises_nothing() -> None:
    refusal = NVMLError_NotSupported("Not Supported")
    snapshot = source(NvmlSequence([dict.fromkeys(KNOWN, refusal)])).snapshot()
    assert snapshot.values == {"driver_version": "580.65.06"}
    assert snapshot.refused.keys() == {*GETTERS, "foreign_process_count"}


def test_a_clock_drop_and_its_reason_are_in_the_samples() -> None:
    dropped = {CLOCK: 1400, REASONS: 0x40}
    telemetry = sampled([{}, dropped, dropped, {}])
    rows = [(row["sm_clock_mhz"], row["throttle_mask"]) for row in telemetry.rows]
    assert rows == [(2040, 0x1), (1400, 0x40), (1400, 0x40), (2040, 0x1)]
    table = telemetry.table()
    assert table is not None
    assert table.schema.equals(RAW_TELEMETRY)
    assert telemetry.stopped is None


def test_what_a_person_can_do_something_about_is_told_and_a_quiet_card_says_nothing() -> None:
    quality = Quality().resolved("gpu")
    assert list(doubts(sampled([{}, {}, {}]), quality)) == []
    assert [word for word, _ in doubts(sampled([{REASONS: 0x4}] * 3), quality)] == ["throttled"]
    assert list(doubts(sampled([{REASONS: 0x10}] * 3), quality)) == []
    boosted = Quality(sync_boost_throttles=True).resolved("gpu")
    assert [word for word, _ in doubts(sampled([{REASONS: 0x10}] * 3), boosted)] == ["throttled"]
    listed = {LIST: [process(4711)]}
    assert [word for word, _ in doubts(sampled([listed] * 3), quality)] == ["strangers"]


def test_a_stranger_that_appears_is_counted_and_our_lanes_are_not() -> None:
    ours = [process(pid) for pid in OURS]
    telemetry = sampled([{LIST: ours}, {LIST: [*ours, process(4711)]}, {LIST: ours}])
    assert [row["foreign_process_count"] for row in telemetry.rows] == [0, 1, 0]


def test_in_a_container_an_empty_or_foreign_list_is_unknown_and_not_none(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    for listed in ([], [process(4711)]):
        found = source(NvmlSequence([{LIST: listed}]), tmp_path)
        found.begin()
        assert found.strangers() == NAMESPACE
        assert "foreign_process_count" not in found.sample()
        snapshot = found.snapshot()
        assert "foreign_process_count" not in snapshot.values
        assert snapshot.refused["foreign_process_count"] == NAMESPACE
    ours_too = source(NvmlSequence([{LIST: [process(100), process(4711)]}]), tmp_path)
    ours_too.begin()
    assert ours_too.strangers() == {4711}


def test_an_mps_server_of_our_own_is_no_stranger(tmp_path: Path) -> None:
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    pipes = [{PIPE: str(tmp_path / name)} for name in ("ours", "ours", "theirs")]
    client, server, other = (subprocess.Popen(sleep, env=pipe) for pipe in pipes)
    try:
        listed = [process(each.pid) for each in (client, server, other)]
        found = NvmlSource(NvmlSequence([{LIST: listed}]), UUID, Path("/nowhere"), lambda: {client.pid})
        found.begin()
        assert found.strangers() == {other.pid}
        assert {client.pid, server.pid, other.pid} <= own_pids()
    finally:
        for each in (client, server, other):
            each.kill()
            each.wait()


def test_a_getter_that_refuses_is_null_and_not_asked_again() -> None:
    refusal = {"nvmlDeviceGetMarginTemperature": NVMLError_NotSupported("Not Supported")}
    nvml = NvmlSequence([refusal])
    found = source(nvml)
    found.begin()
    for _ in range(3):
        assert found.sample()["throttle_mask"] == 0x1
    assert nvml.called.count("nvmlDeviceGetMarginTemperature") == 1
    telemetry = sampled([refusal] * 3)
    assert [row["temperature_margin_c"] for row in telemetry.rows] == [None] * 3
    assert telemetry.stopped is None


def test_one_getter_that_refuses_for_a_while_costs_its_values_alone() -> None:
    telemetry = sampled([{}, {CLOCK: NVMLError_NotSupported("busy")}, {}])
    assert [row["sm_clock_mhz"] for row in telemetry.rows] == [2040, None, 2040]
    assert [row["power_mw"] for row in telemetry.rows] == [16500] * 3


def test_a_card_that_is_lost_midway_ends_the_samples_and_says_why() -> None:
    lost = dict.fromkeys(KNOWN, NVMLError_GpuIsLost("GPU is lost"))
    telemetry = sampled([{}, {}, lost, {}])
    assert len(telemetry.rows) == 2
    assert "GPU is lost" in str(telemetry.stopped)
    assert telemetry.facts()["sample_count"] == 2
    assert [word for word, _ in doubts(telemetry, Quality().resolved("gpu"))] == ["stopped"]


def test_what_no_column_can_hold_costs_the_table_and_not_the_experiment() -> None:
    telemetry = sampled([{CLOCK: 1 << 40}, {}])
    assert telemetry.table() is None
    assert telemetry.stopped is not None
