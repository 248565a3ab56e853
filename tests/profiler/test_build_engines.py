"""Builds side by side: each engine once, failures kept apart, bugs and stops end it all, files kept in the folder."""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.models.digest import sha256_of_file
from cotenant.models.errors import CotenantError, UserError, WorkError
from cotenant.profiler.campaign.build_pool import BuildPool
from cotenant.profiler.campaign.engine_files import COPY_BYTES_MAX, place_files
from cotenant.profiler.campaign.engines import Builds, BuiltEngine, build_engines
from cotenant.profiler.campaign.journal import Journal
from cotenant.profiler.campaign.placement import place
from cotenant.profiler.campaign.plan import engine_keys
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.spec import parse_spec
from cotenant.profiler.experiments.kinds import EngineKey
from cotenant.runners.build_watch import BuildCancelled, BuildStep, cancelled, report, watched, watching
from cotenant.runners.protocol import Engine

OTHER_DISK = Path("/dev/shm")


def keys(count: int) -> list[EngineKey]:
    return [EngineKey("net", size, "fp32") for size in range(1, count + 1)]


class Told(QuietProgress):
    """Keeps what a stage was told, and by which thread."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []
        self.threads: set[int] = set()

    def begin(self, label: str) -> None:
        self.keep("begin", label)

    def step(self, label: str, step: BuildStep) -> None:
        self.keep("step", label, f"{step.phase} {step.done}/{step.total}")

    def keep(self, *line: str) -> None:
        self.lines.append(line)
        self.threads.add(threading.get_ident())


@given(st.lists(st.sampled_from(["well", "work", "user", "memory"]), max_size=12), st.integers(1, 5))
def test_each_build_runs_once_and_failures_stay_apart(outcomes: list[str], jobs: int) -> None:
    raised = {"work": WorkError("w"), "user": UserError("u"), "memory": MemoryError()}
    asked = keys(len(outcomes))
    lock, running, most, begun = threading.Lock(), 0, 0, Counter[EngineKey]()

    def build(key: EngineKey) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            begun[key] += 1
        try:
            outcome = outcomes[key.batch_size - 1]
            if outcome != "well":
                raise raised[outcome]
            return key.batch_size
        finally:
            with lock:
                running -= 1

    with closing(BuildPool(asked, build, jobs).results(QuietProgress())) as results:
        found = dict(results)
    assert begun == Counter(asked)
    assert found == {key: raised.get(outcome, key.batch_size) for key, outcome in zip(asked, outcomes, strict=True)}
    assert most <= jobs


def test_builds_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=20)  # opens only if three builds run at once
    with closing(BuildPool(keys(3), lambda _: together.wait(), 3).results(QuietProgress())) as results:
        assert sorted(place for _, place in results if isinstance(place, int)) == [0, 1, 2]


def test_steps_are_told_by_the_thread_that_listens() -> None:
    told = Told()

    def build(key: EngineKey) -> None:
        for done in range(3):
            report(BuildStep(f"phase of {key.batch_size}", done, 3))

    with closing(BuildPool(keys(2), build, 2).results(told)) as results:
        assert len(list(results)) == 2
    assert told.threads == {threading.get_ident()}
    for size in (1, 2):
        steps = [("step", f"net@{size}", f"phase of {size} {done}/3") for done in range(3)]
        assert [line for line in told.lines if line[1] == f"net@{size}"] == [("begin", f"net@{size}"), *steps]


def test_a_bug_keeps_its_traceback_and_what_waits_never_begins() -> None:
    begun = []

    def build(key: EngineKey) -> None:
        begun.append(key)
        raise ZeroDivisionError("a bug")

    results = BuildPool(keys(5), build, 1).results(QuietProgress())
    with closing(results), pytest.raises(ZeroDivisionError, match="a bug") as caught:
        list(results)
    assert "build" in [entry.name for entry in caught.traceback]
    assert begun == keys(1)


@pytest.mark.parametrize("asks", [True, False], ids=["asks", "asks-nothing"])
def test_closing_stops_a_build_that_runs_and_lets_it_clean_up(asks: bool) -> None:
    events: list[str] = []
    begun = threading.Event()

    def build(key: EngineKey) -> None:
        if key.batch_size == 1:
            return
        try:
            begun.set()
            until_s = time.monotonic() + 60
            while time.monotonic() < until_s:
                time.sleep(0.001)
                if asks:
                    report(BuildStep("phase", 0, 1))
        except BuildCancelled:
            events.append("cancelled")
            raise
        finally:
            events.append("cleaned up")

    results = BuildPool(keys(4), build, 2).results(QuietProgress())
    assert next(results) == (keys(1)[0], None)
    assert begun.wait(20)
    began_s = time.monotonic()
    results.close()
    assert time.monotonic() - began_s < 5
    assert events.count("cancelled") == events.count("cleaned up") > 0


def test_a_watch_is_taken_to_threads_of_foreign_code() -> None:
    steps: list[BuildStep] = []
    stop = threading.Event()
    told: list[bool] = []

    def call_back(found: Any) -> None:
        told.append(cancelled())  # this thread sees no watch of its own
        told.append(found.cancelled())
        found.report(BuildStep("phase", 1, 2))

    with watched(steps.append, stop) as own:
        assert not own.asked
        thread = threading.Thread(target=call_back, args=(watching(),))
        thread.start()
        thread.join()
        assert own.asked
        stop.set()
        assert cancelled()
        with pytest.raises(BuildCancelled):
            report(BuildStep("phase", 2, 2))
    assert steps == [BuildStep("phase", 1, 2)]
    assert told == [False, False]
    assert not cancelled()
    report(BuildStep("nobody watches", 0, 1))


def test_stopping_is_no_failure_that_a_campaign_would_keep() -> None:
    assert issubclass(BuildCancelled, KeyboardInterrupt)
    assert not issubclass(BuildCancelled, Exception)
    assert not issubclass(BuildCancelled, CotenantError)


def builds(built: int, failed: list[Exception]) -> Builds:
    some: Any = object()  # what was built is counted, not looked into
    asked = keys(built + len(failed))
    return Builds(
        built={key: BuiltEngine(some, None, False, {}) for key in asked[:built]},
        failed=dict(zip(asked[built:], failed, strict=True)),
    )


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        (builds(0, [UserError("u")]), UserError, r"^u$"),
        (builds(0, [WorkError("w")]), WorkError, r"^w$"),
        (builds(2, [UserError("u")]), WorkError, r"^1 of 3 engines failed \(the others are built\): net@3: u$"),
        (builds(0, [UserError("u"), UserError("v")]), UserError, r"^2 of 2 engines failed, the first net@1: u$"),
        (builds(0, [UserError("u"), WorkError("w")]), WorkError, r"^2 of 2 engines failed, the first net@1: u$"),
        (builds(1, [MemoryError()]), WorkError, r"net@2: out of memory; choose a smaller model or batch size$"),
    ],
)
def test_failures_are_counted_and_the_first_is_told(made: Builds, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        made.check()


def test_nothing_failed_is_nothing_told() -> None:
    builds(3, []).check()


def test_an_engine_that_may_not_come_leaves_what_is_kept_as_it_is(tmp_path: Path) -> None:
    spec = parse_spec({"name": "t", "runner": "simulated", "engines": {"models": ["probe:dram:10"]}}, "t")
    placement, asked = place(spec), engine_keys(spec)
    journal, cache = Journal(tmp_path / "out"), tmp_path / "cache"
    with journal.opened(spec):
        (engine,) = build_engines(asked, placement, cache, journal, QuietProgress()).values()
        kept = journal.engines / engine.engine_id
        files = {path.name: (path.stat().st_ino, path.read_bytes()) for path in kept.iterdir()}
        shutil.rmtree(engine.folder)

        def refuse(engines: Iterable[Engine]) -> None:
            raise UserError(f"not {[each.engine_id for each in engines]}")

        with pytest.raises(UserError, match=engine.engine_id):
            build_engines(asked, placement, cache, journal, QuietProgress(), refuse)
        assert {path.name: (path.stat().st_ino, path.read_bytes()) for path in kept.iterdir()} == files
        build_engines(asked, placement, cache, journal, QuietProgress(), lambda _: None)
        assert (kept / "meta.json").stat().st_ino != files["meta.json"][0]


Files = dict[str, dict[str, Any]]


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "entry"
    folder.mkdir(parents=True)
    (folder / "graph.onnx").write_bytes(b"graph" * 100)
    with (folder / "weights.bin").open("wb") as stream:
        stream.truncate(COPY_BYTES_MAX + 1)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "campaign"
    made.mkdir()
    return made


@pytest.fixture
def other_disk(tmp_path: Path, require: Any) -> Any:
    """A folder from which nothing of the test's own can be linked."""
    there = OTHER_DISK.is_dir() and OTHER_DISK.stat().st_dev != tmp_path.stat().st_dev
    require("otherdisk", there and os.access(OTHER_DISK, os.W_OK), f"{OTHER_DISK} is no other disk that can be written")
    folder = OTHER_DISK / f"cotenant-{os.getpid()}"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def listed(entry: Path) -> Files:
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
        for path in entry.iterdir()
        if path.suffix != ".json"
    }


def test_files_are_links_to_those_of_the_cache(entry: Path, folder: Path) -> None:
    for _ in range(2):
        assert place_files(entry, folder, listed(entry)) == {}
        assert sorted(path.name for path in folder.iterdir()) == ["graph.onnx", "weights.bin"]
        assert all(path.samefile(entry / path.name) for path in folder.iterdir())


def test_on_another_disk_small_files_are_copied_and_large_ones_left_out(entry: Path, other_disk: Path) -> None:
    left_out = place_files(entry, other_disk, listed(entry))
    assert [path.name for path in other_disk.iterdir()] == ["graph.onnx"]
    assert (other_disk / "graph.onnx").read_bytes() == (entry / "graph.onnx").read_bytes()
    assert left_out.keys() == {"weights.bin"}
    assert f"{COPY_BYTES_MAX + 1} bytes" in left_out["weights.bin"]
    assert "another disk" in left_out["weights.bin"]
    written_ns = (other_disk / "graph.onnx").stat().st_mtime_ns
    assert place_files(entry, other_disk, listed(entry)) == left_out
    assert (other_disk / "graph.onnx").stat().st_mtime_ns == written_ns


def test_a_large_file_that_was_copied_by_hand_is_kept(entry: Path, other_disk: Path) -> None:
    (other_disk / "weights.bin").write_bytes((entry / "weights.bin").read_bytes())
    assert place_files(entry, other_disk, listed(entry)) == {}
    with (other_disk / "weights.bin").open("r+b") as stream:
        stream.write(b"x")
    assert place_files(entry, other_disk, listed(entry)).keys() == {"weights.bin"}
    assert not (other_disk / "weights.bin").exists()


@pytest.mark.parametrize("spoil", ["truncate", "edit", "dangle"])
def test_a_file_that_is_not_what_the_cache_holds_is_replaced(entry: Path, folder: Path, spoil: str) -> None:
    files = listed(entry)
    target = folder / "graph.onnx"
    content = (entry / "graph.onnx").read_bytes()
    if spoil == "dangle":
        target.symlink_to(folder / "nowhere")
    else:
        target.write_bytes(content[:-1] if spoil == "truncate" else content[:-1] + b"x")
    (folder / ".tmp-graph.onnx").write_bytes(b"of a run that was killed")
    assert place_files(entry, folder, files) == {}
    assert target.read_bytes() == content
    assert target.samefile(entry / "graph.onnx")
    assert not target.is_symlink()
    assert not (folder / ".tmp-graph.onnx").exists()
