"""A private MPS daemon, with a real program in place of NVIDIA's: how it is started and asked; nothing may be left."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from fake_mps import NAME, host_command, install

from cotenant.models.errors import WorkError
from cotenant.runners.cuda import mps
from cotenant.runners.cuda.mps import LOG, PIPE, SHARE, VISIBLE, mps_daemon

GPU = "GPU-00000000-0000-0000-0000-000000000001"
WAIT_S = 20.0


@pytest.fixture(autouse=True)
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The program is installed, temporary files have a short folder of their own, and every test leaves nothing."""
    environment = install(tmp_path / "bin")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    base = tmp_path / "tmp"
    base.mkdir()
    monkeypatch.setattr(mps, "_base", lambda: base)
    yield Path(environment["CALLS"])
    assert started(base) == []
    assert list(base.iterdir()) == []


def started(base: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(PIPE, "").startswith(str(base)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMMAND_TIMEOUT_S", "LISTEN_TIMEOUT_S", "SERVER_TIMEOUT_S", "QUIT_TIMEOUT_S", "KILL_TIMEOUT_S"):
        monkeypatch.setattr(mps, name, 0.5)


def test_daemon_and_server_run_for_one_gpu_and_end(calls: Path) -> None:
    with mps_daemon(GPU) as daemon:
        assert len(started(daemon.folder)) == 2
        assert daemon.folder.stat().st_mode & 0o777 == 0o700
    told = calls.read_text().splitlines()
    assert told[0] == f"-d visible={GPU} share="
    assert told[1] == f"start_server -uid {os.getuid()}"
    assert (told[2], told[-1]) == ("get_server_list", "quit")


def test_clients_find_the_daemon_and_see_the_gpu_by_its_uuid() -> None:
    with mps_daemon(GPU) as daemon:
        whole, part = daemon.client(None), daemon.client(37.5)
    assert whole == {
        **{PIPE: str(daemon.folder / "pipe"), LOG: str(daemon.folder / "log"), VISIBLE: GPU},
        "CUDA_DEVICE_MAX_CONNECTIONS": "8",  # not the host's 32: clients have one pool
    }
    assert part == {**whole, SHARE: "37.5"}


def test_what_the_user_has_set_for_an_mps_of_their_own_does_not_reach_ours(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARE, "10")
    monkeypatch.setenv(VISIBLE, "3")
    with mps_daemon(GPU):
        pass
    assert calls.read_text().splitlines()[0] == f"-d visible={GPU} share="


def test_two_daemons_have_nothing_in_common() -> None:
    with mps_daemon(GPU) as first, mps_daemon(GPU) as second:
        assert first.folder != second.folder
        ours = {process.pid for process in started(first.folder)}
        assert ours.isdisjoint(process.pid for process in started(second.folder))


def test_a_missing_program_is_told_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WorkError, match=rf"{NAME} is not on the PATH .*--isolation processes"):
        mps_daemon(GPU).__enter__()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuses", r"-d failed with exit code 1 \(Failed to start daemon: permission denied\); choose"),
        ("serverless", r"no server started within 0\.5 s; its log ends: control\.log: .*server\.log: .*initialization"),
        ("dies", r"`start_server -uid \d+` failed with exit code 1 \(Cannot find MPS .*log ends: control\.log: .*bind"),
        ("hangs", r"nvidia-cuda-mps-control -d did not answer within 0\.5 s"),
    ],
)
def test_what_does_not_start_is_told_in_its_own_words(fault: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)
    monkeypatch.setenv("FAKE_MPS", fault)
    with pytest.raises(WorkError, match=words) as told:
        mps_daemon(GPU).__enter__()
    assert "\n" not in str(told.value)


def test_a_daemon_may_need_a_moment_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MPS", "slow")
    with mps_daemon(GPU) as daemon:
        assert len(started(daemon.folder)) == 2


def test_a_program_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin" / NAME).write_bytes(b"\x7fELF")
    with pytest.raises(WorkError, match=r"cannot be run \(Exec format error\)"):
        mps_daemon(GPU).__enter__()


def test_a_daemon_that_does_not_quit_is_ended_by_its_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)
    monkeypatch.setenv("FAKE_MPS", "stubborn")
    with mps_daemon(GPU) as daemon:
        assert len(started(daemon.folder)) >= 2


def test_a_daemon_that_died_is_no_trouble_at_the_end() -> None:
    with mps_daemon(GPU) as daemon:
        for process in started(daemon.folder):
            process.kill()


class UserFailed(Exception):
    pass


@pytest.mark.parametrize("error", [UserFailed, KeyboardInterrupt])
def test_daemon_and_folder_go_whatever_ends_the_session(error: type[BaseException]) -> None:
    with pytest.raises(error), mps_daemon(GPU):
        raise error


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[[], tuple["subprocess.Popen[str]", Path]]]:
    running: list[subprocess.Popen[str]] = []

    def start() -> tuple["subprocess.Popen[str]", Path]:
        process = subprocess.Popen(
            host_command(GPU),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        )
        running.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_ctrl_c_in_a_real_host_leaves_nothing(host: Callable[[], tuple["subprocess.Popen[str]", Path]]) -> None:
    process, folder = host()
    assert len(started(folder)) == 2
    process.send_signal(signal.SIGINT)
    process.wait(WAIT_S)
    assert not folder.exists()


def test_what_a_killed_host_left_is_ended_by_the_next_one(
    host: Callable[[], tuple["subprocess.Popen[str]", Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, left = host()
    living, kept = host()
    process.kill()
    process.wait(WAIT_S)
    monkeypatch.setattr(mps, "_base", lambda: left.parent)
    with mps_daemon(GPU):
        assert not left.exists()
        assert started(left) == []
        assert len(started(kept)) == 2
    living.send_signal(signal.SIGINT)
    living.wait(WAIT_S)
    deadline_s = time.monotonic() + WAIT_S
    while kept.exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)


def test_sockets_get_a_path_that_is_short_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr(mps.tempfile, "tempdir", str(deep))
    assert mps._base() == Path("/tmp")
    assert len(str(mps._base() / f"{mps.PREFIX}12345678" / "pipe" / "control_privileged")) < 108
    monkeypatch.setattr(mps.tempfile, "tempdir", "/var/tmp")
    assert mps._base() == Path("/var/tmp")
