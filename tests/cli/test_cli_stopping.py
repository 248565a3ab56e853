"""Stopped anywhere - killed, interrupted, a lane gone - a campaign keeps what is finished and goes on."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from command_line import Cotenant, finish, wait_until

from cotenant.datasets.raw import finished, read_metadata


@pytest.fixture
def campaign(cotenant: Cotenant, spec: Path, tmp_path: Path) -> tuple[Callable[[], subprocess.Popen[str]], Path]:
    out = tmp_path / "out"
    return (lambda: cotenant.start("campaign", "run", spec, "--out", out)), out


Campaign = tuple[Callable[[], subprocess.Popen[str]], Path]


def raw_files(out: Path) -> dict[str, bytes]:
    """Return the main files, which hold the digests of what lies beside them."""
    names = (f"{experiment_id}.parquet" for experiment_id in finished(out / "raw"))
    return {name: (out / "raw" / name).read_bytes() for name in names}


def cells(out: Path) -> Counter[str]:
    return Counter(read_metadata(out / "raw" / name)["cell_id"] for name in raw_files(out))


def planned(out: Path) -> set[str]:
    return {cell["cell_id"] for cell in json.loads((out / "plan.json").read_text())["cells"]}


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL the process alone, as the kernel does when memory runs out; its lanes must notice by themselves."""
    lanes = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(lanes, timeout=20)
    assert not alive, f"lanes outlived their campaign: {alive}"


def assert_goes_on(start: Callable[[], subprocess.Popen[str]], out: Path, kept: dict[str, bytes]) -> None:
    done = finish(start())
    assert done.code == 0, done.err
    after = raw_files(out)
    assert {name: after.get(name) for name in kept} == kept
    assert cells(out) == Counter(planned(out))
    assert list(out.rglob(".tmp-*")) == []


@pytest.mark.parametrize("finished_count", [0, 1, 2, 4])
def test_killed_after_so_many_experiments_it_goes_on(campaign: Campaign, finished_count: int) -> None:
    start, out = campaign
    process = start()
    if finished_count:
        wait_until(lambda: len(raw_files(out)) >= finished_count, process, f"{finished_count} experiments")
    else:
        wait_until(lambda: (out / ".lock").exists(), process, "lock")
    kill(process)
    assert_goes_on(start, out, raw_files(out) if out.exists() else {})


def test_killed_at_random_moments_again_and_again_it_ends_with_everything_once(campaign: Campaign) -> None:
    start, out = campaign
    kept: dict[str, bytes] = {}
    for tenths in (3, 11, 17, 23, 29):
        process = start()
        deadline = time.monotonic() + tenths / 10
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.poll() is None:
            kill(process)
        else:
            assert finish(process).code == 0
        now = raw_files(out)
        assert {name: now.get(name) for name in kept} == kept
        kept = now
    assert_goes_on(start, out, kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopped_it_says_how_to_go_on_and_leaves_nothing_running(campaign: Campaign, number: signal.Signals) -> None:
    start, out = campaign
    process = start()
    wait_until(lambda: len(raw_files(out)) >= 1, process, "an experiment")
    everyone = psutil.Process(process.pid).children(recursive=True)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal's Ctrl-C reaches the lanes as well
    else:
        process.send_signal(number)
    done = finish(process)
    assert done.code == 130
    assert "Traceback" not in done.err
    assert done.err.strip().splitlines()[-1].startswith("Stopped; what is finished is kept.")
    assert f"--out {out}" in done.err
    assert not psutil.wait_procs(everyone, timeout=20)[1]
    assert list((out / "failed").glob("*")) == []
    assert_goes_on(start, out, raw_files(out))


def test_a_lane_that_dies_once_costs_one_attempt(campaign: Campaign) -> None:
    start, out = campaign
    process = start()
    wait_until(lambda: len(raw_files(out)) >= 1, process, "an experiment")
    kill_a_lane(process)
    done = finish(process)
    assert done.code == 0, done.err
    assert cells(out) == Counter(planned(out))
    assert list((out / "failed").glob("*")) == []


def test_lanes_that_die_again_and_again_end_the_work(campaign: Campaign) -> None:
    start, out = campaign
    process = start()
    wait_until(lambda: len(raw_files(out)) >= 1, process, "an experiment")
    while process.poll() is None:
        kill_a_lane(process)
        time.sleep(0.05)
    done = finish(process)
    assert done.code == 1
    assert "lane" in done.told
    assert str(out / "failed") in done.told
    failures = [json.loads(path.read_text()) for path in (out / "failed").glob("*.json")]
    assert failures
    assert {failure["class"] for failure in failures} == {"LaneLost"}
    assert_goes_on(start, out, raw_files(out))
    assert list((out / "failed").glob("*.json")) == []


def kill_a_lane(process: subprocess.Popen[str]) -> None:
    try:
        lanes = [
            child for child in psutil.Process(process.pid).children() if "lane_process" in " ".join(child.cmdline())
        ]
        if lanes:
            lanes[0].kill()
    except psutil.NoSuchProcess:
        return
