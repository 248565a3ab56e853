"""What watches a device through a campaign's run: the start gate, snapshots, telemetry, pauses to cool."""

import os
import time
from collections.abc import Callable
from typing import Any

from cotenant.profiler.quality.cooling import cool_down
from cotenant.profiler.quality.doubts import doubts
from cotenant.profiler.quality.environment import environment
from cotenant.profiler.quality.host import HostSource
from cotenant.profiler.quality.nvml_source import open_nvml
from cotenant.profiler.quality.source import Snapshot, Source
from cotenant.profiler.quality.start_gate import check_idle, look
from cotenant.profiler.quality.telemetry import Telemetry
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Device, Session

VIRTUAL = "a simulated device has virtual time: nothing happens between its executions"
CLOCK_APART_MAX_NS = 1_000_000_000


class Watch:
    """Opened once in a run; a device that cannot be asked leaves everything unknown, with the reason.

    Attributes:
        started_busy: Whether the start gate found a busy device and was told to go on; None = not told.
    """

    def __init__(self, device: Device, quality: Quality) -> None:
        self._device = device
        self._quality = quality
        found = source_of(device)
        self.source: Source | None = None if isinstance(found, str) else found
        self._why_none = found if isinstance(found, str) else None
        self._slowdown_c: float | None = None
        self.started_busy: bool | None = None
        self._told: set[str] = set()

    def close(self) -> None:
        """Let go of the device."""
        if self.source is not None:
            self.source.close()

    def start(self, lanes_cores: int, allow_busy: bool, note: Callable[[str], None]) -> None:
        """Refuse a busy device before anything is measured.

        Raises:
            UserError: It is busy, and neither `allow_busy` nor the thresholds allow that.
        """
        if self.source is None:
            return
        self.snapshot()  # tells at which temperature the device slows down
        idleness = look(self.source, self._quality, lanes_cores, frozenset(os.sched_getaffinity(0)))
        self.started_busy = check_idle(idleness, self._device.name, allow_busy or self._quality.allow_busy)
        if self.started_busy:
            note(f"{self._device.name} is not idle: {idleness.busy}; going on as asked, and experiments say so")

    def snapshot(self) -> Snapshot | None:
        """Return what the device tells now; None where it has no telemetry."""
        if self.source is None:
            return None if self._device.kind == "simulated" else Snapshot(refused={"all": str(self._why_none)})
        found = self.source.snapshot()
        self._slowdown_c = found.values.get("slowdown_temperature_c")
        return found

    def cool_down(self, note: Callable[[str], None]) -> float:
        """Wait while the device is hot, within the limit of the thresholds; return the seconds waited."""
        return cool_down(self.source, self._quality, self._slowdown_c, note)

    def telemetry(self, session: Session) -> Telemetry:
        """Return the telemetry of one experiment on this session."""
        why = self._why_none
        if self.source is not None and abs(session.now_ns() - time.monotonic_ns()) > CLOCK_APART_MAX_NS:
            why = "the session's clock is not this machine's"
        return Telemetry(self.source if why is None else None, self._quality.telemetry_s, why, session.now_ns)

    def tell_doubts(self, telemetry: Telemetry, note: Callable[[str], None]) -> None:
        """Tell once of each thing that telemetry shows and the user can do something about."""
        for word, told in doubts(telemetry, self._quality):
            if word not in self._told:
                self._told.add(word)
                note(f"{self._device.name}: {told}")

    def environment(self, snapshot: Snapshot | None) -> dict[str, str]:
        """Return modes and driver as found, for the provenance."""
        return {} if snapshot is None else environment(snapshot)


def source_of(device: Device) -> Source | str:
    """Return what a device can be asked by, or why it cannot."""
    if device.kind == "simulated":
        return VIRTUAL
    return HostSource() if device.kind == "cpu" else open_nvml(device.device_id)


def stored(start: Snapshot | None, end: Snapshot | None) -> dict[str, Any] | None:
    """Return both snapshots of an experiment as raw metadata keeps them."""
    return None if start is None or end is None else {"start": start.stored(), "end": end.stored()}
