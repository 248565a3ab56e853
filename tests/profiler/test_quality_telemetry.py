"""Sampling in a thread: a first and a last sample always, no thread left, nothing that fails reaches the experiment."""

import threading
import time
from typing import Any

import pytest

from cotenant.profiler.quality.host import HostSource
from cotenant.profiler.quality.source import Snapshot, SourceFailed
from cotenant.profiler.quality.telemetry import OFF, Telemetry


class Scripted:
    """A source that tells how often it was asked, and fails from the given call on."""

    name = "nvml"

    def __init__(self, fails_at: int | None = None, error: Exception | None = None, takes_s: float = 0.0) -> None:
        self.asked = 0
        self.fails_at, self.error, self.takes_s = fails_at, error, takes_s
        self.threads: set[int] = set()

    def snapshot(self) -> Snapshot:
        return Snapshot()

    def begin(self) -> None:
        self.asked = 0

    def sample(self) -> dict[str, Any]:
        self.asked += 1
        self.threads.add(threading.get_ident())
        time.sleep(self.takes_s)
        if self.fails_at is not None and self.asked >= self.fails_at:
            raise self.error or SourceFailed("the card has fallen off the bus")
        return {"sm_clock_mhz": self.asked}

    def close(self) -> None:
        """Hold nothing."""


def test_an_experiment_shorter_than_the_interval_has_a_first_and_a_last_sample() -> None:
    began_ns = time.monotonic_ns()
    with Telemetry(Scripted(), 3600.0) as telemetry:
        inside_ns = time.monotonic_ns()
    ended_ns = time.monotonic_ns()
    first, last = telemetry.rows
    assert began_ns <= first["t_ns"] <= inside_ns <= last["t_ns"] <= ended_ns
    assert [row["sample_index"] for row in telemetry.rows] == [0, 1]


def test_samples_come_from_a_thread_at_the_interval_and_cover_the_experiment() -> None:
    source = Scripted()
    with Telemetry(source, 0.05) as telemetry:
        time.sleep(0.5)
    times = [row["t_ns"] for row in telemetry.rows]
    assert times == sorted(times)
    assert 4 <= len(times) <= 13
    assert len(source.threads) == 2
    assert telemetry.stopped is None


def test_a_slow_source_is_sampled_less_often_and_its_cost_is_kept() -> None:
    with Telemetry(Scripted(takes_s=0.05), 0.01) as telemetry:
        time.sleep(0.3)
    assert len(telemetry.rows) <= 8
    assert all(row["sample_ns"] >= 50_000_000 for row in telemetry.rows)


def test_no_thread_is_left_whatever_happens_inside() -> None:
    before = threading.active_count()
    for _ in range(20):
        with Telemetry(Scripted(), 0.01):
            pass
    with pytest.raises(KeyboardInterrupt), Telemetry(Scripted(), 0.01):
        raise KeyboardInterrupt
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [SourceFailed("lost"), OSError("gone"), ValueError("odd")])
@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_source_that_fails_ends_the_samples_and_not_the_experiment(fails_at: int, error: Exception) -> None:
    source, done = Scripted(fails_at, error), False
    with Telemetry(source, 0.01) as telemetry:
        time.sleep(0.1)
        done = True
    assert done
    assert len(telemetry.rows) == fails_at - 1
    assert str(error) in str(telemetry.stopped)
    assert source.asked == fails_at
    assert (telemetry.table() is None) == (fails_at == 1)


def test_where_no_thread_may_start_the_experiment_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Telemetry(Scripted(), 0.01) as telemetry:
        done = True
    assert done
    assert len(telemetry.rows) == 1
    assert "can't start new thread" in str(telemetry.stopped)


def test_telemetry_is_off_at_zero_and_without_a_source_and_says_so() -> None:
    source = Scripted()
    with Telemetry(source, 0.0) as off, Telemetry(None, 0.5, "virtual time") as none:
        time.sleep(0.02)
    assert (off.table(), off.facts()["stopped"], source.asked) == (None, OFF, 0)
    assert (none.table(), none.facts()["stopped"], none.facts()["source"]) == (None, "virtual time", None)


def test_stamps_are_on_the_clock_of_the_session() -> None:
    with Telemetry(Scripted(), 3600.0, None, iter(range(0, 1000, 10)).__next__) as telemetry:
        pass
    assert [(row["t_ns"], row["sample_ns"]) for row in telemetry.rows] == [(0, 10), (20, 10)]


def test_cpu_time_is_counted_and_most_of_it_is_waiting() -> None:
    with Telemetry(HostSource(), 0.05) as telemetry:
        time.sleep(0.5)
    assert telemetry.table() is not None
    assert 0 < telemetry.cpu_ns < 250_000_000
