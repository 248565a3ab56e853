"""Whole sessions through the real Python bindings, on a stand-in for the driver's library that checks every argument.

It knows no concurrency and says nothing about a GPU's times (`model_gpu` and `pytest --gpu` do); it shows that handles,
flags, structures and kernel arguments reach the driver as it would need them.
"""

from pathlib import Path

import pytest
from stub_library import COMPILER, SOURCE, compiled, facts

from cotenant.runners.cuda.device_kernels import KERNELS

pytest.importorskip("cuda.bindings.driver", reason="needs the extra `cuda`: pip install cuda-bindings")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("needs a C compiler")
    return compiled(tmp_path_factory.mktemp("driver"), COMPILER)


STREAMS = """
with open_in_process(0, [Lane(), Lane(priority=-9)], "streams", LOADER) as session:
    print(json.dumps(run(session, copied_bytes=4096)))
"""


@pytest.mark.parametrize("variables", [{}, {"STUB_NO_WAIT": "1"}], ids=["stream waits", "waiting kernel"])
def test_streams(library: Path, tmp_path: Path, variables: dict[str, str]) -> None:
    told = facts(library, tmp_path, STREAMS, **variables)
    assert told["isolation"] == "streams"
    assert told["captured"] == [True, True]
    assert told["copies"] == [True, True]
    assert told["priorities"] == [0, -5]  # as the driver clamps it
    assert told["sm_counts"] == [None, None]
    assert all(2.0 <= span < 200.0 for span in told["spans_ms"])  # a busy machine may be late, units may not be wrong


def test_the_user_cannot_make_launches_block(library: Path, tmp_path: Path) -> None:
    assert facts(library, tmp_path, STREAMS, CUDA_LAUNCH_BLOCKING="1")["captured"] == [True, True]


LEFT = """
import ctypes
failed = captured = None
try:
    with open_in_process(0, [Lane(), Lane()], "streams", LOADER) as session:
        session.load(0, timed_engine(cache, 2 * MS))
        captured = [mode.captured for mode in session.launch_modes()]
except Exception as error:
    failed = str(error)
print(json.dumps([failed, captured, ctypes.CDLL("libcuda.so.1").stub_left()]))
"""


def test_nothing_is_left_on_the_device(library: Path, tmp_path: Path) -> None:
    assert facts(library, tmp_path, LEFT) == [None, [True], 0]


def test_streams_that_cannot_all_be_made_are_given_back(library: Path, tmp_path: Path) -> None:
    failed, _, left = facts(library, tmp_path, LEFT, STUB_STREAMS="1")
    assert "cuStreamCreateWithPriority" in failed
    assert left == 0


def test_a_graph_that_cannot_be_uploaded_is_given_back(library: Path, tmp_path: Path) -> None:
    assert facts(library, tmp_path, LEFT, STUB_NO_UPLOAD="1") == [None, [False], 0]


GREEN = """
with open_in_process(0, [Lane(share_pct=75), Lane(share_pct=25)], "green-contexts", LOADER) as session:
    print(json.dumps(run(session)))
"""


def test_green_contexts_get_the_groups_that_their_shares_are_worth(library: Path, tmp_path: Path) -> None:
    told = facts(library, tmp_path, GREEN)
    assert told["isolation"] == "green-contexts"
    assert told["sm_counts"] == [12, 4]  # of 16, in groups of 2


PROCESSES = """
import os
with open_processes(0, [Lane(), Lane()], LOADER, [{}, {}], takes_shares=True) as session:
    print(json.dumps(run(session)))
"""


@pytest.mark.parametrize(("variables", "mode"), [({}, "processes"), ({"STUB_MPS": "1"}, "mps")])
def test_processes(library: Path, tmp_path: Path, variables: dict[str, str], mode: str) -> None:
    told = facts(library, tmp_path, PROCESSES, **variables)
    assert told["isolation"] == mode
    assert told["captured"] == [True, True]
    assert all(2.0 <= span < 200.0 for span in told["spans_ms"])  # a busy machine may be late, units may not be wrong


PROBES = """
from cotenant.runners.cuda.driver_gpu import DriverGpu
from cotenant.runners.cuda.probe_executable import ProbeExecutable
from cotenant.runners.cuda.probe_plan import plan_probe
gpu, ran = DriverGpu(0), []
stream = gpu.create_stream()
for kind in ("compute", "cache", "dram", "half"):
    for intensity in (0, 40, 100):
        probe = ProbeExecutable(plan_probe(kind, intensity, 16, 4 << 20, None), stream)
        probe.enqueue(stream)
        probe.close()
        ran.append(kind)
gpu.destroy_stream(stream)
gpu.close()
print(json.dumps(ran))
"""


def test_probes(library: Path, tmp_path: Path) -> None:
    assert len(facts(library, tmp_path, PROBES)) == 12


NO_DEVICE = """
try:
    open_in_process(3, [Lane()], "streams", LOADER).__enter__()
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def test_a_device_that_is_not_there(library: Path, tmp_path: Path) -> None:
    kind, message = facts(library, tmp_path, NO_DEVICE)
    assert kind == "GpuError"
    assert message == "cuDeviceGet returned CUDA_ERROR_INVALID_DEVICE"


def test_the_stand_in_knows_every_kernel() -> None:
    text = SOURCE.read_text()
    assert all(f'"{name}"' in text for name in KERNELS)


@pytest.mark.parametrize("capability", [75, 80, 86, 89, 90, 100, 120])
def test_our_kernels_compile(capability: int) -> None:
    from cotenant.runners.cuda.device_kernels import image
    from cotenant.runners.cuda.gpu import GpuError

    try:
        code = image(capability)
    except GpuError as missing:
        if "NVRTC is not installed" not in str(missing):
            raise
        pytest.skip(f"{missing}")
    assert code.startswith((b"\x7fELF", b"//"))  # machine code, or PTX where this NVRTC is older than the device
