"""A campaign folder with counters of three engines by two sets, and probes whose law is known.

The full probe and a probe of intensity x slow each other by 1 + x / 100, so an engine and the full probe that slow each
other by 1.3 are like a probe of 30.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raw_campaign import DEVICE, Maker, engine

from cotenant.datasets.raw_counters import COUNTERS, write_counters
from cotenant.models.digest import digest_id

LABELS = ("resnet18@1", "vit_ti_16@1", "vgg11@2")
LIKE_PCT = {"resnet18@1": 30, "vit_ti_16@1": 45, "vgg11@2": 80}  # the probe of memory that does the same
INTENSITIES_PCT = (10, 25, 50, 75, 100)
PROVENANCE = {
    "started_at": "2026-11-24T09:00:00+00:00",
    "finished_at": "2026-11-24T09:00:07+00:00",
    "host": "bench",
    "pid": 7,
    "attempt": 1,
    "git_commit": None,
    "versions": {"cotenant": "0.1.0", "ncu": "2026.3.1"},
}
KERNELS = (("conv", 1000, 60.0), ("conv", 1000, 60.0), ("gemm", 2000, 20.0))  # name, ns, percent of the SMs


def paper(label: str, factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Counters of one engine as kernel replay tells them, without `counter_id`; `factor` scales its percentages."""
    rows = [
        {
            "counter_source": "ncu",
            "counter_set": "paper",
            "kernel_index": index,
            "measured_kernel_index": 0 if name == "conv" else index,
            "name": name,
            "duration_ns": duration_ns,
            "grid": "8,1,1",
            "block": "128,1,1",
            "sm_pct": sm_pct * factor,
            "l2_pct": 30.0 * factor,
            "dram_pct": 10.0 * factor,
            "null_reasons": {"tensor_pct": "not_in_set"},
        }
        for index, (name, duration_ns, sm_pct) in enumerate(KERNELS)
    ]
    busy_ns = sum(duration_ns for _, duration_ns, _ in KERNELS)
    whole = {
        "counter_source": "ncu",
        "counter_set": "paper",
        "aggregation": "kernel_wmean",
        "sm_pct": 40.0 * factor,
        "l2_pct": 30.0 * factor,
        "dram_pct": 10.0 * factor,
        "busy_ns": busy_ns,
        "wall_ns": None,
        "kernel_count": len(KERNELS),
        "replayed_kernel_count": 2,
        "replay_passes": 8,
        "replay_mode": "kernel",
        "clock_control": "none",
        "cache_control": "all",
        "profiler_version": "2026.3.1",
        "marks": ["fallback"],
        "null_reasons": {"wall_ns": "kernels_apart", "tensor_pct": "not_in_set"},
        **changes,
    }
    facts = {"engine": engine(label), "device": DEVICE, "throughputs": whole, "provenance": PROVENANCE}
    return {"kernels": rows, "metadata": facts}


def single(label: str, factor: float = 1.0) -> dict[str, Any]:
    """Counters of one engine as one range tells them: bytes, and no kernels."""
    whole = {
        "counter_source": "ncu",
        "counter_set": "single",
        "aggregation": "range",
        "sm_pct": 36.0 * factor,
        "l2_moved_bytes": 4_000_000,
        "dram_moved_bytes": 1_000_000,
        "wall_ns": 5000,
        "null_reasons": {"busy_ns": "one_range"},
    }
    facts = {"engine": engine(label), "device": DEVICE, "throughputs": whole, "provenance": PROVENANCE}
    return {"kernels": [], "metadata": facts}


def write(folder: Path, counters: dict[str, Any], counter_id: str | None = None) -> Path:
    """Write one counters file of a campaign folder."""
    facts = counters["metadata"]
    chosen = counter_id or digest_id([facts["engine"]["engine_id"], facts["throughputs"]["counter_set"]])
    return write_counters(folder / COUNTERS, chosen, counters["kernels"], facts)


def beside_probes(maker: Maker, labels: Sequence[str] = LABELS, probe: str = "dram", **changes: Any) -> None:
    """Calibrate a probe, and measure engines beside it at full intensity."""
    for intensity_pct in INTENSITIES_PCT:
        maker.slowdown = 1 + intensity_pct / 100
        maker.together("sensitivity", [f"probe:{probe}:100@1", f"probe:{probe}:{intensity_pct}@1"], **changes)
    for label in labels:
        maker.slowdown = 1 + LIKE_PCT[label] / 100
        maker.together("sensitivity", [label, f"probe:{probe}:100@1"], **changes)


def profiled_campaign(folder: Path) -> Path:
    """Solo profiles, probes and counters of three engines."""
    maker = Maker(folder, quads=4)
    maker.self_test()
    for place, label in enumerate(LABELS):
        maker.solo(label, repeats=2)
        write(folder, paper(label, 1 + place / 4))
        write(folder, single(label, 1 + place / 3))
    beside_probes(maker)
    return folder
