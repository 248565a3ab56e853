"""TensorRT, the runners and the project's own evidence, as probes answer; the probes themselves run for real."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from cotenant.profiler.doctor import evidence, runners, tensorrt
from cotenant.profiler.doctor.apart import NoAnswer, ask
from cotenant.profiler.doctor.check import Check

ROOT = Path(__file__).parents[2]
Require = Callable[[str, bool, str], None]
RTX: dict[str, Any] = {
    "there": True,
    "module": "tensorrt_rtx",
    "version": "1.7.1.116",
    "builds": True,
    "runtime": "no driver",
}
ABSENT: dict[str, Any] = {"there": False}


def by_id(checks: Any) -> dict[str, Check]:
    found = {check.id: check for check in checks}
    for check in found.values():
        assert check.remedy or check.state in ("ok", "unknown"), check
    return found


def test_tensorrt_rtx_builds_where_no_gpu_is() -> None:
    found = by_id(tensorrt.checks({"tensorrt": ABSENT, "tensorrt-rtx": RTX}))
    assert (found["tensorrt.tensorrt"].state, found["tensorrt.tensorrt-rtx"].state) == ("missing", "ok")
    assert found["tensorrt.tensorrt"].remedy == "pip install 'cotenant[tensorrt]'"
    assert (found["tensorrt.build"].state, "without a GPU" in found["tensorrt.build"].value) == ("ok", True)


@pytest.mark.parametrize(
    ("told", "state", "build"),
    [
        ({**RTX, "runtime": None}, "ok", "ok"),
        ({**RTX, "runtime": "no driver"}, "ok", "missing"),
        ({**RTX, "builds": False}, "limited", "missing"),
        ({**RTX, "runtime": "CUDA initialization failure with error: 35"}, "limited", "missing"),
        (
            {"there": True, "module": "tensorrt", "refused": "TensorRT 8.6 is too old; pip install it"},
            "limited",
            "missing",
        ),
        (NoAnswer("the probe died of SIGSEGV"), "unknown", "missing"),
    ],
)
def test_tensorrt_alone_builds_only_on_a_gpu(told: Any, state: str, build: str) -> None:
    found = {check.id: check for check in tensorrt.checks({"tensorrt": told, "tensorrt-rtx": ABSENT})}
    assert found["tensorrt.tensorrt"].state == state
    assert found["tensorrt.build"].state == build


def test_the_real_tensorrt_rtx_answers(require: Require) -> None:
    require("tensorrt-rtx", find_spec("tensorrt_rtx_bindings") is not None, "pip install 'cotenant[tensorrt-rtx]'")
    told = tensorrt.asked("tensorrt-rtx")
    assert isinstance(told, dict)
    assert told["builds"] is True
    assert told["version"].startswith("1.")


def test_what_a_real_runtime_logs_is_its_complaint(require: Require, tmp_path: Path) -> None:
    """TensorRT's lean runtime, which says so where no driver is; what would be asked of it next would crash."""
    require("tensorrt-lean", find_spec("tensorrt_lean_bindings") is not None, "needs tensorrt-lean's bindings")
    from cotenant.profiler.doctor.tensorrt_probe import driver_answers

    if driver_answers():
        pytest.skip("an NVIDIA driver answers here")
    (tmp_path / "probe_of_a_test.py").write_text(
        "import tensorrt_lean_bindings as module\n"
        ""
        "from cotenant.profiler.doctor.tensorrt_probe import runtime_trouble, tell\n"
        "tell({'trouble': runtime_trouble(module)})\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        assert "CUDA" in ask("probe_of_a_test")["trouble"]


@pytest.mark.parametrize(
    ("source", "state", "word"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "limited", ""),
        ("raise ImportError('libnvinfer.so.11: cannot open shared object file')", "limited", "libnvinfer.so.11"),
        ("__version__ = '8.6.1'", "limited", "too old"),
        ("__version__ = '11.4.0'", "limited", "11.4.0"),
    ],
)
def test_a_broken_tensorrt_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, state: str, word: str
) -> None:
    (tmp_path / "tensorrt.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answers = {"tensorrt": tensorrt.asked("tensorrt"), "tensorrt-rtx": ABSENT}
    check = {check.id: check for check in tensorrt.checks(answers)}["tensorrt.tensorrt"]
    assert (check.state, word in check.value) == (state, True)


CPU: dict[str, Any] = {
    "needs_gpu": False,
    "version": "1.32.0",
    "isolations": ["own-cores"],
    "devices": [{"kind": "cpu", "name": "A processor", "lane_count_max": 2}],
}
SIMULATED: dict[str, Any] = {**CPU, "devices": [{"kind": "simulated", "name": "A card", "lane_count_max": 64}]}
NO_GPU: dict[str, Any] = {**CPU, "needs_gpu": True, "devices": []}


def test_who_measures_who_simulates_and_who_does_neither() -> None:
    lacking = {"devices": [], "refused": "torch is not installed; pip install 'cotenant[torch]'"}
    dead = NoAnswer("the probe died of SIGSEGV")
    answers = {"cpu": CPU, "simulated": SIMULATED, "tensorrt": NO_GPU, "torch-cuda": lacking, "theirs": dead}
    found = by_id(runners.checks(answers))
    assert found["runner.summary"].value == (
        "measure here: cpu; simulate here: simulated; not here: tensorrt, torch-cuda, theirs"
    )
    assert found["runner.torch-cuda"].remedy == "pip install 'cotenant[torch]'"
    assert "simulates" in found["runner.simulated"].value
    assert (found["runner.theirs"].state, "SIGSEGV" in found["runner.theirs"].value) == ("unknown", True)


def test_where_nothing_measures() -> None:
    summary = by_id(runners.checks({"simulated": SIMULATED}))["runner.summary"]
    assert (summary.state, "measure here: none" in summary.value) == ("missing", True)


def test_the_real_runners_answer_from_their_own_processes() -> None:
    told = runners.asked("onnxruntime-cpu")
    assert isinstance(told, dict)
    assert [device["kind"] for device in told["devices"]] == ["cpu"]
    refused = runners.asked("no-such-runner")
    assert isinstance(refused, dict)
    assert "no-such-runner" in refused["refused"]


def test_what_is_written_down_is_what_was_committed() -> None:
    """A result that is named lies there, and a result that lies there is named."""
    named = {one.results for results in evidence.recorded().values() for one in results}
    committed = ROOT.glob("scripts/benchmarks/results/*/gpu_check.json")
    assert named == {path.relative_to(ROOT).as_posix() for path in committed}


def test_not_yet_run_is_said_plainly_until_results_are_named(tmp_path: Path) -> None:
    path = tmp_path / "evidence.yaml"
    done = {"device": "NVIDIA H200", "results": "scripts/benchmarks/results/nvidia-h200/gpu_check.json"}
    path.write_text(yaml.safe_dump({"gpu_execution": [done], "tensorrt_execution": []}))
    gpu, trt = evidence.checks(path)
    assert (gpu.state, "NVIDIA H200" in gpu.value, done["results"] in gpu.value) == ("ok", True, True)
    assert (trt.state, trt.value) == ("missing", "GPU execution with TensorRT: not yet run")


def test_a_misspelt_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evidence.yaml"
    path.write_text("gpu: []\n")
    with pytest.raises(ValueError, match="gpu_execution"):
        evidence.recorded(path)
