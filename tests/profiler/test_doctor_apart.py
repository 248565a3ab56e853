"""Probes in processes of their own, and probes that raise: whatever happens becomes an answer or a reason."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotenant.profiler.doctor import driver, runners, tensorrt
from cotenant.profiler.doctor.apart import NoAnswer, ask
from cotenant.profiler.doctor.check import Check, isolated
from cotenant.profiler.doctor.examine import examine
from cotenant.profiler.quality.nvml_reading import NvmlReading

ANSWER = "from cotenant.profiler.doctor.apart import answer\n"


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module `probe_of_a_test` that processes started from here can import; write it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "probe_of_a_test.py"


def test_an_answer_comes_back_whatever_else_is_printed(probe: Path) -> None:
    noise = "import sys\nprint('loading', end='')\nanswer({'a': [1, None], 'argv': sys.argv[1:]})\nprint('{}')\n"
    probe.write_text(ANSWER + noise)
    assert ask("probe_of_a_test", "x", "y") == {"a": [1, None], "argv": ["x", "y"]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os, signal; answer({}); os.kill(os.getpid(), signal.SIGABRT)", "SIGABRT"),
        ("raise OSError('libnvinfer.so.11: cannot open shared object file')", "libnvinfer.so.11"),
        ("import sys; sys.exit(7)", "7"),
        ("print('nothing to say')", "code 0"),
        ("import no_such_module", "no_such_module"),
    ],
)
def test_a_probe_that_fails_says_how(probe: Path, body: str, reason: str) -> None:
    probe.write_text(ANSWER + body)
    with pytest.raises(NoAnswer, match=reason):
        ask("probe_of_a_test")


def test_a_probe_that_hangs_is_ended(probe: Path) -> None:
    probe.write_text("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)\n")
    began_s = time.monotonic()
    with pytest.raises(NoAnswer, match=r"no answer in 0\.5 s"):
        ask("probe_of_a_test", timeout_s=0.5)
    assert time.monotonic() - began_s < 30


def test_a_probe_whose_child_keeps_its_pipe_open_is_left_behind(probe: Path) -> None:
    lasting = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(8)'])\n"
    probe.write_text(lasting + "time.sleep(8)\n")
    began_s = time.monotonic()
    with pytest.raises(NoAnswer, match="no answer"):
        ask("probe_of_a_test", timeout_s=1)
    assert time.monotonic() - began_s < 6


def test_the_working_folder_is_not_searched_for_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "probe_of_a_test.py").write_text(ANSWER + "answer({})")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoAnswer, match="No module named"):
        ask("probe_of_a_test")


@pytest.mark.parametrize("error", [ValueError("no\nnumber"), SystemExit(3), MemoryError()])
def test_what_was_found_before_an_error_is_kept(error: BaseException) -> None:
    def breaks() -> Iterator[Check]:
        yield Check("a.first", "ok", "1")
        raise error

    first, second = isolated("a.all", breaks)
    assert (first.id, second.id, second.state) == ("a.first", "a.all", "unknown")
    assert type(error).__name__ in second.value
    assert "\n" not in second.value


def test_nvml_is_read_before_any_other_probe_may_use_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def reading() -> NvmlReading:
        time.sleep(0.2)
        order.append("nvml")
        return NvmlReading(failure="none here")

    def asked(name: str) -> NoAnswer:
        order.append(name)
        return NoAnswer("not asked")

    monkeypatch.setattr(driver, "reading", reading)
    monkeypatch.setattr(tensorrt, "asked", asked)
    monkeypatch.setattr(runners, "asked", asked)
    found = {check.id: check for check in examine()}
    assert order[0] == "nvml"
    assert {"tensorrt", "tensorrt-rtx", "simulated"} <= set(order[1:])
    assert found["driver.version"].value == "none here"


def test_ctrl_c_passes() -> None:
    def stops() -> Iterator[Check]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        isolated("a.all", stops)


def test_stored_keys_are_stable() -> None:
    stored = Check("gpu.0.clocks", "ok", "2040 MHz").stored()
    assert stored == {"id": "gpu.0.clocks", "group": "gpu", "state": "ok", "value": "2040 MHz", "remedy": None}
