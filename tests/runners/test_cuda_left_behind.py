"""What fails half-way leaves nothing behind: sessions that cannot open, captures that cannot begin."""

import gc
from pathlib import Path

import pytest
from lane_rig import LOADER, MS, collect, model_session
from model_gpu import ModelGpu
from model_parts import VirtualClock
from timed_engine import timed_engine

from cotenant.runners.cuda import devices
from cotenant.runners.cuda.anchors import Anchors
from cotenant.runners.cuda.devices import Survey
from cotenant.runners.cuda.driver_errors import LOST
from cotenant.runners.cuda.gpu import GpuError
from cotenant.runners.cuda.in_process_session import InProcessSession


def test_a_session_that_cannot_relate_the_clocks_frees_what_it_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(anchors: Anchors) -> None:
        anchors._stamps.mark(anchors._stream)
        raise GpuError("took no stamp")

    monkeypatch.setattr(Anchors, "first", fail)
    gpu = ModelGpu(clock=VirtualClock())
    streams = gpu.lane_streams([0, 0], None)
    with pytest.raises(GpuError, match=r"took no stamp"):
        InProcessSession(gpu, gpu.clock, streams, LOADER)
    gpu.close()
    assert (gpu.streams.count, gpu._events) == (0, {})


def test_a_capture_that_cannot_begin_leaves_the_collector_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise GpuError("cuStreamBeginCapture returned CUDA_ERROR_ILLEGAL_STATE")

    session, gpu = model_session(1)
    monkeypatch.setattr(gpu, "begin_capture", refuse)
    assert gc.isenabled()
    loaded = session.load(0, timed_engine(tmp_path, 1 * MS))
    assert gc.isenabled()
    assert "BeginCapture" in str(session.launch_modes()[0].refusal)
    session.submit(0, loaded)
    assert len(collect(session, 1)) == 1
    session.close()


@pytest.mark.parametrize("name", ["MPS_RPC_FAILURE", "MPS_SERVER_NOT_READY", "CONTAINED"])
def test_an_error_that_ends_a_client_of_mps_loses_its_lane(name: str) -> None:
    assert f"CUDA_ERROR_{name}" in LOST


def test_launches_do_not_block_whatever_the_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    monkeypatch.setattr(devices, "_survey", lambda: Survey((), ()))
    devices.survey()
    assert devices.os.environ["CUDA_LAUNCH_BLOCKING"] == "0"
