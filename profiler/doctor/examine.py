"""Everything that `cotenant doctor` tells, in the order of reading; what waits for other processes is asked at once.

probes:   nvml, then tensorrt, tensorrt-rtx and each runner side by side, each in a process of its own
here:     python, packages, processor, storage        meanwhile
then:     driver, gpu, tensorrt, ncu, counters, mps, runner   as their probes answer; the timer's tick on a GPU only

NVML goes first and alone: whoever computes on a GPU meanwhile is a stranger.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from cotenant.profiler.doctor import (
    counters,
    cuda_lanes,
    cuda_wheels,
    driver,
    evidence,
    gpus,
    interpreter,
    mps,
    ncu,
    packages,
    processor,
    runners,
    storage,
    tensorrt,
)
from cotenant.profiler.doctor.check import Check, isolated

WORKERS = 8
Answer = TypeVar("Answer")
Step = tuple[str, Callable[[], Iterable[Check]]]


def examine(cache: Path | None = None) -> list[Check]:
    """Return every check; nothing raises but Ctrl-C, and nothing on the machine is changed."""
    with ThreadPoolExecutor(WORKERS) as pool:
        reading = pool.submit(driver.reading)
        kinds = {kind: pool.submit(_after, reading, tensorrt.asked, kind) for kind in tensorrt.TITLES}
        asked_runners = pool.submit(
            lambda: {name: pool.submit(_after, reading, runners.asked, name) for name in _runner_names()}
        )
        steps: list[Step] = [
            ("python.all", interpreter.checks),
            ("packages.all", packages.checks),
            ("processor.all", processor.checks),
            ("storage.all", lambda: storage.checks(cache)),
            ("driver.all", lambda: driver.checks(reading.result(), cuda_wheels.installed())),
            ("gpu.all", lambda: gpus.checks(reading.result())),
            ("gpu.globaltimer", lambda: cuda_lanes.checks(reading.result())),
            ("tensorrt.all", lambda: tensorrt.checks(_results(kinds))),
            ("ncu.all", lambda: ncu.checks(reading.result().driver_version)),
            ("counters.all", lambda: counters.checks(reading.result())),
            ("mps.all", mps.checks),
            ("runner.all", lambda: runners.checks(_results(asked_runners.result()))),
            ("evidence.all", evidence.checks),
        ]
        return [check for name, step in steps for check in isolated(name, step)]


def _runner_names() -> tuple[str, ...]:
    from cotenant.runners.registry import available

    return available()


def _after(first: Future[Any], ask: Callable[[str], Answer], name: str) -> Answer:
    first.result()
    return ask(name)


def _results(futures: dict[str, Future[Answer]]) -> dict[str, Answer]:
    return {name: future.result() for name, future in futures.items()}
