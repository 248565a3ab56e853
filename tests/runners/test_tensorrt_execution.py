"""The adapter between lanes and TensorRT, against a stand-in that keeps the library's rules; a GPU shows the rest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorrt_plans import plan_bytes, write_plan
from tensorrt_stand_in import SCRATCH_BYTES, Driver, TensorRtModule

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.executable import LoadRequest, loader_of
from cotenant.runners.cuda.gpu import OutOfGpuMemory
from cotenant.runners.random_inputs import random_inputs
from cotenant.runners.tensorrt import execution, shared_engine
from cotenant.runners.tensorrt.backend import LOADER
from cotenant.runners.tensorrt.execution import PlanExecutable
from cotenant.runners.tensorrt.flavour import TENSORRT, TENSORRT_RTX, Flavour, Installed
from cotenant.runners.tensorrt.shared_engine import SharedEngine

STREAM = 77
INPUTS: list[dict[str, Any]] = [
    {"name": "x", "dtype": "float16", "shape": [2, 3], "high": None},
    {"name": "ids", "dtype": "int64", "shape": [2, 5], "high": 50},
]


def request(folder: Path, target: str = "sm_89", inputs: list[dict[str, Any]] = INPUTS) -> LoadRequest:
    engine = {"engine_sha256": "ab", "build_target": target}
    return LoadRequest(folder, {"engine": engine, "inputs": inputs}, 0, STREAM, seed=5)


def engine_of(folder: Path, trt: Any, flavour: Flavour = TENSORRT_RTX) -> SharedEngine:
    here = Installed(flavour, "stand_in", trt.__version__)
    return SharedEngine(trt, here, write_plan(folder / "engine.plan", plan_bytes()))


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def trt() -> Any:
    return TensorRtModule()


@pytest.mark.parametrize("flavour", [TENSORRT, TENSORRT_RTX], ids=str)
def test_a_loaded_engine_executes_on_the_stream_it_is_given(
    tmp_path: Path, driver: Driver, trt: Any, flavour: Flavour
) -> None:
    executable = PlanExecutable(engine_of(tmp_path, trt, flavour), request(tmp_path), driver)
    executable.enqueue(STREAM)
    executable.enqueue(STREAM + 1)
    (context,) = trt.contexts
    assert context.enqueued == [STREAM, STREAM + 1]
    scratch, size = context.scratch
    assert size == SCRATCH_BYTES == len(driver.memory[scratch])


def test_inputs_hold_the_seeds_values_and_are_there_before_loading_ends(
    tmp_path: Path, driver: Driver, trt: Any
) -> None:
    executable = PlanExecutable(engine_of(tmp_path, trt), request(tmp_path), driver)
    expected = random_inputs(INPUTS, 5)
    assert {binding.name for binding in executable.inputs} == set(expected)
    for binding in executable.inputs:
        held = driver.memory[binding.address][: binding.byte_count]
        assert bytes(held) == expected[binding.name].tobytes()
    assert driver.synchronised == [STREAM]
    assert [(binding.name, binding.byte_count) for binding in executable.outputs] == [("y", 2 * 7 * 4)]


def test_lanes_share_an_engine_but_neither_context_nor_memory(tmp_path: Path, driver: Driver, trt: Any) -> None:
    shared = engine_of(tmp_path, trt)
    lanes = [PlanExecutable(shared, request(tmp_path), driver) for _ in range(2)]
    addresses = [each.address for lane in lanes for each in (*lane.inputs, *lane.outputs)]
    assert len(set(addresses)) == len(addresses) == 6
    assert len(trt.contexts) == 2
    assert trt.contexts[0].scratch != trt.contexts[1].scratch


def test_closing_frees_everything_once(tmp_path: Path, driver: Driver, trt: Any) -> None:
    executable = PlanExecutable(engine_of(tmp_path, trt), request(tmp_path), driver)
    executable.close()
    executable.close()
    assert driver.memory == {}


def test_too_little_memory_is_told_as_such_and_frees_what_was_taken(tmp_path: Path, trt: Any) -> None:
    driver = Driver(free_bytes=SCRATCH_BYTES + 300)
    with pytest.raises(OutOfGpuMemory):
        PlanExecutable(engine_of(tmp_path, trt), request(tmp_path), driver)
    assert driver.memory == {}


def test_a_refused_execution_is_told_with_the_librarys_reason(tmp_path: Path, driver: Driver) -> None:
    executable = PlanExecutable(engine_of(tmp_path, TensorRtModule(executes=False)), request(tmp_path), driver)
    with pytest.raises(WorkError, match="not everything is set"):
        executable.enqueue(STREAM)


def test_an_engine_that_cannot_be_captured_says_so_during_capture_alone(tmp_path: Path, driver: Driver) -> None:
    trt = TensorRtModule(captures=False)
    executable = PlanExecutable(engine_of(tmp_path, trt), request(tmp_path), driver)
    executable.enqueue(STREAM)
    driver.capturing = True
    with pytest.raises(WorkError, match="cannot be captured"):
        executable.enqueue(STREAM)
    assert trt.contexts[0].enqueued == [STREAM]


def test_a_plan_that_the_library_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match=r"could not deserialise it: no such GPU"):
        engine_of(tmp_path, TensorRtModule(deserialises=False))


def test_an_input_of_another_size_than_the_models_is_told(tmp_path: Path, driver: Driver, trt: Any) -> None:
    wide = [{**INPUTS[0], "dtype": "float32"}, INPUTS[1]]
    with pytest.raises(WorkError, match="input x takes 12 bytes, the model says 24"):
        PlanExecutable(engine_of(tmp_path, trt), request(tmp_path, inputs=wide), driver)
    assert driver.memory == {}


@pytest.mark.parametrize(
    ("target", "fits"), [("sm_89", True), ("NVIDIA L4, sm_89, driver 1.0", True), ("portable", True), ("sm_86", False)]
)
def test_an_engine_of_another_device_is_refused_naming_both(
    tmp_path: Path, driver: Driver, target: str, fits: bool
) -> None:
    if fits:
        execution._check_device(request(tmp_path, target), driver)
        return
    with pytest.raises(WorkError, match="built for sm_86, this GPU is sm_89"):
        execution._check_device(request(tmp_path, target), driver)


def test_a_foreign_plan_is_refused_before_the_library_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Installed(TENSORRT_RTX, "no_such_module", "1.7.1.116")
    monkeypatch.setattr(shared_engine, "installed", lambda: here)
    path = write_plan(tmp_path / "engine.plan", plan_bytes(b"ftrt", (11, 4, 0, 106)))
    with pytest.raises(WorkError, match=r"built by TensorRT 11\.4\.0\.106, here is TensorRT-RTX 1\.7\.1\.116"):
        shared_engine.shared_engine(path, "ab", 0)


def test_every_driver_call_exists() -> None:
    driver = pytest.importorskip("cuda.bindings.driver", reason="pip install 'cotenant[cuda]'")
    calls = [name for name in vars(Driver) if name.startswith(("cu", "CU"))]
    assert [name for name in calls if not hasattr(driver, name)] == []
    for name in ("CUstreamCaptureStatus", "CUdevice_attribute"):
        for member in getattr(Driver, name):
            assert int(getattr(getattr(driver, name), member.name)) == member.value


def test_random_inputs_are_the_same_for_the_same_seed_and_in_range() -> None:
    one, same, other = (random_inputs(INPUTS, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["x"], other["x"])
    assert one["x"].dtype == np.float16
    assert 0 <= one["ids"].min() <= one["ids"].max() < 50


def test_the_loader_is_where_lanes_look_for_it() -> None:
    assert loader_of(LOADER) is execution.load
