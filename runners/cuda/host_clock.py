"""The host's clock, which is the session's: CLOCK_MONOTONIC; tests bring a virtual one."""

import time
from typing import Protocol

from cotenant.runners.hold import sharpen_timers


class HostClock(Protocol):
    """Tells the time and lets it pass."""

    def now_ns(self) -> int:
        """Return the time in ns."""

    def pause(self, length_ns: int) -> None:
        """Let about `length_ns` pass."""


class MonotonicClock:
    """CLOCK_MONOTONIC; pauses of the thread that makes it end on time, where the kernel lets them."""

    def __init__(self) -> None:
        sharpen_timers()

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""
        return time.monotonic_ns()

    def pause(self, length_ns: int) -> None:
        """Sleep."""
        time.sleep(length_ns / 1e9)
