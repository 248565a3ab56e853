"""Native probes, `probe:{compute,cache,dram,half}:<0-100>`: loads of known intensity on one level of the machine.

One execution is a row of slots of equal work. At intensity 100 the slots run back to back; below, that share of the
slots runs on the schedule that full rate would keep, so demand stays the same when a co-runner slows the lane down.

Work is fixed by the numbers below and by the size of the last-level cache, not by a timing: an engine id must be the
same in every process of a machine, and a timing never is. Only the pace is measured, by the lane as it loads the probe
while every lane is idle. On current server cores (about 100 GFLOP/s, 30 GB/s) an execution takes 10 to 20 ms;
`half` takes at least 100 ms up to 280 GFLOP/s a core.

    compute  ONNX Runtime's own MatMul on operands that stay in the private caches: the engines' kernels, at their best
    cache    copies within half of the last-level cache: two lanes fill it
    dram     copies within four times the last-level cache
    half     compute for at least 100 ms on one core, for the co-residency self-test
"""

import dataclasses
from typing import Any

from cotenant.models.digest import sha256_of
from cotenant.runners.onnxruntime_cpu.device import llc_bytes
from cotenant.runners.probe_names import ProbeKind, ProbeName, parse_probe_name

REVISION = 1  # counts changes of what a probe does
ASSUMED_LLC_BYTES = 32 << 20  # where the kernel does not tell

MATRIX_SIDE = 224  # three float32 operands are 588 KiB: they stay in a private cache of 1 MiB
COPY_SLOT_BYTES = 1 << 20
SLOTS: dict[ProbeKind, int] = {"compute": 100, "cache": 500, "dram": 200, "half": 1250}


@dataclasses.dataclass(frozen=True)
class Probe:
    """What one execution of a probe does.

    Attributes:
        slot_count: Slots of one execution; the schedule's length.
        active_count: Slots that do work.
        footprint_bytes: Source and target of the copies together; 0 for compute and half.
    """

    kind: ProbeKind
    intensity_pct: int
    slot_count: int
    active_count: int
    footprint_bytes: int
    revision: int = REVISION

    @property
    def name(self) -> str:
        """The model name that users type."""
        return str(ProbeName(self.kind, self.intensity_pct))

    @property
    def computes(self) -> bool:
        """Whether slots are matrix products, not copies."""
        return self.kind in ("compute", "half")

    @property
    def mac_count(self) -> int:
        """Multiply-accumulates of one execution."""
        return self.active_count * MATRIX_SIDE**3 if self.computes else 0

    @property
    def copied_bytes(self) -> int:
        """Bytes that one execution copies: read once and written once, in the cache or in memory as the kind says."""
        return 0 if self.computes else self.active_count * COPY_SLOT_BYTES

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return dataclasses.asdict(self)

    def source_sha256(self) -> str:
        """Return the digest of what the probe does."""
        work = {"matrix_side": MATRIX_SIDE, "copy_slot_bytes": COPY_SLOT_BYTES}
        return sha256_of({"probe": self.as_dict(), **work})


def parse_probe(model: str) -> Probe:
    """Return the probe of that name; UserError if there is none."""
    name = parse_probe_name(model)
    return _probe(name.kind, name.intensity_pct)


def probe_from_dict(fields: dict[str, Any]) -> Probe:
    """Return the probe that `as_dict` told."""
    return Probe(**fields)


def _probe(kind: ProbeKind, intensity_pct: int) -> Probe:
    llc = llc_bytes() or ASSUMED_LLC_BYTES
    footprint_bytes = {"cache": llc // 2, "dram": llc * 4}.get(kind, 0)
    slots = SLOTS[kind]
    return Probe(kind, intensity_pct, slots, slots * intensity_pct // 100, footprint_bytes)


def active_slots(probe: Probe) -> list[int]:
    """Return the indices of the slots that do work, spread evenly over the schedule."""
    pct = probe.intensity_pct
    return [slot for slot in range(probe.slot_count) if (slot + 1) * pct // 100 > slot * pct // 100]
