"""What a lane executes for a probe: its slots, paced."""

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cotenant.runners.hold import hold_until
from cotenant.runners.onnxruntime_cpu.probes import COPY_SLOT_BYTES, Probe, active_slots

CALIBRATION_NS = 30_000_000
CALIBRATION_MIN_SLOTS = 16


def probe_executable(probe: Probe, graph: Path, threads: int) -> Callable[[], None]:
    """Return the call that executes a probe once; measures the pace of full rate if the probe needs it."""
    slot = _matmul_slot(graph, threads) if probe.computes else _copy_slot(probe.footprint_bytes)
    slots = active_slots(probe)
    if len(slots) == probe.slot_count:
        return lambda: _run_all(slot, probe.slot_count)
    slot_ns = _full_rate_slot_ns(slot)
    return lambda: _run_paced(slot, slots, slot_ns, probe.slot_count)


def _run_all(slot: Callable[[], None], count: int) -> None:
    for _ in range(count):
        slot()


def _run_paced(slot: Callable[[], None], slots: list[int], slot_ns: float, slot_count: int) -> None:
    begin_ns = time.monotonic_ns()
    for index in slots:
        hold_until(begin_ns + int(index * slot_ns))
        slot()
    hold_until(begin_ns + int(slot_count * slot_ns))


def _full_rate_slot_ns(slot: Callable[[], None]) -> float:
    """Return the median time of a slot at full rate, once caches and pages are warm."""
    for _ in range(CALIBRATION_MIN_SLOTS):
        slot()
    times: list[int] = []
    while len(times) < CALIBRATION_MIN_SLOTS or sum(times) < CALIBRATION_NS:
        begin_ns = time.monotonic_ns()
        slot()
        times.append(time.monotonic_ns() - begin_ns)
    return statistics.median(times)


def _matmul_slot(graph: Path, threads: int) -> Callable[[], None]:
    from cotenant.runners.onnxruntime_cpu.executable import bound_call, inference_session

    session = inference_session(graph, threads)
    shape = session.get_inputs()[0].shape
    operand = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return bound_call(session, {session.get_inputs()[0].name: operand})


def _copy_slot(footprint_bytes: int) -> Callable[[], None]:
    """Return a call that copies the next piece of a ring; source and target together have the footprint."""
    pieces = max(1, footprint_bytes // (2 * COPY_SLOT_BYTES))
    source = np.ones((pieces, COPY_SLOT_BYTES), dtype=np.uint8)
    target = np.ones((pieces, COPY_SLOT_BYTES), dtype=np.uint8)
    ring = itertools.cycle([(target[piece], source[piece]) for piece in range(pieces)])
    copy = np.copyto

    def slot() -> None:
        copy(*next(ring))

    return slot
