"""What a machine may lack: such tests are skipped with a reason, or fail where that thing is required."""

import os
import signal
from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import settings

REQUIRED = frozenset(filter(None, os.environ.get("COTENANT_REQUIRE", "").split(",")))
REQUIRED_MARKERS = {"oracle": "oracles"}  # marker -> its word in COTENANT_REQUIRE

Require = Callable[[str, bool, str], None]

# A failure here must be one that a change brought about, so a plain run draws the same inputs each time;
# `make search` draws new ones, and what it finds becomes an @example.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("search", derandomize=False, print_blob=True)
settings.load_profile("repeatable")


# A shell starts its background jobs with Ctrl-C ignored, and every child inherits that: tests that press it could not
# stop anything. With a handler here, the commands that tests start get the system's default again.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests measure on machines that others keep busy; what the start gate does then, test_busy_device.py tells.
os.environ.setdefault("COTENANT_ALLOW_BUSY", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gpu", action="store_true", help="run what needs an NVIDIA GPU; a missing one is a failure")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--gpu"):
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU: run `pytest --gpu` where there is one"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and item.config.getoption("--gpu") and not gpu_count():
        pytest.fail("--gpu was given, but the driver shows no NVIDIA GPU", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a required test into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        wanted = {word for marker, word in REQUIRED_MARKERS.items() if item.get_closest_marker(marker)}
        if missing := sorted(wanted & REQUIRED):
            report.outcome = "failed"
            report.longrepr = f"skipped, but COTENANT_REQUIRE demands {', '.join(missing)}: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole file that skips itself has no markers yet: where oracles are required, that is a failure too."""
    report = yield
    if report.skipped and "oracles" in REQUIRED:
        report.outcome = "failed"
        report.longrepr = f"skipped as a whole, but COTENANT_REQUIRE demands oracles: {_reason(report)}"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_sep("-", f"{len(skipped)} tests did not run here; the reasons stand above", yellow=True)


@pytest.fixture
def require() -> Require:
    """`require("fulldisk", can_mount, "needs a small tmpfs")`: skip if it is missing, fail if it is demanded."""

    def check(name: str, available: bool, reason: str) -> None:
        if available:
            return
        if name in REQUIRED:
            pytest.fail(f"COTENANT_REQUIRE demands {name}: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}")

    return check


def gpu_count() -> int:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    return int(pynvml.nvmlDeviceGetCount())


def _reason(report: Any) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
