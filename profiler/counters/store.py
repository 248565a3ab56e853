"""Counters kept by what decides them: profiled once per engine, device type, source, set and versions, then copied."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cotenant.datasets import raw_counters
from cotenant.datasets.raw import SUFFIX
from cotenant.datasets.raw_counters import COUNTERS, CountersDamagedError, RawCounters
from cotenant.models.atomic import atomic_path
from cotenant.models.digest import digest_id
from cotenant.models.output_folder import made_folder
from cotenant.runners.protocol import Device, Engine

FORMAT = 1  # raised when the same profiling gives other rows


def counter_id(engine: Engine, device: Device, source: str, counter_set: str, how: Mapping[str, Any]) -> str:
    """Return the id of an engine's counters.

    Args:
        how: What else decides the numbers: versions of profiler and driver, flags.
    """
    return digest_id([FORMAT, engine.engine_id, engine.engine_sha256, device.device_id, source, counter_set, how])


class Store:
    """Counters of a campaign folder, filled from the cache where another campaign has profiled the same."""

    def __init__(self, campaign: Path, cache: Path) -> None:
        self.folder = campaign / COUNTERS
        self._cache = cache / COUNTERS

    def find(self, name: str) -> RawCounters | None:
        """Return counters of the campaign folder, or of the cache, which are copied; None if there are none yet."""
        for folder in (self.folder, self._cache):
            path = folder / f"{name}{SUFFIX}"
            try:
                found = raw_counters.read_counters(path)
            except FileNotFoundError:
                continue
            except CountersDamagedError:
                path.unlink(missing_ok=True)
                continue
            if folder is not self.folder:
                self._copy(path, self.folder)
            return found
        return None

    def keep(self, name: str, kernels: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]) -> None:
        """Write counters to the campaign folder and the cache."""
        path = raw_counters.write_counters(made_folder(self.folder), name, kernels, metadata)
        self._copy(path, self._cache)

    def _copy(self, path: Path, folder: Path) -> None:
        with atomic_path(made_folder(folder) / path.name) as temporary:
            shutil.copyfile(path, temporary)
