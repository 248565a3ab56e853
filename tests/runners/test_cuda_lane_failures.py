"""What goes wrong on a device: broken contexts, queues that fill behind a gate, graphs beside themselves."""

from pathlib import Path

import pytest
from lane_rig import HANG_NS, MS, US, collect, model_session
from model_gpu import ModelGpu
from model_parts import Traits, VirtualClock
from model_streams import ModelFault
from timed_engine import timed_engine

from cotenant.models.errors import WorkError
from cotenant.runners.cuda import gate as gate_module
from cotenant.runners.cuda import in_process_session
from cotenant.runners.cuda.driver_errors import LOST, OUT_OF_MEMORY, done
from cotenant.runners.cuda.gpu import GpuError, GpuLost, OutOfGpuMemory
from cotenant.runners.protocol import Completion, LaneLost


def test_a_broken_context_loses_every_lane_after_what_had_completed(tmp_path: Path) -> None:
    session, gpu = model_session(2)
    loaded = [session.load(lane, timed_engine(tmp_path, 1 * MS)) for lane in (0, 1)]
    session.submit(0, loaded[0])
    gpu.clock.pause(2 * MS)
    session._turn()  # it has ended and is known; then the context breaks
    session.submit(1, loaded[1])
    gpu.break_down("CUDA_ERROR_ILLEGAL_ADDRESS")
    assert [each.lane for each in session.wait(session.now_ns() + HANG_NS)] == [0]
    with pytest.raises(LaneLost, match=r"CUDA_ERROR_ILLEGAL_ADDRESS"):
        session.wait(session.now_ns() + HANG_NS)
    with pytest.raises(LaneLost):
        session.submit(1, loaded[1])
    with pytest.raises(LaneLost):
        session.load(0, timed_engine(tmp_path, 2 * MS))
    session.close()  # nothing can be freed any more; it must not raise


def test_a_context_that_breaks_as_an_engine_is_loaded_loses_the_lanes(tmp_path: Path) -> None:
    session, gpu = model_session(1)
    engine = timed_engine(tmp_path, 1 * MS)
    gpu.break_down("CUDA_ERROR_LAUNCH_FAILED")
    with pytest.raises(LaneLost, match=r"CUDA_ERROR_LAUNCH_FAILED"):
        session.load(0, engine)
    session.close()


def test_a_plain_engine_larger_than_the_queue_is_let_through_a_gate_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its launches block behind the closed gate; only opening the gate ends that. In the machine's own time."""
    monkeypatch.setattr(gate_module, "PATIENCE_S", 0.2)
    gpu = ModelGpu(traits=Traits(queue_limit=16))
    gate, stream = gate_module.Gate(gpu), gpu.create_stream()
    hold = gate.next_hold()

    def queue() -> None:
        hold(stream)
        for _ in range(40):
            gpu.launch_kernel(stream, 10 * US)

    gate.pass_through_watched(queue)
    gpu.synchronize(stream)
    assert gate.opened_early == 1


def test_plain_engines_do_not_fill_the_queue_behind_a_gate(tmp_path: Path) -> None:
    session, _ = model_session(2)  # a stream of the model takes 64 operations
    engine = timed_engine(tmp_path, 2 * MS, kernels=40, manner="refuses")
    loaded = [session.load(lane, engine) for lane in (0, 1)]
    with session.gate():
        for lane in (0, 1):
            for _ in range(6):
                session.submit(lane, loaded[lane])
    assert len(collect(session, 12)) == 12
    session.close()


def test_nothing_is_told_before_it_has_ended_on_the_hosts_clock() -> None:
    session, _ = model_session(1)
    now_ns = session.now_ns()
    session._completed.append(Completion(0, 0, now_ns, now_ns + 3 * MS, None, None, None))  # the map is ahead
    assert session.wait(now_ns + 1 * MS) == []
    (done,) = session.wait(now_ns + HANG_NS)
    assert done.end_ns <= session.now_ns() < done.end_ns + 1 * MS
    session.close()


def test_a_gate_opens_even_if_queueing_fails() -> None:
    gpu = ModelGpu(clock=VirtualClock())
    gate, stream = gate_module.Gate(gpu), gpu.create_stream()
    hold = gate.next_hold()

    def queue() -> None:
        hold(stream)
        raise GpuError("launch failed")

    with pytest.raises(GpuError):
        gate.pass_through(queue)
    gpu.synchronize(stream)  # the model raises if this would block for ever


def test_the_epoch_of_a_gate_survives_32_bits() -> None:
    gpu = ModelGpu(clock=VirtualClock())
    gate, stream = gate_module.Gate(gpu), gpu.create_stream()
    gate._epoch = (1 << 32) - 2
    gate._words.write(0, gate._epoch)
    for _ in range(4):
        hold = gate.next_hold()
        held: list[int] = []

        def queue(hold: gate_module.Hold = hold, held: list[int] = held) -> None:
            hold(stream)
            gpu.launch_kernel(stream, 1 * US)
            gpu.clock.pause(1 * MS)
            held.append(gpu.streams.length(stream))

        gate.pass_through(queue)
        assert held == [2]
        gpu.synchronize(stream)


def test_the_model_punishes_a_graph_beside_itself() -> None:
    """The rule that self-pairs need a graph of their own: without it this test bed would prove nothing."""
    gpu = ModelGpu(clock=VirtualClock())
    first, second = gpu.create_stream(), gpu.create_stream()
    gpu.begin_capture(first)
    gpu.launch_kernel(first, 1 * MS)
    graph = gpu.end_capture(first)
    gpu.launch_graph(graph, first)
    with pytest.raises(ModelFault, match=r"same time"):
        gpu.launch_graph(graph, second)


def test_the_model_punishes_launches_behind_a_gate_that_nobody_opens() -> None:
    gpu = ModelGpu(clock=VirtualClock(), traits=Traits(queue_limit=8))
    stream, words = gpu.create_stream(), gpu.words(1)
    gpu.wait_word(stream, words, 0, 1)
    for _ in range(7):
        gpu.launch_kernel(stream, 1 * US)
    with pytest.raises(ModelFault, match=r"block for ever"):
        gpu.launch_kernel(stream, 1 * US)


def test_delays_end_with_the_session_though_they_are_queued_in_a_row(tmp_path: Path) -> None:
    session, gpu = model_session(2)
    loaded = [session.load(lane, timed_engine(tmp_path, 1 * MS)) for lane in (0, 1)]
    for lane in (0, 1):
        for _ in range(20):
            session.submit(lane, loaded[lane], delay_ns=3600 * 1000 * MS)
    began_ns = gpu.clock.now_ns()
    session.close()
    assert gpu.clock.now_ns() - began_ns < 100 * MS  # what is on the device runs out, what is on the host is dropped


def test_a_device_that_hangs_does_not_keep_the_session_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process_session, "CLOSE_LIMIT_NS", 20 * MS)
    session, _ = model_session(1)
    loaded = session.load(0, timed_engine(tmp_path, 10**15))  # eleven days
    session.submit(0, loaded)
    assert session.wait(session.now_ns() + 20 * MS) == []
    session.close()


class Status(int):
    """A status as the bindings give it."""

    name: str


def status(code: int, name: str) -> Status:
    made = Status(code)
    made.name = name
    return made


def test_errors_of_the_driver_become_ours() -> None:
    fine = status(0, "CUDA_SUCCESS")
    assert done((fine,), "cuInit") is None
    assert done((fine, 7), "cuDeviceGet") == 7
    assert done((fine, 7, 8), "cuMemGetInfo") == (7, 8)
    with pytest.raises(OutOfGpuMemory, match=r"cuMemAlloc returned CUDA_ERROR_OUT_OF_MEMORY"):
        done((status(2, OUT_OF_MEMORY), 0), "cuMemAlloc")
    for name in LOST:
        with pytest.raises(GpuLost, match=name):
            done((status(700, name),), "cuEventQuery")
    with pytest.raises(GpuError, match=r"INVALID_VALUE") as told:
        done((status(1, "CUDA_ERROR_INVALID_VALUE"),), "cuStreamCreateWithPriority")
    assert not isinstance(told.value, GpuLost)
    assert isinstance(told.value, WorkError)


def test_a_session_goes_on_after_a_load_that_failed(tmp_path: Path) -> None:
    session, _ = model_session(1)
    with pytest.raises(WorkError, match=r"cut short"):
        session.load(0, timed_engine(tmp_path, 1 * MS, manner="torn"))
    assert session.launch_modes() == []
    loaded = session.load(0, timed_engine(tmp_path, 1 * MS))
    session.submit(0, loaded)
    assert len(collect(session, 1)) == 1
    session.close()
