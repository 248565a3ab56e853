"""Counters kept by what decides them: profiled once per engine, kind of device, source, set and versions, then copied.

The cache is asked by everything that decides the numbers; a campaign folder holds one file for each engine, device,
source and set, so that a newer profiler or driver does not profile again what the campaign has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cotenant.datasets import raw_counters
from cotenant.datasets.raw import SUFFIX
from cotenant.datasets.raw_counters import COUNTERS, CountersDamagedError, RawCounters
from cotenant.models.digest import digest_id
from cotenant.models.output_folder import made_folder
from cotenant.runners.protocol import Device, Engine

FORMAT = 1  # raised when the same profiling gives other rows


@dataclass(frozen=True)
class Subject:
    """Whose counters by what: an engine on a device, by one source and set.

    Attributes:
        how: What else decides the numbers: versions of the profiler, flags. The driver is part of the device's type.
    """

    engine: Engine
    device: Device
    source: str
    counter_set: str
    how: Mapping[str, Any]

    @property
    def file_id(self) -> str:
        """The id of its file in a campaign folder."""
        return digest_id([*self._engine, self.device.device_id, self.source, self.counter_set])

    @property
    def cache_id(self) -> str:
        """The id of its file in the cache, the same for all devices of one type."""
        return digest_id([FORMAT, *self._engine, self.device.device_type, self.source, self.counter_set, self.how])

    @property
    def _engine(self) -> tuple[str, str]:
        return self.engine.engine_id, self.engine.engine_sha256


class Store:
    """Counters of a campaign folder, filled from the cache where another campaign has profiled the same."""

    def __init__(self, campaign: Path, cache: Path) -> None:
        self._folder = campaign / COUNTERS
        self._cache = cache / COUNTERS

    def has(self, subject: Subject) -> bool:
        """Tell whether the campaign folder holds them; a damaged file is removed, so that they are profiled anew."""
        return _read(self._folder / f"{subject.file_id}{SUFFIX}") is not None

    def take(self, subject: Subject, marks: Sequence[str]) -> bool:
        """Copy them from the cache into the campaign folder, if they are there, with the marks of this campaign."""
        found = _read(self._cache / f"{subject.cache_id}{SUFFIX}")
        if found is None:
            return False
        row, provenance = found.metadata["throughputs"], found.metadata["provenance"]
        self._write(self._folder, subject.file_id, subject, found.kernels.to_pylist(), row, provenance, marks)
        return True

    def keep(
        self,
        subject: Subject,
        row: Mapping[str, Any],
        kernels: Sequence[Mapping[str, Any]],
        provenance: Mapping[str, Any],
        marks: Sequence[str],
    ) -> None:
        """Write what was profiled to the cache and to the campaign folder."""
        self._write(self._cache, subject.cache_id, subject, kernels, row, provenance, ())
        self._write(self._folder, subject.file_id, subject, kernels, row, provenance, marks)

    def _write(
        self,
        folder: Path,
        name: str,
        subject: Subject,
        kernels: Sequence[Mapping[str, Any]],
        row: Mapping[str, Any],
        provenance: Mapping[str, Any],
        marks: Sequence[str],
    ) -> None:
        engine = asdict(subject.engine)
        del engine["folder"]
        identity = {"counter_source": subject.source, "counter_set": subject.counter_set}
        told = {**row, **identity, "marks": sorted({*(row.get("marks") or ()), *marks})}
        metadata = {"engine": engine, "device": asdict(subject.device), "throughputs": told, "provenance": provenance}
        raw_counters.write_counters(made_folder(folder), name, kernels, metadata)


def held(campaign: Path) -> set[tuple[str, str, str]]:
    """Return (engine_id, source, set) of every counters file of a campaign folder that can be read."""
    folder = campaign / COUNTERS
    files = (_read(folder / f"{name}{SUFFIX}") for name in raw_counters.finished(folder))
    rows = ((found.metadata["engine"]["engine_id"], found.metadata["throughputs"]) for found in files if found)
    return {(engine_id, row["counter_source"], row["counter_set"]) for engine_id, row in rows}


def _read(path: Path) -> RawCounters | None:
    try:
        return raw_counters.read_counters(path)
    except FileNotFoundError:
        return None
    except CountersDamagedError:
        path.unlink(missing_ok=True)
        return None
