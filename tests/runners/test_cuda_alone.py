"""One engine alone: warmed, plainly enqueued, one execution at a time, nothing left behind."""

from pathlib import Path

import pytest
from lane_rig import MS
from model_gpu import ModelGpu
from model_parts import Traits, VirtualClock
from stub_library import COMPILER, compiled, facts
from timed_engine import LOADER, timed_engine

from cotenant.models.errors import UserError, WorkError
from cotenant.profiler.gpu_check.rig import RUNNER
from cotenant.runners.cuda.alone import WARM_EXECUTIONS, alone_on
from cotenant.runners.cuda.gpu import GpuLost, OutOfGpuMemory
from cotenant.runners.protocol import TargetOnly

CALL_NS = 1_000


@pytest.fixture
def gpu() -> ModelGpu:
    return ModelGpu(clock=VirtualClock(), traits=Traits(call_ns=CALL_NS))


def device_ns(gpu: ModelGpu) -> float:
    gpu.catch_up()
    return gpu.streams.now_ns


def test_an_execution_is_waited_for_and_the_engine_is_warm(gpu: ModelGpu, tmp_path: Path) -> None:
    before_ns = device_ns(gpu)
    with alone_on(gpu, timed_engine(tmp_path, 4 * MS, kernels=4), LOADER) as execute:
        warmed_ns = device_ns(gpu) - before_ns
        assert WARM_EXECUTIONS * 4 * MS <= warmed_ns < WARM_EXECUTIONS * 4 * MS + MS
        for _ in range(3):
            begun_ns = device_ns(gpu)
            execute()
            assert 4 * MS <= device_ns(gpu) - begun_ns < 5 * MS


def test_kernels_are_launched_one_by_one_without_a_graph_or_anything_else(
    gpu: ModelGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[float] = []
    push = gpu.streams.push

    def watched(stream: int, operation: object) -> None:
        pushed.append(operation.work_ns)  # type: ignore[attr-defined]
        push(stream, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(gpu.streams, "push", watched)
    with alone_on(gpu, timed_engine(tmp_path, 4 * MS, kernels=4), LOADER) as execute:
        pushed.clear()
        execute()
        assert pushed == [1 * MS] * 4
        assert gpu._graphs == {}
        assert gpu._events == {}


@pytest.mark.parametrize("manner", ["plain", "refuses"])
def test_nothing_is_left_behind(gpu: ModelGpu, tmp_path: Path, manner: str) -> None:
    with alone_on(gpu, timed_engine(tmp_path, 1 * MS, manner=manner), LOADER) as execute:
        execute()
    assert (gpu.streams.count, gpu._graphs, gpu._events, gpu._host_memory) == (0, {}, {}, set())


@pytest.mark.parametrize(
    ("manner", "kind", "said"),
    [("out_of_memory", OutOfGpuMemory, r"4096 of 16384 MiB were free"), ("torn", WorkError, r"the plan was cut short")],
)
def test_an_engine_that_cannot_be_loaded(
    gpu: ModelGpu, tmp_path: Path, manner: str, kind: type[WorkError], said: str
) -> None:
    engine = timed_engine(tmp_path, 1 * MS, manner=manner)
    with pytest.raises(kind, match=said) as caught, alone_on(gpu, engine, LOADER):
        pass
    assert str(caught.value).startswith(f"engine {engine.engine_id} (timed) cannot be loaded: ")
    assert gpu.streams.count == 0


def test_a_context_that_breaks_tells_its_first_error(gpu: ModelGpu, tmp_path: Path) -> None:
    def break_inside() -> None:
        with alone_on(gpu, timed_engine(tmp_path, 1 * MS), LOADER) as execute:
            gpu.break_down("CUDA_ERROR_ILLEGAL_ADDRESS")
            execute()

    with pytest.raises(GpuLost, match=r"CUDA_ERROR_ILLEGAL_ADDRESS"):
        break_inside()


def test_a_build_target_cannot_execute(tmp_path: Path) -> None:
    target = TargetOnly("target:sm_89", "none", "gpu", "sm_89", 0, None, None)
    with pytest.raises(UserError, match=r"build target"):
        RUNNER.alone(target, timed_engine(tmp_path, 1 * MS))


ALONE = """
import time
from cotenant.runners.cuda.alone import alone
{engine}
with alone(0, engine, LOADER) as execute:
    begun = time.monotonic_ns()
    execute()
    print(json.dumps({{"span_ms": (time.monotonic_ns() - begun) / MS}}))
"""
NETWORK = "engine = timed_engine(cache, 5 * MS, kernels=5, copied_bytes=4096)"
PROBE = """
from cotenant.runners.cuda.probe_engines import ProbeRequest, ProbeSizes
engine = ProbeRequest("r", "1", "sm_90", 0, ProbeSizes(16, 1 << 20, 1e12)).build("probe:compute:100", cache)
"""


@pytest.mark.parametrize(("engine", "least_ms"), [(NETWORK, 5.0), (PROBE, 0.0)], ids=["network", "probe"])
def test_through_the_drivers_bindings(tmp_path: Path, engine: str, least_ms: float) -> None:
    pytest.importorskip("cuda.bindings.driver", reason="needs the extra `cuda`: pip install cuda-bindings")
    if COMPILER is None:
        pytest.skip("needs a C compiler")
    library = compiled(tmp_path, COMPILER)
    assert facts(library, tmp_path / "cache", ALONE.format(engine=engine))["span_ms"] >= least_ms


@pytest.mark.gpu
def test_on_a_gpu(tmp_path: Path) -> None:
    from cotenant.profiler.gpu_check.rig import first_gpu, probe

    for model in ("probe:compute:100", "probe:dram:50"):
        with RUNNER.alone(first_gpu().device, probe(model, tmp_path)) as execute:
            execute()
            execute()
