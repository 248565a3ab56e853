"""The table `sensitivities`: what an engine and a calibrated probe do to each other."""

from cotenant.datasets import words
from cotenant.datasets.column import (
    DEVICE,
    ENGINE,
    F64,
    I32,
    NULLS,
    WORDS,
    Column,
    Table,
    bounded_ratio,
    count,
    one_of,
    text,
)

SENSITIVITIES = Table(
    "sensitivities",
    "engine x device x isolation x shares x condition x probe x intensity",
    ("engine_id", "device_id", "isolation", "share_pct", "probe_share_pct", "condition", "probe", "intensity_pct"),
    (
        ENGINE,
        DEVICE,
        text("isolation", "Isolation mode in force"),
        Column("share_pct", F64, "percent", "Part of the device that the engine's lane had", True, low=0, high=100),
        Column("probe_share_pct", F64, "percent", "Part of it that the probe's lane had", True, low=0, high=100),
        text("condition", "What was changed on purpose", True),
        one_of("probe", words.PROBES, "Resource that the probe loads"),
        Column("intensity_pct", F64, "percent", "How much of it the probe asks for", low=0, high=100),
        *bounded_ratio("slowdown", "How much longer the engine takes beside the probe: its sensitivity"),
        *bounded_ratio("pressure", "How much longer the probe takes beside the engine: its pressure"),
        count("quad_count", "Quads behind both", kind=I32),
        Column("experiment_ids", WORDS, "", "Experiments behind both", refers_to="experiments.experiment_id"),
        one_of("verdict", words.VERDICTS, "The worst of these experiments' verdicts"),
        NULLS,
    ),
)
