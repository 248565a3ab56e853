"""Build a campaign's engines, each once, and keep their metadata in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cotenant.profiler.campaign.journal import Journal
from cotenant.profiler.campaign.placement import Placement
from cotenant.profiler.campaign.progress import Progress
from cotenant.profiler.experiments.kinds import EngineKey
from cotenant.runners.protocol import Engine

Engines = Mapping[EngineKey, Engine]


def build_engines(
    keys: Sequence[EngineKey], placement: Placement, cache: Path, journal: Journal, progress: Progress
) -> Engines:
    """Build or fetch every engine and return them by key."""
    progress.stage("engines", len(keys))
    engines = {}
    for key in keys:
        engine = placement.runner.build(
            key.model, key.batch_size, key.precision, placement.target, cache, key.build_index
        )
        journal.write_engine(engine_row(engine))
        engines[key] = engine
        progress.advance(key.label)
    return engines


def engine_row(engine: Engine) -> dict[str, Any]:
    """Return an engine as raw metadata and meta.json keep it: everything but where it lies on this machine."""
    row = asdict(engine)
    del row["folder"]
    return row
