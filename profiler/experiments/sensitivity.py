"""Sensitivity: an engine beside a probe of known intensity, in ABBA quads; needs no counter permission at all.

How much the probe slows the engine is the engine's sensitivity to that resource, how much the engine slows the probe is
its pressure on it; intensities give curves.

calibration   the full probe beside the probe at each intensity: what an intensity does to the full probe, and what the
              full probe does to it; the two curves on which an engine's pressure and sensitivity are read off
              (datasets/derive/probe_throughputs.py)
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind, ExperimentSpec, by_label, need_lanes
from cotenant.profiler.experiments.quads import beside_seconds, run_beside
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Lane

ProbeKind = Literal["compute", "cache", "dram"]
INTENSITIES_PCT = (25, 50, 75, 100)
CALIBRATION_PCT = (10, 25, 50, 75, 100)
FULL_PCT = 100


class SensitivitySpec(ExperimentSpec):
    """Keys of `kind: sensitivity`: which engines (labels; all by default), beside which probes, how intense.

    Attributes:
        calibration_pct: Intensities beside which the full probe is measured; none for no calibration.
    """

    engines: tuple[str, ...] | None = None
    probes: tuple[ProbeKind, ...] = Field(default=("compute", "cache", "dram"), min_length=1)
    intensities_pct: tuple[int, ...] = Field(default=INTENSITIES_PCT, min_length=1)
    calibration_pct: tuple[int, ...] = CALIBRATION_PCT
    repeats: int = Field(default=1, ge=1, le=10_000)


def cells(spec: SensitivitySpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per engine, probe, intensity and repeat; tenant a is the engine or the full probe, b the probe."""
    need_lanes(spec.kind, len(lanes))
    for name in ("intensities_pct", "calibration_pct"):
        if any(not 0 <= intensity <= FULL_PCT for intensity in getattr(spec, name)):
            raise UserError(f"`{name}` of `kind: sensitivity` are whole numbers from 0 to 100")
    chosen = (
        list(engines)
        if spec.engines is None
        else [key for (key,) in by_label([[e] for e in spec.engines], engines, "engines")]
    )
    pairs = [(key, _probe(kind, pct)) for key in chosen for kind in spec.probes for pct in spec.intensities_pct]
    pairs += [(_probe(kind, FULL_PCT), _probe(kind, pct)) for kind in spec.probes for pct in spec.calibration_pct]
    return [Cell("sensitivity", pair, repeat, spec.condition) for pair in pairs for repeat in range(spec.repeats)]


def _probe(kind: str, intensity_pct: int) -> EngineKey:
    return EngineKey(f"probe:{kind}:{intensity_pct}", 1, "fp32")


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> Record:
    """Run quads of engine and probe alone and together."""
    return run_beside(bench, bench.place(engines), rng)


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds at the last look."""
    return beside_seconds(spans_s, quality)


EXPERIMENT = ExperimentKind("sensitivity", SensitivitySpec, cells, run, seconds)
