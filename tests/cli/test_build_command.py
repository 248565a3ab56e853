"""`cotenant build` for many engines: side by side, each once, stopped and continued, failures apart, files kept."""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import COMMAND, Cotenant, Done, finish, wait_until
from slow_builds import NAME, install
from tiny_campaign import write_spec

from cotenant.models.digest import sha256_of_file
from cotenant.profiler.cli import watching
from cotenant.runners.build_watch import BuildStep

STOPPED_WITHIN_S = 3  # a second by design; the rest is for a machine that does other work as well


class Slow:
    """The command with the slow runner, its cache and its orders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cotenant = Cotenant(folder / "cache", folder)
        self.log = folder / "log"
        self.plugin = str(install(folder / "plugin"))

    def variables(self, **orders: Any) -> dict[str, str]:
        return {"PYTHONPATH": self.plugin, "SLOW_BUILDS": json.dumps({"log": str(self.log), **orders})}

    def __call__(self, *arguments: object, **orders: Any) -> Done:
        return finish(self.start(*arguments, **orders))

    def start(self, *arguments: object, out: str = "out", **orders: Any) -> subprocess.Popen[str]:
        line = ("build", "--runner", NAME, "--model", "resnet18:image=32", "--out", out, *arguments)
        return self.cotenant.start(*line, **self.variables(**orders))

    def begun(self) -> list[str]:
        """Engine ids in the order in which their builds began, once each time."""
        return [line.split()[1] for line in self.lines() if line.startswith("begin")]

    def most_at_once(self) -> int:
        running = most = 0
        for line in self.lines():
            running += 1 if line.startswith("begin") else -1
            most = max(most, running)
        return most

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def slow(tmp_path: Path) -> Slow:
    return Slow(tmp_path)


@pytest.mark.parametrize(
    ("options", "orders", "most"), [([], {}, 1), ([], {"at_once": 3}, 3), (["--jobs", "2"], {"at_once": 3}, 2)]
)
def test_as_many_builds_run_at_once_as_the_runner_advises_or_the_user_says(
    slow: Slow, options: list[str], orders: dict[str, Any], most: int
) -> None:
    done = slow("--batch", "1,2,4", *options, step_s=0.05, **orders)
    assert done.code == 0, done.err
    assert slow.most_at_once() == most
    assert len(set(slow.begun())) == len(slow.begun()) == 3
    assert "3 engines in out/engines" in done.out


def test_what_is_built_is_told_and_what_is_cached_says_so(slow: Slow) -> None:
    first = slow("--batch", "1,2", "--json", step_s=0.02)
    again = slow("--batch", "1,2", "--json", "--out", "other")
    built, found = json.loads(first.out), json.loads(again.out)
    assert [engine["cached"] for engine in built] == [False, False]
    assert [engine["cached"] for engine in found] == [True, True]
    assert [{**engine, "cached": True} for engine in built] == found
    assert all(engine["build_ns"] > 6 * 0.02e9 for engine in built)
    assert {engine["engine_kind"] for engine in built} == {"slow"}
    assert all(len(engine["engine_sha256"]) == 64 and engine["build_target"] for engine in built)
    table = slow("--batch", "1,2").out
    assert all(engine["engine_id"] in table and engine["engine_sha256"][:12] in table for engine in built)
    assert table.count("(cached)") == 2


def test_failures_let_the_others_go_on_and_the_same_command_tries_them_again(slow: Slow) -> None:
    done = slow("--batch", "1,2,4,8", fails={"2": "work", "8": "memory"})
    assert done.code == 1
    assert (
        "2 of 4 engines failed (the others are built), the first resnet18:image=32@2: the builder gave up" in done.told
    )
    lines = done.err.splitlines()
    assert "resnet18:image=32@2 failed: the builder gave up" in lines
    assert "resnet18:image=32@8 failed: out of memory; choose a smaller model or batch size" in lines
    assert "2 engines in out/engines" in done.out
    again = slow("--batch", "1,2,4,8", "--json")
    assert again.code == 0, again.err
    found = {engine["batch_size"]: engine["cached"] for engine in json.loads(again.out)}
    assert found == {1: True, 2: False, 4: True, 8: False}


def test_nothing_but_bad_input_is_exit_code_2(slow: Slow) -> None:
    for batch, count in (("2", ""), ("2,4", "2 of 2 engines failed")):
        done = slow("--batch", batch, "--json", "--out", batch, fails={"2": "user", "4": "user"})
        assert done.code == 2
        assert "the builder knows no operator Foo" in done.told
        assert count in done.told
        assert json.loads(done.out) == []


def test_a_bug_of_a_builder_keeps_its_traceback(slow: Slow) -> None:
    done = slow("--batch", "1,2,4", fails={"2": "bug"})
    assert done.code == 1
    assert "Traceback" in done.err
    assert "ZeroDivisionError: a bug" in done.err
    assert len(slow.begun()) == 2


def test_a_full_disk_ends_it_before_other_builds_take_their_minutes(slow: Slow) -> None:
    done = slow("--batch", "1,2,4,8", step_s=0.2, fails={"2": "full"})
    assert done.code == 1
    assert "No space left on device" in done.told
    assert "free space" in done.told
    assert len(slow.begun()) <= 3
    assert slow("--batch", "1,2,4,8").code == 0


@pytest.mark.parametrize("manner", ["asks", "deaf", "asleep"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopped_it_ends_at_once_and_goes_on_where_it_was(slow: Slow, manner: str, number: signal.Signals) -> None:
    assert slow("--batch", "1", out="first").code == 0
    process = slow.start("--batch", "1,2,4", "--jobs", "2", manner=manner, step_s=20)
    wait_until(lambda: len(slow.begun()) >= 3, process, "two builds")
    began_s = time.monotonic()
    os.killpg(process.pid, number)
    done = finish(process)
    assert time.monotonic() - began_s < STOPPED_WITHIN_S
    assert done.code == 130
    assert "Traceback" not in done.err
    assert done.err.strip().splitlines()[-1].startswith("Stopped; what is finished is kept.")
    cached = slow.folder / "cache" / "cotenant"
    if manner != "asleep":
        assert list(cached.rglob(".tmp-*")) == []
    again = slow("--batch", "1,2,4", "--json")
    assert again.code == 0, again.err
    assert [engine["cached"] for engine in json.loads(again.out)] == [True, False, False]
    assert list(cached.rglob(".tmp-*")) == list((slow.folder / "out").rglob(".tmp-*")) == []


def test_killed_it_goes_on_where_it_was(slow: Slow) -> None:
    process = slow.start("--batch", "1,2,4,8", step_s=0.1)
    wait_until(lambda: len(slow.begun()) == 3, process, "the third build")
    process.kill()
    process.communicate()
    done = slow("--batch", "1,2,4,8", "--json")
    assert done.code == 0, done.err
    assert [engine["cached"] for engine in json.loads(done.out)] == [True, True, False, False]
    assert list(slow.folder.rglob(".tmp-*")) == []


def test_two_commands_that_want_one_engine_build_it_once(slow: Slow) -> None:
    both = [slow.start("--json", out=out, step_s=0.3) for out in ("a", "b")]
    ended = [finish(process) for process in both]
    assert [done.code for done in ended] == [0, 0], ended
    assert len(slow.begun()) == 1
    a, b = (json.loads(done.out)[0] for done in ended)
    assert a["engine_sha256"] == b["engine_sha256"]
    assert a["build_ns"] == b["build_ns"]


def test_a_folder_in_use_is_refused(slow: Slow) -> None:
    first = slow.start(step_s=20)
    wait_until(lambda: len(slow.begun()) == 1, first, "a build")
    second = slow()
    first.kill()
    first.communicate()
    assert second.code == 2
    assert f"pid {first.pid}" in second.told


def test_an_engine_is_rebuilt_as_often_as_asked(slow: Slow) -> None:
    arguments = ["--batch", "1,2", "--rebuild", "3"]
    built = json.loads(slow(*arguments, "--json", differs=True).out)
    assert [(engine["batch_size"], engine["build_index"]) for engine in built] == [
        (b, i) for b in (1, 2) for i in range(3)
    ]
    assert len({engine["engine_id"] for engine in built}) == len({engine["engine_sha256"] for engine in built}) == 6
    order = {engine["engine_id"]: engine["build_index"] for engine in built}
    assert [order[engine_id] for engine_id in slow.begun()] == [0, 0, 1, 1, 2, 2]
    told = slow(*arguments).out
    for size in (1, 2):
        assert f"resnet18:image=32@{size}: 3 builds, 3 different ones, built in " in told
    assert "6 engines" in told


@pytest.mark.parametrize("runner", ["onnxruntime-cpu", "simulated"])
def test_rebuilt_without_a_change_it_is_all_the_same(cotenant: Cotenant, net: Path, runner: str) -> None:
    done = cotenant("build", "--runner", runner, "--model", f"file:{net}", "--rebuild", "2", "--jobs", "2")
    assert done.code == 0, done.err
    assert "@1: 2 builds, all the same, built in " in done.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--batch", "0"], "'0' is no batch size"),
        (["--rebuild", "0"], "--rebuild"),
        (["--jobs", "0"], "--jobs"),
        (["--model", "resnet51"], "did you mean resnet50"),
        (["--device", "sm_89"], "sm_89"),
    ],
)
def test_what_cannot_be_is_told_before_a_folder_is_made(slow: Slow, options: list[str], words: str) -> None:
    done = slow(*options)
    assert done.code == 2
    assert words in done.told
    assert not (slow.folder / "out").exists()


def test_two_names_of_one_network_are_one_build(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.onnx").write_bytes(net.read_bytes())
    models = ["--model", f"file:{net}", "--model", f"file:{tmp_path / 'copy.onnx'}"]
    done = cotenant("build", *models, "--json", "--out", "out")
    assert done.code == 0, done.err
    (engine,) = json.loads(done.out)
    assert f"copy.onnx@1 is the same engine as {engine['model']}@1: built once" in done.err
    assert [path.name for path in (tmp_path / "out" / "engines").iterdir()] == [engine["engine_id"]]


def test_the_folder_holds_every_file_of_an_engine(slow: Slow) -> None:
    (engine,) = json.loads(slow("--json").out)
    folder = slow.folder / "out" / "engines" / engine["engine_id"]
    files = {"model.plan", "build.log", "inspector.json"}
    assert {path.name for path in folder.iterdir()} == files | {"meta.json"}
    meta = json.loads((folder / "meta.json").read_text())
    assert meta.keys() > engine.keys() - {"cached"}
    assert {name: meta[name] for name in engine if name != "cached"} == {
        k: v for k, v in engine.items() if k != "cached"
    }
    assert (meta["files"].keys(), meta["left_out"]) == (files, {})
    cached = slow.folder / "cache" / "cotenant" / "engines" / engine["engine_id"]
    assert all((folder / name).samefile(cached / name) for name in files)


def test_batch_sizes_share_one_weights_file_and_the_folder_takes_no_more_room(
    cotenant: Cotenant, tmp_path: Path
) -> None:
    arguments = ["build", "--model", "roberta_tiny:seq=16", "--batch", "1,2,4", "--out", "out", "--cache", "cache"]
    assert cotenant(*arguments).code == 0
    weights = list((tmp_path / "out" / "engines").glob("*/weights.bin"))
    assert len(weights) == 3
    assert len({path.stat().st_ino for path in weights}) == 1
    assert (tmp_path / "cache").is_dir()
    of_its_own = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.stat().st_nlink == 1]
    assert sum(path.stat().st_size for path in of_its_own) < 16 << 10


def test_a_full_disk_below_the_campaign_folder_is_told(
    cotenant: Cotenant, net: Path, small_disk: Callable[[int], Any]
) -> None:
    disk = small_disk(4096)
    arguments = ["build", "--model", f"file:{net}", "--batch", "1,2", "--out", disk.folder / "out"]
    done = cotenant(*arguments, **disk.variables)
    assert done.code == 1
    assert "No space left on device" in done.told
    assert str(disk.folder) in done.told
    if disk.variables:
        assert cotenant(*arguments).code == 0


def test_a_campaign_builds_what_it_can_before_it_tells_a_failure(slow: Slow) -> None:
    spec = write_spec(
        slow.folder / "tiny.yaml", ["resnet18:image=32"], runner=NAME,
        engines={"models": ["resnet18:image=32"], "batch_sizes": [1, 2, 4]}, experiments=[{"kind": "solo"}],
    )  # fmt: skip
    line = ("campaign", "run", spec, "--out", "out")
    failed = slow.cotenant(*line, **slow.variables(fails={"2": "work"}))
    assert failed.code == 1
    assert "engines failed (the others are built): resnet18:image=32@2: the builder gave up" in failed.told
    begun = len(slow.begun())
    assert begun > 3  # the probes too
    bad = slow.cotenant(*line, **slow.variables(fails={"2": "user"}))
    assert (bad.code, bad.told) == (2, "Error: the builder knows no operator Foo")
    assert len(slow.begun()) == begun + 1


def test_a_terminal_shows_each_running_build_with_its_phases(slow: Slow) -> None:
    shown = on_a_terminal(slow, "--batch", "1,2,4", step_s=0.3, at_once=2, fails={"4": "work"})
    assert "resnet18:image=32@2: Building engine" in shown
    assert "> Timing tactics 1/2" in shown
    assert "3/3" in shown
    last_frame = shown.rsplit("\x1b[2K", 1)[-1]
    assert "0/?" not in last_frame  # no bar of what has ended


def test_a_log_tells_long_builds_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    now_s = 100.0
    monkeypatch.setattr(watching.time, "monotonic", lambda: now_s)
    progress = watching.LineProgress()
    progress.stage("engines", 2)
    progress.begin("a@1")
    progress.begin("b@1")
    for step in range(6):
        now_s += 4
        progress.step("a@1", BuildStep("Timing tactics", 1, 2, depth=1))
        progress.step("a@1", BuildStep("Building engine", step, 6))
    progress.advance("b@1", "failed")
    progress.advance("a@1")
    assert capsys.readouterr().err.splitlines() == [
        "engines 0/2: a@1 ...",
        "engines 0/2: a@1 Building engine 2/6",
        "engines 0/2: a@1 Building engine 5/6",
        "engines 1/2: b@1 failed (about 24 s left)",
        "engines 2/2: a@1",
    ]


def on_a_terminal(slow: Slow, *arguments: str, **orders: Any) -> str:
    ours, theirs = pty.openpty()
    environment = slow.cotenant.environment | slow.variables(**orders) | {"TERM": "xterm", "COLUMNS": "160"}
    command = [COMMAND, "build", "--runner", NAME, "--model", "resnet18:image=32", "--out", "out", *arguments]
    with subprocess.Popen(command, cwd=slow.folder, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # Linux tells the end of a terminal as EIO
                break
            parts.append(part)
        os.close(ours)
    assert psutil.pid_exists(process.pid) is False
    return b"".join(parts).decode(errors="replace")


def test_tensorrt_rtx_engines_lie_in_the_folder_with_log_and_plan(
    cotenant: Cotenant, tmp_path: Path, require: Callable[[str, bool, str], None]
) -> None:
    require("tensorrt-rtx", find_spec("tensorrt_rtx") is not None, "pip install cotenant[tensorrt-rtx]")
    line = ("build", "--runner", "tensorrt", "--device", "sm_89", "--model", "resnet18:image=32", "--batch", "1,2")
    done = cotenant(*line, "--precision", "fp16", "--rebuild", "2", "--jobs", "2", "--json", "--out", "out")
    assert done.code == 0, done.err
    built = json.loads(done.out)
    assert {engine["build_target"] for engine in built} == {"sm_89"}
    assert {engine["engine_kind"] for engine in built} == {"tensorrt-rtx"}
    assert len(built) == 4
    assert len({(engine["batch_size"], engine["engine_sha256"]) for engine in built}) == 2  # same input, same bytes
    for engine in built:
        folder = tmp_path / "out" / "engines" / engine["engine_id"]
        assert {"engine.plan", "build.log", "meta.json"} <= {path.name for path in folder.iterdir()}
        assert sha256_of_file(folder / "engine.plan") == engine["engine_sha256"]
