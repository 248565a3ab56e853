"""Stamps of the device's clock on a stream: by timing events within a context, by the global timer across processes.

A mark is a stamp that was queued. What marks tell becomes times of one device clock; some marks are kept as references
(anchors), because a distance between two events is a float32 of milliseconds: 0.12 us exact at 2 s, 4 us at a minute.
"""

import statistics
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from cotenant.runners.cuda.gpu import Gpu, Words

EVENT_RESOLUTION_NS = 500  # "a resolution of around 0.5 microseconds": cuEventElapsedTime in the CUDA driver API
REFERENCES = 512  # anchors kept: with one a second, executions may be that many seconds old
FAR_NS = 2_000_000_000
MARKS = 8192  # global timer: words for marks in flight
TICKS = 256


class Stamps(Protocol):
    """One clock of the device."""

    @property
    def resolution_ns(self) -> int:
        """What a stamp may be off because the clock is coarse."""

    def mark(self, stream: int) -> int:
        """Queue a stamp."""

    def is_done(self, mark: int) -> bool:
        """Tell whether a stamp has been taken."""

    def release(self, marks: Sequence[int]) -> None:
        """Give marks back that have been read, or whose stamp nobody wants."""

    def anchor(self, mark: int) -> int:
        """Return the time of a stamp in ns and keep it as a reference; it is given back when it gets old."""

    def times(self, marks: Sequence[int]) -> list[int]:
        """Return the times in ns of stamps of one stream, in order; distances between neighbours are the exact ones."""


class EventStamps:
    """Timing events of one context; its clock is 0 at the first anchor."""

    resolution_ns = EVENT_RESOLUTION_NS

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._free: list[int] = []
        self._all: list[int] = []
        self._references: deque[tuple[int, int]] = deque()  # event, device_ns

    def mark(self, stream: int) -> int:
        """Record an event."""
        if not self._free:
            self._free.append(self._gpu.create_event())
            self._all.append(self._free[-1])
        event = self._free.pop()
        self._gpu.record(event, stream)
        return event

    def is_done(self, mark: int) -> bool:
        """Tell whether an event has been reached."""
        return self._gpu.is_done(mark)

    def release(self, marks: Sequence[int]) -> None:
        """Let events be recorded anew."""
        self._free.extend(marks)

    def anchor(self, mark: int) -> int:
        """Chain an event to the anchor before it."""
        device_ns = 0
        if self._references:
            last, last_ns = self._references[-1]
            device_ns = last_ns + _ns(self._gpu.elapsed_ms(last, mark))
        self._references.append((mark, device_ns))
        if len(self._references) > REFERENCES:
            self._free.append(self._references.popleft()[0])
        return device_ns

    def times(self, marks: Sequence[int]) -> list[int]:
        """Return the first event's time by the nearest anchor, the others' by the event before each."""
        device_ns = self._time(marks[0])
        times = [device_ns]
        for first, second in pairwise(marks):
            device_ns += max(0, _ns(self._gpu.elapsed_ms(first, second)))
            times.append(device_ns)
        return times

    def close(self) -> None:
        """Destroy the events."""
        for event in self._all:
            self._gpu.destroy_event(event)

    def _time(self, event: int) -> int:
        last, last_ns = self._references[-1]
        about_ns = last_ns + _ns(self._gpu.elapsed_ms(last, event))  # negative where the event came first
        if abs(about_ns - last_ns) <= FAR_NS:
            return about_ns
        near, near_ns = min(self._references, key=lambda reference: abs(reference[1] - about_ns))
        return near_ns + _ns(self._gpu.elapsed_ms(near, event))


class TimerStamps:
    """The global timer, which is the same for all processes on a device; its tick is measured."""

    def __init__(self, gpu: Gpu) -> None:
        """Measure the tick on an idle device."""
        self._gpu = gpu
        self._words: Words = gpu.words(MARKS)
        self._free = list(range(MARKS))
        self.resolution_ns = timer_tick_ns(gpu)

    def mark(self, stream: int) -> int:
        """Queue a kernel that writes the timer."""
        index = self._free.pop()
        self._words.write(index, 0)
        self._gpu.launch_stamp(stream, self._words, index)
        return index

    def is_done(self, mark: int) -> bool:
        """Tell whether the timer has been written."""
        return self._words.read(mark) != 0

    def release(self, marks: Sequence[int]) -> None:
        """Let words be written anew."""
        self._free.extend(marks)

    def anchor(self, mark: int) -> int:
        """Return a stamp; the timer needs no references."""
        time_ns = self._words.read(mark)
        self._free.append(mark)
        return time_ns

    def times(self, marks: Sequence[int]) -> list[int]:
        """Return what the timer showed."""
        return [self._words.read(mark) for mark in marks]


def timer_tick_ns(gpu: Gpu) -> int:
    """Return the median step of the global timer, measured on an idle device."""
    words, stream = gpu.words(TICKS), gpu.create_stream()
    gpu.launch_ticks(stream, words, TICKS)
    gpu.synchronize(stream)
    gpu.destroy_stream(stream)
    values = [words.read(index) for index in range(TICKS)]
    return max(1, round(statistics.median(after - before for before, after in pairwise(values))))


def _ns(length_ms: float) -> int:
    return round(length_ms * 1e6)
