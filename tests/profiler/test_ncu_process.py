"""Runs in process groups of their own, and the host's one counter session; with real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotenant.profiler.counters.ncu import process
from cotenant.profiler.counters.ncu.errors import NcuMissing, ProfilerBusy
from cotenant.profiler.counters.ncu.lock import counter_session
from cotenant.profiler.counters.ncu.process import run

HANGS = "sleep 3600 & echo $$ $! > {}; wait"
DEAF = "trap '' TERM; (trap '' TERM; sleep 3600) & echo $$ $! > {}; wait; sleep 3600"
HOLDS = """
import sys, time
from pathlib import Path
from cotenant.profiler.counters.ncu.lock import counter_session
with counter_session(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3600)
"""
INTERRUPTED = """
import sys
from pathlib import Path
from cotenant.profiler.counters.ncu.process import run
run(["/bin/sh", "-c", sys.argv[1]], Path(sys.argv[2]), 3600)
"""


def gone(pid: int) -> bool:
    """Tell whether a process has ended; an unreaped one has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def pids(path: Path) -> list[int]:
    for _ in range(500):
        if path.exists() and len(words := path.read_text().split()) == 2:
            return [int(word) for word in words]
        time.sleep(0.02)
    raise AssertionError("the program did not start")


def test_what_ends_in_time_is_told_as_it_was(tmp_path: Path) -> None:
    finished = run(["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], tmp_path, 30)
    assert (finished.exit_code, sorted(finished.tail.split())) == (7, ["err", "out"])
    assert run(["/bin/sh", "-c", "kill -SEGV $$"], tmp_path, 30).exit_code == -signal.SIGSEGV
    assert run(["/bin/sh", "-c", "echo $SAID"], tmp_path, 30, {"SAID": "so"}).tail == "so\n"


def test_only_the_end_of_long_output_is_kept(tmp_path: Path) -> None:
    finished = run(["/bin/sh", "-c", "seq 100000"], tmp_path, 30)
    assert len(finished.tail) == 16 << 10
    assert finished.tail.endswith("100000\n")


@pytest.mark.parametrize("script", [HANGS, DEAF], ids=["hangs", "deaf"])
def test_what_hangs_is_ended_with_all_that_it_started_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.5)
    with subprocess.Popen(["/bin/sleep", "3600"]) as bystander:
        began_s = time.monotonic()
        finished = run(["/bin/sh", "-c", script.format(tmp_path / "pids")], tmp_path, 0.5)
        assert time.monotonic() - began_s < 20
        assert finished.exit_code is None
        assert all(gone(pid) for pid in pids(tmp_path / "pids"))
        assert bystander.poll() is None
        bystander.kill()


def test_what_outlives_its_leader_is_ended_too(tmp_path: Path) -> None:
    finished = run(["/bin/sh", "-c", f"sleep 3600 & echo $$ $! > {tmp_path / 'pids'}"], tmp_path, 30)
    assert finished.exit_code == 0
    assert gone(pids(tmp_path / "pids")[1])


def test_ctrl_c_ends_the_group(tmp_path: Path) -> None:
    script = HANGS.format(tmp_path / "pids")
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, script, str(tmp_path)], stderr=subprocess.PIPE) as ours:
        started = pids(tmp_path / "pids")
        ours.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in ours.communicate(timeout=30)[1]
    assert all(gone(pid) for pid in started)


def test_ctrl_c_pressed_twice_does_not_wait_for_what_is_deaf(tmp_path: Path) -> None:
    script = DEAF.format(tmp_path / "pids")
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, script, str(tmp_path)], stderr=subprocess.PIPE) as ours:
        started = pids(tmp_path / "pids")
        for _ in range(2):
            ours.send_signal(signal.SIGINT)
            time.sleep(0.3)
        began_s = time.monotonic()
        ours.communicate(timeout=30)
        assert time.monotonic() - began_s < process.GRACE_S - 1
    assert all(gone(pid) for pid in started)


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(NcuMissing, match=r"cannot be run"):
        run([str(tmp_path / "nothing")], tmp_path, 1)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other
        other.kill()


def test_a_second_session_waits_says_so_and_gives_up(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    lines: list[str] = []
    with pytest.raises(ProfilerBusy, match=r"run one at a time"), counter_session(tmp_path / "lock", 0.3, lines.append):
        pytest.fail("two sessions at a time")
    assert len(lines) == 1
    assert "waiting up to 0.3 s" in lines[0]


def test_a_session_ends_with_its_process_however_that_ends(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    lines: list[str] = []
    with counter_session(tmp_path / "lock", 10, lines.append):
        pass
    with counter_session(tmp_path / "lock", 0, lines.append):
        pass
    assert len(lines) <= 1  # of the first, if the kernel had not ended the process yet


def test_an_error_inside_frees_the_session(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"inside"), counter_session(tmp_path / "lock"):
        raise RuntimeError("inside")
    with counter_session(tmp_path / "lock", 0):
        pass


def test_other_users_can_open_the_lock(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with counter_session(tmp_path / "lock"):
            assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
    (tmp_path / "lock").chmod(0o444)  # as another user's: it can be read, and need not be written
    with counter_session(tmp_path / "lock", 0):
        pass


def test_a_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProfilerBusy, match=r"symbolic link.*remove it") as caught, counter_session(tmp_path / "lock"):
        pass
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_that_cannot_be_made_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ProfilerBusy, match=r"cannot be used"), counter_session(tmp_path / "nowhere" / "lock"):
        pass


def test_a_pipe_of_that_name_does_not_hold_us_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with counter_session(tmp_path / "lock", 0):
        pass


def test_a_lock_that_was_removed_while_we_waited_is_not_taken_for_the_lock(tmp_path: Path) -> None:
    place, seen = tmp_path / "lock", threading.Event()

    def take() -> None:
        with counter_session(place, 10, lambda _line: seen.set()):
            taken.append(place.stat().st_ino)

    taken: list[int] = []
    with counter_session(place):
        second = threading.Thread(target=take)
        second.start()
        assert seen.wait(10)
        place.unlink()
    second.join(10)
    assert len(taken) == 1
