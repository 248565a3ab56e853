"""Waiting for a moment of the monotonic clock without being late."""

import ctypes
import time

SPIN_NS = 150_000  # a sleeping core needs up to about 100 us to run again; the rest is spun
PR_SET_TIMERSLACK = 29  # linux/prctl.h
TIMER_SLACK_NS = 1_000  # instead of the 50 us by which Linux lets timers of ordinary processes be late


def sharpen_timers() -> None:
    """Let this process's sleeps end on time; where the kernel refuses, they stay up to 50 us late."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0)


def hold_until(moment_ns: int) -> None:
    """Return at `moment_ns` of CLOCK_MONOTONIC: sleep most of the time, spin the rest."""
    left_ns = moment_ns - time.monotonic_ns()
    if left_ns > SPIN_NS:
        time.sleep((left_ns - SPIN_NS) / 1e9)
    while time.monotonic_ns() < moment_ns:
        pass
