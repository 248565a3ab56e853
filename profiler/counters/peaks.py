"""What the device can do at most, measured through a lane by its native probes."""

from collections.abc import Mapping
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc

from cotenant.runners.protocol import Engine

PEAK_PROBES = {
    "flop_per_s": "probe:compute:100",
    "cache_bytes_per_s": "probe:cache:100",
    "dram_bytes_per_s": "probe:dram:100",
}


def probe_peak(engine: Engine, executions: pa.Table) -> tuple[str, float] | None:
    """Return (name of the peak, value) if these executions are of a peak probe, else None.

    The rate is work over the median span of the executions that count.
    """
    name = next((peak for peak, probe in PEAK_PROBES.items() if probe == engine.model), None)
    if name is None:
        return None
    counted = executions.filter(pc.equal(executions["role"].cast(pa.string()), "solo"))
    spans = pc.subtract(counted["end_ns"], counted["start_ns"]).to_pylist()
    work = engine.flop_count if name == "flop_per_s" else (engine.read_bytes or 0) + (engine.write_bytes or 0)
    return name, (work or 0) / (median(spans) * 1e-9)


def complete(peaks: Mapping[str, float]) -> bool:
    """Whether every peak is known."""
    return set(peaks) == set(PEAK_PROBES)
