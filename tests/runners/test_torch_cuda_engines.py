"""torch-cuda engines: built anywhere, told from one another, refused where this torch or driver cannot execute them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_nvml import Card, Machine
from onnx import TensorProto, helper

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.cuda import devices
from cotenant.runners.cuda.executable import LoadRequest, loader_of
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.registry import load
from cotenant.runners.torch_cuda import RUNNER, backend, library
from cotenant.runners.torch_cuda.library import TorchBuild, torch_build

pytestmark = pytest.mark.oracle
torch: Any = pytest.importorskip("torch", reason="needs requirements/oracles.txt")

MODEL = "roberta_tiny:seq=8"


def test_the_runner_is_found_by_its_folder_and_names_a_target_without_a_gpu() -> None:
    assert load("torch-cuda") is RUNNER
    assert RUNNER.target(RUNNER.device("portable")) == "portable"
    assert RUNNER.version() == torch_build().version == torch.__version__


def test_engines_build_without_a_gpu_under_the_id_that_was_foretold(tmp_path: Path) -> None:
    foretold = RUNNER.engine_id(MODEL, 2, "fp16", "portable")
    engine = RUNNER.build(MODEL, 2, "fp16", "portable", tmp_path)
    assert (engine.engine_id, engine.engine_kind, engine.runner) == (foretold, "torch", "torch-cuda")
    assert engine.input_shapes == {"input_ids": [2, 8]}
    assert RUNNER.build(MODEL, 2, "fp16", "portable", tmp_path) == engine
    meta = read_meta(engine.folder)
    assert meta["inputs"] == [{"name": "input_ids", "dtype": "int64", "shape": [2, 8], "high": 50265}]
    assert meta["versions"]["torch"] == torch.__version__
    other = RUNNER.build(MODEL, 1, "fp16", "portable", tmp_path)
    assert other.source_sha256 == engine.source_sha256
    assert (other.folder / "weights.bin").samefile(engine.folder / "weights.bin")


def test_ids_differ_by_everything_that_decides_what_executes() -> None:
    asked: list[tuple[Any, ...]] = [
        (MODEL, 1, "fp16", "portable", 0),
        (MODEL, 2, "fp16", "portable", 0),
        (MODEL, 1, "fp32", "portable", 0),
        (MODEL, 1, "fp16", "NVIDIA L4 sm_89", 0),
        (MODEL, 1, "fp16", "portable", 1),
        ("roberta_tiny:seq=9", 1, "fp16", "portable", 0),
    ]
    assert len({RUNNER.engine_id(*each) for each in asked}) == len(asked)


def test_a_damaged_engine_is_built_anew(tmp_path: Path) -> None:
    engine = RUNNER.build(MODEL, 1, "fp16", "portable", tmp_path)
    graph = engine.folder / "graph.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:100])
    assert RUNNER.build(MODEL, 1, "fp16", "portable", tmp_path) == engine
    assert graph.read_bytes() == whole


def test_an_operator_without_translation_is_told_when_it_is_built(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"], name="the_end")],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    with pytest.raises(UserError, match=r"net\.onnx: operator the_end \(Det\) has no translation into torch; export"):
        RUNNER.build(f"file:{path}", 1, "fp32", "portable", tmp_path / "cache")
    assert not list((tmp_path / "cache" / "engines").glob("*"))


def use(machine: Machine, build: TorchBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    found = devices.survey_with(machine.nvml(), machine.driver)
    monkeypatch.setattr(devices, "survey", lambda: found)
    monkeypatch.setattr(backend, "torch_build", lambda: build)


CUDA_13 = TorchBuild("2.13.0+cu130", "13.0")


def test_a_gpu_is_a_target_by_name_and_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Machine([Card("NVIDIA L4", capability=(8, 9))]), CUDA_13, monkeypatch)
    (device,) = RUNNER.devices()
    assert RUNNER.target(device) == "NVIDIA L4 sm_89"


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (TorchBuild("2.13.0+cpu", None), r"torch 2\.13\.0\+cpu was built without CUDA; install"),
        (
            TorchBuild("2.20.0+cu140", "14.0"),
            r"needs CUDA 14\.0, the driver knows 13\.\d: update the driver, or install",
        ),
    ],
)
def test_a_torch_that_cannot_use_the_gpu_leaves_no_device_and_says_why(
    build: TorchBuild, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Machine(), build, monkeypatch)
    assert RUNNER.devices() == []
    with pytest.raises(UserError, match=words):
        RUNNER.device("0")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("__version__ = '2.13.0'\ncuda = '13.0'", TorchBuild("2.13.0+cu130", "13.0")),
        ("__version__ = '2.10.0a0+git1'\ncuda = '13.0'", TorchBuild("2.10.0a0+git1", "13.0")),
        ("__version__ = '2.13.0'\ncuda = None", TorchBuild("2.13.0+cpu", None)),
    ],
)
def test_the_build_of_torch_is_read_without_importing_it(said: str, expected: TorchBuild, tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "version.py").write_text(said)
    code = "from cotenant.runners.torch_cuda.library import torch_build; print(torch_build())"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(expected), done.stderr


NO_TORCH = """
import sys, json
from importlib.machinery import PathFinder
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Hidden())
import cotenant.runners.torch_cuda.library as library
library.find_spec = lambda name: None
from cotenant.models.errors import CotenantError
from cotenant.runners.torch_cuda import RUNNER
told = []
asked = ("vgg11", 1, "fp16", "portable")
for call in (lambda: RUNNER.version(), lambda: RUNNER.device("0"), lambda: RUNNER.engine_id(*asked)):
    try:
        call()
    except CotenantError as error:
        told.append(str(error))
print(json.dumps([RUNNER.devices(), told]))
"""


def test_without_torch_there_are_no_devices_and_the_remedy_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", NO_TORCH], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found, told = json.loads(done.stdout)
    assert found == []
    assert len(told) == 3
    assert all("pip install 'cotenant[torch]'" in line for line in told)


def test_looking_for_devices_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cotenant.runners.registry import load; load('torch-cuda').devices();"
        "print({'torch', 'onnx', 'onnxruntime', 'numpy', 'pyarrow'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_a_lane_whose_torch_has_no_cuda_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = RUNNER.build(MODEL, 1, "fp16", "portable", tmp_path)
    loader = loader_of(backend.TorchCuda.loader)
    monkeypatch.setattr("cotenant.runners.torch_cuda.execution.torch_build", lambda: TorchBuild("2.13.0+cpu", None))
    with pytest.raises(WorkError, match=r"was built without CUDA"):
        loader(LoadRequest(engine.folder, read_meta(engine.folder), 0, 0, 1))


def test_missing_libraries_of_torch_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise OSError("libcudnn.so.9: cannot open shared object file\nNo such file")

    monkeypatch.setattr(library, "import_module", fail)
    with pytest.raises(
        WorkError, match=r"torch cannot be imported \(libcudnn\.so\.9: cannot open .*\); install it anew"
    ):
        library.torch_module()


def test_numpy_and_torch_agree_on_the_names_of_types() -> None:
    assert all(hasattr(torch, np.dtype(name).name) for name in ("float32", "float16", "int64", "int32", "bool"))
