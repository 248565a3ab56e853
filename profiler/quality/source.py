"""What telemetry, snapshots and gates ask of a device: one shape of answer for GPUs and processors."""

from dataclasses import dataclass, field
from typing import Any, Protocol

# what one sample tells, beside its time and cost; a source leaves out what it does not know
SAMPLED = (
    "sm_clock_mhz",
    "memory_clock_mhz",
    "power_mw",
    "power_limit_mw",
    "temperature_c",
    "temperature_margin_c",
    "throttle_mask",
    "utilization_pct",
    "foreign_process_count",
    "load_average_count",
    "steal_pct",
    "foreign_cpu_pct",
    "quota_throttled_ns",
)


class SourceFailed(Exception):
    """A source that answered before answers nothing any more."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that a device tells at one instant.

    Attributes:
        values: By name, with units at the end of names.
        refused: Why the others are unknown: the error's name, or a sentence.
        cost_ns: What asking each took.
    """

    values: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    cost_ns: dict[str, int] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """Return what raw metadata keeps."""
        return {"values": self.values, "refused": self.refused, "cost_ns": self.cost_ns}


class Source(Protocol):
    """One device that can be asked, cheaply and without changing a setting."""

    @property
    def name(self) -> str:
        """`nvml` or `host`."""

    def snapshot(self) -> Snapshot:
        """Ask everything; nothing raises."""

    def sample(self) -> dict[str, Any]:
        """Return what is known of SAMPLED now; shares of time are of the time since the sample before.

        Raises:
            SourceFailed: It answers nothing any more.
        """

    def begin(self) -> None:
        """Forget the sample before: an experiment begins."""

    def close(self) -> None:
        """Let go of the device."""
