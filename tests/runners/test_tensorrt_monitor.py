"""Progress that TensorRT tells of: phases inside phases, not too often, and an end when it is asked for."""

import threading
import time

import pytest

from cotenant.runners.build_watch import BuildStep
from cotenant.runners.tensorrt import monitor as module
from cotenant.runners.tensorrt.monitor import BuildMonitor


@pytest.fixture
def steps() -> list[BuildStep]:
    return []


@pytest.fixture
def monitor(steps: list[BuildStep], monkeypatch: pytest.MonkeyPatch) -> BuildMonitor:
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    return BuildMonitor(steps.append, threading.Event())


def test_phases_nest_and_count_from_one(monitor: BuildMonitor, steps: list[BuildStep]) -> None:
    monitor.phase_start("Building", None, 2)
    monitor.phase_start("Timing", "Building", 3)
    assert monitor.step_complete("Timing", 0)
    monitor.phase_finish("Timing")
    assert monitor.step_complete("Building", 0)
    monitor.phase_finish("Building")
    assert steps == [
        BuildStep("Building", 0, 2, 0),
        BuildStep("Timing", 0, 3, 1),
        BuildStep("Timing", 1, 3, 1),
        BuildStep("Building", 1, 2, 0),
        BuildStep("Building", 2, 2, 0),
    ]


def test_a_build_goes_on_until_it_is_told_to_stop() -> None:
    stop = threading.Event()
    monitor = BuildMonitor(lambda step: None, stop)
    monitor.phase_start("Building", None, 9)
    assert monitor.step_complete("Building", 0)
    stop.set()
    assert not monitor.step_complete("Building", 1)


def test_inner_steps_are_told_no_denser_than_the_limit(steps: list[BuildStep]) -> None:
    monitor = BuildMonitor(steps.append, threading.Event())
    monitor.phase_start("Building", None, 2)
    monitor.phase_start("Timing", "Building", 10_000)
    began_s = time.monotonic()
    for step in range(10_000):
        monitor.step_complete("Timing", step)
    inner = [step for step in steps if step.depth == 1]
    assert len(inner) <= (time.monotonic() - began_s) / module.EVERY_S + 1
    assert len([step for step in steps if step.depth == 0]) == 1


def test_steps_of_phases_that_were_never_told_of_are_left_out(monitor: BuildMonitor, steps: list[BuildStep]) -> None:
    assert monitor.step_complete("Unknown", 0)
    monitor.phase_finish("Unknown")
    assert steps == []


def test_threads_of_the_library_may_call_at_once(monitor: BuildMonitor, steps: list[BuildStep]) -> None:
    monitor.phase_start("Building", None, 1)

    def work(name: str) -> None:
        monitor.phase_start(name, "Building", 200)
        for step in range(200):
            monitor.step_complete(name, step)
        monitor.phase_finish(name)

    threads = [threading.Thread(target=work, args=(f"part {index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(steps) == 1 + 4 * 201
    for index in range(4):
        assert [step.done for step in steps if step.phase == f"part {index}"] == list(range(201))
