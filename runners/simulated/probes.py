"""Probes of the simulated runner, `probe:{compute,cache,dram,half}:<0-100>`: one kernel of constant demand.

compute  that part of the SMs for 10 ms
cache    that part of the L2 bandwidth for 10 ms, within half of the cache: two lanes fill it
dram     that part of the memory bandwidth for 10 ms; what streams through fills the cache
half     that part of half the SMs for 100 ms, for the co-residency self-test
"""

from dataclasses import asdict, dataclass
from typing import Any

from cotenant.models.digest import sha256_of
from cotenant.runners.probe_names import ProbeKind, ProbeName, parse_probe_name
from cotenant.runners.simulated.device_schema import DeviceFile
from cotenant.runners.simulated.kernel_list import ONE, SPILL_MAX, KernelList, kernel_list

REVISION = 1  # counts changes of what a probe does
PROBE_NS = 10_000_000
HALF_NS = 100_000_000


@dataclass(frozen=True)
class Probe:
    """A probe asked for."""

    kind: ProbeKind
    intensity_pct: int

    @property
    def name(self) -> str:
        """The model name that users type."""
        return str(ProbeName(self.kind, self.intensity_pct))

    @property
    def duration_ns(self) -> int:
        """Time of one execution alone, without its gap."""
        return HALF_NS if self.kind == "half" else PROBE_NS

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return asdict(self)

    def source_sha256(self) -> str:
        """Return the digest of what the probe asks for."""
        return sha256_of({"probe": self.as_dict(), "duration_ns": self.duration_ns, "revision": REVISION})

    def sm_demand(self, device: DeviceFile) -> int:
        """Return the part of the SMs in 1/ONE; 0 for cache and dram."""
        sms = {"compute": device.sm_count, "half": max(1, device.sm_count // 2)}.get(self.kind, 0)
        return ONE * sms * self.intensity_pct // (100 * device.sm_count)

    def mac_count(self, device: DeviceFile) -> int:
        """Return the multiply-accumulates of one execution, on the vector units."""
        peak = device.peak_flop_per_s.fp32_vector * device.clock_ratio
        return round(peak / 2 * self.duration_ns / 1e9 * self.sm_demand(device) / ONE)

    def read_bytes(self, device: DeviceFile) -> int:
        """Return the bytes that one execution reads, from the L2 cache or from memory as the kind says."""
        rates = {"cache": device.l2_bytes_per_s * device.clock_ratio, "dram": device.dram_achieved_bytes_per_s}
        return round(rates.get(self.kind, 0) * self.duration_ns / 1e9 * self.intensity_pct / 100)


def parse_probe(model: str) -> Probe:
    """Return the probe of that name; UserError if there is none."""
    name = parse_probe_name(model)
    return Probe(name.kind, name.intensity_pct)


def probe_kernels(probe: Probe, device: DeviceFile) -> KernelList:
    """Return the one kernel of a probe on a device."""
    part = ONE * probe.intensity_pct // 100
    memory_over_l2 = device.dram_achieved_bytes_per_s / (device.l2_bytes_per_s * device.clock_ratio)
    l2 = {"cache": part, "dram": min(ONE, round(part * memory_over_l2))}.get(probe.kind, 0)
    footprint_bytes = {"cache": device.l2_bytes // 2, "dram": device.l2_bytes}.get(probe.kind, 0)
    return kernel_list(
        [probe.name],
        gap_ns=[device.launch_gap_ns],
        duration_ns=[probe.duration_ns],
        sm=[probe.sm_demand(device)],
        l2=[l2],
        dram=[part if probe.kind == "dram" else 0],
        spill=[min(SPILL_MAX, round(part / memory_over_l2)) if probe.kind == "cache" else 0],
        footprint_bytes=[footprint_bytes],
    )
