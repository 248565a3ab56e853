"""What watches a device through a run, for each kind of device; NVML is a stand-in (nvml_sequence)."""

import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from nvml_by_hand import NVMLError_NotFound
from nvml_sequence import NvmlSequence

from cotenant.models.errors import UserError
from cotenant.profiler.quality import start_gate
from cotenant.profiler.quality.thresholds import Quality
from cotenant.profiler.quality.watch import Watch, stored
from cotenant.runners.protocol import Device, DeviceKind

UUID = "GPU-11111111-2222-3333-4444-555555555555"
LIST = "nvmlDeviceGetComputeRunningProcesses"
BUSY = {LIST: [SimpleNamespace(pid=1)]}


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_gate, "UTILIZATION_SETTLES_S", 0.0)
    monkeypatch.setattr(start_gate, "UTILIZATION_LOOK_S", 0.0)
    monkeypatch.setattr("cotenant.profiler.quality.nvml_source.in_container", lambda root: False)


def watch(kind: DeviceKind, monkeypatch: pytest.MonkeyPatch, steps: list[dict[str, Any]], **quality: Any) -> Watch:
    monkeypatch.setitem(sys.modules, "pynvml", NvmlSequence(steps))  # type: ignore[arg-type]
    device = Device(UUID, "type", kind, "NVIDIA L4", 58, None, None)
    return Watch(device, Quality(**quality).resolved(kind, 58))


def session(now_ns: Any = time.monotonic_ns) -> Any:
    return SimpleNamespace(now_ns=now_ns)


def test_a_busy_gpu_is_refused_unless_option_or_threshold_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    with pytest.raises(UserError, match=r"NVIDIA L4 is not idle: .*pid 1"):
        watch("gpu", monkeypatch, [BUSY]).start(2, False, notes.append)
    assert notes == []
    for option, threshold in ((True, False), (False, True)):
        allowed = watch("gpu", monkeypatch, [BUSY], allow_busy=threshold)
        allowed.start(2, option, notes.append)
        assert allowed.started_busy is True
        assert "going on as asked" in notes.pop()


def test_an_idle_gpu_is_watched_through_an_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    found, notes = watch("gpu", monkeypatch, [{}]), list[str]()
    found.start(2, False, notes.append)
    assert found.started_busy is False
    assert found.cool_down(notes.append) == 0
    at_start = found.snapshot()
    with found.telemetry(session()) as telemetry:
        pass
    kept = stored(at_start, found.snapshot())
    assert kept is not None
    assert kept["start"]["values"]["uuid"] == UUID
    assert telemetry.facts() | {"source": "nvml", "sample_count": 2, "stopped": None} == telemetry.facts()
    assert found.environment(at_start)["driver"] == "580.65.06"
    found.tell_doubts(telemetry, notes.append)
    found.close()
    assert notes == []


def test_a_doubt_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, notes = watch("gpu", monkeypatch, [BUSY]), list[str]()
    for _ in range(3):
        with found.telemetry(session()) as telemetry:
            pass
        found.tell_doubts(telemetry, notes.append)
    assert len(notes) == 1
    assert "other processes compute on it" in notes[0]


def test_a_gpu_that_nvml_does_not_know_is_unknown_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = NvmlSequence([{}])
    monkeypatch.setattr(nvml, "nvmlDeviceGetHandleByUUID", lambda uuid: (_ for _ in ()).throw(NVMLError_NotFound("no")))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
    found = Watch(Device(UUID, "type", "gpu", "NVIDIA L4", 58, None, None), Quality().resolved("gpu"))
    found.start(2, False, pytest.fail)
    snapshot = found.snapshot()
    assert found.started_busy is None
    assert snapshot is not None
    assert snapshot.refused == {"all": "NVMLError_NotFound: no"}
    with found.telemetry(session()) as telemetry:
        pass
    assert telemetry.facts()["stopped"] == "NVMLError_NotFound: no"
    assert nvml.called[-1] == "nvmlShutdown"
    found.close()


def test_virtual_time_has_no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = watch("simulated", monkeypatch, [BUSY])
    simulated.start(2, False, pytest.fail)
    assert (simulated.started_busy, simulated.snapshot(), stored(None, None)) == (None, None, None)
    assert simulated.environment(None) == {}
    with watch("gpu", monkeypatch, [{}]).telemetry(session(lambda: 0)) as telemetry:
        pass
    assert telemetry.table() is None
    assert "clock" in str(telemetry.stopped)
