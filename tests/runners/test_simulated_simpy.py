"""The SimPy model that the compiled loop is timed against gives the exact GPU's stamps."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import exact_cases
import pytest
from exact_gpu import ExactGpu
from exact_inputs import Machine, Submission
from exact_rates import Kernel
from hypothesis import given, settings
from hypothesis import strategies as st

MODEL = Path(__file__).parents[2] / "scripts" / "benchmarks" / "simpy_gpu.py"
Lanes = list[list[tuple[int, int]]]


@pytest.fixture(scope="module")
def simpy_gpu() -> ModuleType:
    pytest.importorskip("simpy", reason="needs SimPy: pip install -r requirements/bench.txt")
    spec = importlib.util.spec_from_file_location("simpy_gpu", MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simpy_gpu"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@st.composite
def back_to_back(draw: st.DrawFn) -> tuple[list[list[Kernel]], Lanes]:
    engines = draw(exact_cases.engines)
    execution = st.tuples(st.integers(0, len(engines) - 1), exact_cases.factors)
    return engines, draw(st.lists(st.lists(execution, min_size=1, max_size=5), min_size=1, max_size=4))


@settings(max_examples=200, deadline=None)
@given(case=back_to_back())
def test_stamps_are_equal(simpy_gpu: ModuleType, case: tuple[list[list[Kernel]], Lanes]) -> None:
    engines, lanes = case
    theirs = [[simpy_gpu.Kernel(**vars(kernel)) for kernel in engine] for engine in engines]
    gpu = simpy_gpu.run([[(theirs[e], factor) for e, factor in lane] for lane in lanes], exact_cases.L2_BYTES)
    submissions = [Submission(i, e, 0, factor=factor) for i, lane in enumerate(lanes) for e, factor in lane]
    machine = Machine([None] * len(lanes), l2_bytes=exact_cases.L2_BYTES)
    exact = ExactGpu(machine, engines, submissions).run()
    found = [stamp for i in range(len(lanes)) for stamp in gpu.stamps[i]]
    assert found == list(zip(exact.start_ns, exact.end_ns, strict=True))
