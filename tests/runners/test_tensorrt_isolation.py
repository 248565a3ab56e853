"""Builds in processes of their own: a crash, a cancel and a killed parent leave one clear line, or nothing at all."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tensorrt_chosen import chosen_rtx

from cotenant.models.errors import WorkError
from cotenant.runners.build_watch import BuildCancelled, BuildStep, watched
from cotenant.runners.tensorrt import isolated_build
from cotenant.runners.tensorrt.backend import TensorRt
from cotenant.runners.tensorrt.order import BuildOrder

SLOW = "convnext_base:image=64"  # some seconds, most of them in steps that do not ask whether to stop
ROOT = Path(__file__).parents[2]
START_S = 60


@pytest.fixture(autouse=True)
def rtx(require: Callable[[str, bool, str], None]) -> Iterator[None]:
    with chosen_rtx(require):
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the weights already, so that what is waited for is the build."""
    from cotenant.models.zoo import resolve

    folder = tmp_path_factory.mktemp("cache")
    resolve(SLOW).export(1, "fp16", folder)
    return folder


def build(cache: Path) -> None:
    TensorRt().build(SLOW, 1, "fp16", "portable", cache, 0)


def building(parent: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(parent).children(recursive=True):
        try:
            if isolated_build.MODULE in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:  # a child that is gone, or waits to be collected
            continue
    return found


def first_building(parent: int) -> psutil.Process:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if found := building(parent):
            return found[0]
        time.sleep(0.01)
    pytest.fail("no build began")


def nothing_half_written(cache: Path) -> bool:
    return not (cache / "engines").exists() or list((cache / "engines").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_told_with_its_signal_and_the_last_words(cache: Path, number: signal.Signals) -> None:
    crashed: list[psutil.Process] = []

    def crash(step: BuildStep) -> None:
        if not crashed:
            crashed.append(first_building(os.getpid()))
            crashed[0].send_signal(number)

    with watched(crash), pytest.raises(WorkError) as told:
        build(cache)
    for word in [SLOW, f"ended with {number.name}", "last words: ", "its whole log: "]:
        assert word in str(told.value)
    log = Path(str(told.value).rpartition("its whole log: ")[2])
    assert "Input filename" in log.read_text()
    assert nothing_half_written(cache)
    assert building(os.getpid()) == []


@pytest.mark.serial
@pytest.mark.parametrize("after_s", [0.0, 0.3, 1.0])
def test_a_cancelled_build_ends_within_a_second_and_leaves_nothing(cache: Path, after_s: float) -> None:
    stop = threading.Event()
    asked_s: list[float] = []

    def cancel() -> None:
        first_building(os.getpid())
        time.sleep(after_s)
        asked_s.append(time.monotonic())
        stop.set()

    canceller = threading.Thread(target=cancel)
    with watched(lambda step: None, stop):
        canceller.start()
        with pytest.raises(BuildCancelled):
            build(cache)
        ended_s = time.monotonic()
    canceller.join()
    assert ended_s - asked_s[0] < 1.0
    assert building(os.getpid()) == []
    assert nothing_half_written(cache)


def test_no_build_outlives_a_parent_that_was_killed(cache: Path) -> None:
    code = f"from cotenant.runners.tensorrt.backend import TensorRt as T; from pathlib import Path\n\
T().build({SLOW!r}, 1, 'fp16', 'portable', Path({str(cache)!r}), 0)"
    parent = subprocess.Popen([sys.executable, "-P", "-c", code])
    child = first_building(parent.pid)
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive


def test_a_bug_in_the_process_keeps_its_traceback(tmp_path: Path) -> None:
    graph, folder = tmp_path / "net.onnx", tmp_path / "not there"
    order = BuildOrder("net", "tensorrt-rtx", str(graph), str(folder), {}, None, 1 << 30, None)
    with pytest.raises(RuntimeError, match=r"(?s)net: the build process failed.*Traceback.*FileNotFoundError"):
        isolated_build.run(order)


def test_it_builds_from_a_checkouts_link_tree(tmp_path: Path) -> None:
    code = f"import cotenant.runners.tensorrt.backend as b; from pathlib import Path\n\
print(b.__file__); print(b.TensorRt().build('yolov8n:image=32', 1, 'fp16', 'portable', Path({str(tmp_path)!r}), 0))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ".links"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ".links" in done.stdout.splitlines()[0]
