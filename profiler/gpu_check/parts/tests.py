"""The project's own tests on this GPU: the runners' contract, or whatever is marked `gpu`. Needs a checkout."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from cotenant.profiler.gpu_check.facts import Facts, Skip
from cotenant.profiler.gpu_check.machine import ROOT

CONTRACT = "tests/runners/test_contract.py"
GPU_MARK = "mark.gpu"
RUNNERS = ("torch-cuda", "tensorrt")
ONE_TEST_S = 90
RESERVE_S = 8.0
REASON_CHARACTERS = 400
SHOWN = 5  # failed tests in the part's reason; all of them stand in `failed`
NO_TIME = "no time left"
STOPPED, NO_TESTS = 2, 5  # exit codes of pytest


class Recorder:
    """A plugin of pytest that notes each test as it ends, and stops in time."""

    def __init__(self, facts: Facts) -> None:
        """Begin with no test."""
        self._facts = facts
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failed: dict[str, str] = {}
        self.skipped: Counter[str] = Counter()
        self._session: Any = None

    def pytest_sessionstart(self, session: Any) -> None:
        """Keep the session, to be able to stop it."""
        self._session = session

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note what runs: if it takes the process with it, its name is there."""
        self._facts.note(runs=nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count a test once: by its call, or by its setup or teardown if that did not pass."""
        if report.when == "call" or not report.passed:
            self._count(report)
        if self._facts.left_s < RESERVE_S:
            self._session.shouldstop = NO_TIME

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be collected counts as a failure."""
        if report.failed:
            self._count(report)

    def _count(self, report: Any) -> None:
        self.counts[report.outcome] += 1
        if report.failed:
            self.failed[report.nodeid] = _reason(report)
        elif report.skipped:
            self.skipped[_reason(report)] += 1
        self._facts.note(counts=self.counts, failed=self.failed, skipped_for=dict(self.skipped))


def measure(facts: Facts) -> None:
    """Run pytest in this process; its output is the part's log."""
    import pytest

    if not (ROOT / CONTRACT).is_file():
        raise Skip("the tests are in a checkout of the sources, and this is none")
    os.chdir(ROOT)
    recorder = Recorder(facts)
    scratch = facts.folder / "parts" / f"{facts.part}.tmp"
    # warnings are errors only for the pinned versions of libraries
    always = [*("-p", "no:cacheprovider", "-W", "default", "-v", "--tb=short"), f"--basetemp={scratch}"]
    always.append(f"--timeout={ONE_TEST_S}")
    code = int(pytest.main([*always, *_selection(facts.argument)], plugins=[recorder]))
    facts.note(exit_code=code, runs=None, stopped=NO_TIME if facts.left_s < RESERVE_S else None)
    if code in (0, NO_TESTS) and not recorder.counts["passed"]:
        raise Skip("; ".join(sorted(recorder.skipped)) or "no test was found")
    names = [name.rpartition("/")[2] for name in recorder.failed]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    facts.check(not names, f"every test passes (failed: {', '.join(names[:SHOWN])}{more})")
    facts.check(code in (0, 1, STOPPED), f"pytest ran (exit code {code})")


def _selection(argument: str) -> list[str]:
    if argument == "contract":
        return [CONTRACT, "-k", " or ".join(RUNNERS)]
    if argument == "torch":
        return ["--gpu", "-m", "gpu", "tests/runners/test_torch_cuda_gpu.py"]
    return ["--gpu", "-m", "gpu", *(str(path) for path in marked_files(ROOT / "tests"))]


def marked_files(tests: Path) -> list[Path]:
    """Return the test files that have tests for a GPU; no other is imported, whose needs may not be met."""
    return sorted(path for path in tests.rglob("test_*.py") if GPU_MARK in path.read_text(encoding="utf-8"))


def _reason(report: Any) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    lines = [line for line in str(told).splitlines() if line.strip()]
    return " ".join((lines[-1] if lines else "").split())[:REASON_CHARACTERS].removeprefix("Skipped: ")
