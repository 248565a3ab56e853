"""The program that runs under ncu: what it executes, inside which NVTX range, and what it tells."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plugin_runner import NAME, RUNNER, plugged_in

from cotenant.profiler.counters.ncu.child import MODULE, Request

SOURCE = Path(__file__).parents[1] / "devices" / "nvtx_witness.c"
COMPILER = shutil.which("cc")


def run(folder: Path, runner: str = NAME, **variables: str) -> tuple[int, dict[str, object]]:
    engine = RUNNER.build("resnet18", 1, "fp16", "model", folder)
    request = Request(
        runner, RUNNER.device(None).device_id, str(engine.folder), str(folder / "outcome.json"), os.getpid()
    )
    done = subprocess.run(
        [sys.executable, "-P", "-m", MODULE, str(request.write(folder / "request.json"))],
        env={**os.environ, **plugged_in(folder), **variables},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads((folder / "outcome.json").read_text())


def test_exactly_one_execution_lies_in_the_range_and_comes_from_its_thread(tmp_path: Path) -> None:
    if COMPILER is None:
        pytest.skip("needs a C compiler")
    library, witness = tmp_path / "witness.so", tmp_path / "witness.txt"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    code, _ = run(tmp_path, NVTX_INJECTION64_PATH=str(library), NVTX_WITNESS=str(witness))
    assert code == 0
    lines = [line.rsplit(" ", 1) for line in witness.read_text().splitlines()]
    assert [what for what, _ in lines] == ["execute"] * 3 + ["push cotenant/profile", "execute", "pop cotenant"]
    assert len({thread for _, thread in lines}) == 1


def test_it_tells_what_it_did(tmp_path: Path) -> None:
    code, outcome = run(tmp_path)
    assert code == 0
    assert (outcome["executions"], outcome["before_executions"]) == (1, 3)
    assert isinstance(outcome["wall_ns"], int)
    assert outcome["wall_ns"] > 0


def test_a_runner_that_cannot_execute_alone(tmp_path: Path) -> None:
    code, outcome = run(tmp_path, runner="simulated")
    assert code == 2
    assert "runner simulated cannot execute an engine alone" in str(outcome["error"])


def test_it_ends_once_the_request_is_taken_back(tmp_path: Path) -> None:
    """As after a timeout, where ncu had put it into another process group than its own."""
    engine = RUNNER.build("resnet18", 1, "fp16", "model", tmp_path)
    outcome, hung, device_id = tmp_path / "outcome.json", tmp_path / "hung", RUNNER.device(None).device_id
    request = Request(NAME, device_id, str(engine.folder), str(outcome), os.getpid()).write(tmp_path / "request.json")
    variables = {**plugged_in(tmp_path), "PLUGIN_RUNNER_FAILS": "hang", "PLUGIN_RUNNER_HUNG": str(hung)}
    command = [sys.executable, "-P", "-m", MODULE, str(request)]
    with subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True) as child:
        try:
            began_s = time.monotonic()
            while not hung.exists() and time.monotonic() - began_s < 60:
                time.sleep(0.02)
            assert hung.exists()
            request.unlink()
            assert child.wait(timeout=30) == 1
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("fails", "code", "said"), [("load", 1, "out of GPU memory"), ("execute", 1, "RuntimeError: a")]
)
def test_what_fails_is_told_in_the_outcome(tmp_path: Path, fails: str, code: int, said: str) -> None:
    ended, outcome = run(tmp_path, PLUGIN_RUNNER_FAILS=fails)
    assert ended == code
    assert str(outcome["error"]).startswith(said)
