"""The campaign's stage between builds and experiments: every network's counters, each profiled once.

preflight -> choice of a source -> for each engine and set: folder, cache, or profile -> counters/<counter_id>.parquet

No session is open and no lane loaded meanwhile. What one engine fails at is data and stops nothing; what refuses the
source itself (no permission, another driver) falls back to the next source that the spec lists, or stops the campaign.
"""

import os
import platform
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cotenant.models.errors import WorkError
from cotenant.profiler.counters.metrics import METRIC_SETS
from cotenant.profiler.counters.ncu import cost
from cotenant.profiler.counters.ncu.errors import CountersForbidden, DriverMismatch, LibraryNotLoaded, NcuMissing
from cotenant.profiler.counters.ncu.measure import NcuOptions, measure
from cotenant.profiler.counters.ncu.program import examined
from cotenant.profiler.counters.nvml_device import NvmlUnavailable
from cotenant.profiler.counters.store import Store, Subject
from cotenant.profiler.counters.tiers import Choice, CountersSpec
from cotenant.runners.engine_cache import own_version
from cotenant.runners.protocol import Engine

if TYPE_CHECKING:
    from cotenant.profiler.campaign.journal import Journal
    from cotenant.profiler.campaign.placement import Placement
    from cotenant.profiler.campaign.progress import Progress

FALLBACK = "fallback"
OF_THE_SOURCE = (CountersForbidden, DriverMismatch, LibraryNotLoaded, NcuMissing, NvmlUnavailable)  # not of one engine
UTILIZATION = ("nvml", "utilization")
PROBE_FAMILY = "probe"
GUESS_SPAN_S = 0.02
WINDOWS_S = 5.0  # what sampling one engine through NVML takes, loading included


@dataclass(frozen=True)
class Job:
    """One profiling: an engine by one source and set."""

    engine: Engine
    source: str
    counter_set: str

    @property
    def label(self) -> str:
        """What progress shows."""
        return f"{self.engine.model}@{self.engine.batch_size} {self.source} {self.counter_set}"


class CountersStage:
    """Profiles engines one after the other."""

    def __init__(
        self,
        spec: CountersSpec,
        placement: "Placement",
        choice: Choice,
        store: Store,
        journal: "Journal",
        progress: "Progress",
    ) -> None:
        self.choice = choice
        self._spec, self._placement, self._store = spec, placement, store
        self._journal, self._progress = journal, progress
        self._pace = cost.ASSUMED
        self._took_s: list[float] = []
        self.failed_count = 0

    def lacks(self, engines: Sequence[Engine]) -> bool:
        """Tell whether anything is left to profile."""
        return bool(self._jobs(_networks(engines)))

    def run(self, engines: Sequence[Engine]) -> None:
        """Profile what neither the folder nor the cache holds.

        Raises:
            UserError: The source refuses after all, and the spec lists no other that is available.
        """
        networks = _networks(engines)
        self._tell_fallback()
        pending = self._jobs(networks)
        self._begin(pending)
        while pending:
            job = pending[0]
            try:
                self._one(job)
            except OF_THE_SOURCE as error:
                pending = self._refused(job, error, networks, pending)
                continue
            except WorkError as error:
                self._failed(job, error)
            self._progress.advance(job.label)
            pending = pending[1:]
        if self._took_s:
            self._progress.note(f"counters: {len(self._took_s)} profiled in {sum(self._took_s):.1f} s")

    def _jobs(self, engines: Sequence[Engine]) -> list[Job]:
        """Return what the source in force profiles; beside it, utilisation as the driver tells it."""
        sets = {"ncu": self._spec.sets, "gpm": ("gpm",)}.get(self.choice.source, ())
        wanted = [Job(engine, self.choice.source, name) for engine in engines for name in sets]
        wanted += [Job(engine, *UTILIZATION) for engine in engines if sets]
        return [job for job in wanted if not self._store.has(self._subject(job))]

    def _begin(self, pending: Sequence[Job]) -> None:
        if not pending:
            return
        self._progress.stage("counters", len(pending))
        expected_s = sum(self._estimate_s(job) for job in pending)
        per_job_s = ", ".join(f"{name} {self._estimate_s(job):.0f} s" for name, job in _one_of_each(pending).items())
        self._progress.note(f"counters: about {expected_s:.0f} s for {len(pending)} runs ({per_job_s} each)")

    def _estimate_s(self, job: Job) -> float:
        if job.source != "ncu":
            return WINDOWS_S
        return cost.estimate_s(GUESS_SPAN_S, METRIC_SETS[job.counter_set], None, None, self._pace)

    def _one(self, job: Job) -> None:
        self._progress.begin(job.label)
        subject, marks = self._subject(job), self._marks(job)
        if not self._store.take(subject, marks):
            began_s, started_at = time.monotonic(), datetime.now(UTC).isoformat()
            row, kernels = self._profiled(job)
            self._learn(job, time.monotonic() - began_s)
            self._store.keep(subject, row, kernels, self._provenance(job, started_at), marks)
        self._journal.forget_failure(subject.file_id)

    def _learn(self, job: Job, took_s: float) -> None:
        self._took_s.append(took_s)
        if job.source == "ncu":
            self._pace = cost.learned(self._pace, self._estimate_s(job), took_s)

    def _marks(self, job: Job) -> list[str]:
        return [FALLBACK] if self.choice.is_fallback and job.source == self.choice.source else []

    def _profiled(self, job: Job) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        place = self._placement
        if job.source == "gpm":
            from cotenant.profiler.counters.gpm import measure_gpm

            return measure_gpm(place.runner, place, job.engine, place.quality)
        if job.source == UTILIZATION[0]:
            from cotenant.profiler.counters.utilization import measure_utilization

            return measure_utilization(place.runner, place, job.engine, place.quality)
        options = NcuOptions(
            timeout_s=self._spec.timeout_s,
            reuse_kernels=self._spec.reuse_kernels,
            kept=self._journal.failed,
            waiting=self._progress.note,
        )
        found = measure(job.engine, place.runner.name, place.device, METRIC_SETS[job.counter_set], options)
        for note in found.notes:
            self._progress.note(f"{job.label}: {note}")
        return found.throughputs, found.kernels

    def _refused(self, job: Job, error: WorkError, networks: Sequence[Engine], pending: Sequence[Job]) -> list[Job]:
        """Return what is left to do once a source has refused."""
        why = getattr(error, "why", str(error))
        if job.source == UTILIZATION[0]:  # only stands beside the others: nothing is refused for want of it
            self._progress.note(f"no GPU utilisation: {why}")
            return [each for each in pending if each.source != UTILIZATION[0]]
        self.choice = self.choice.without(why)
        self._tell_fallback()
        fresh = self._jobs(networks)
        self._begin(fresh)
        return fresh

    def _failed(self, job: Job, error: WorkError) -> None:
        self._progress.note(f"{job.label} failed: {error}")
        failure = {
            "kind": "counters",
            "tenants": [f"{job.engine.model}@{job.engine.batch_size}"],
            "class": type(error).__name__,
            "message": str(error),
            "failed_at": datetime.now(UTC).isoformat(),
        }
        self.failed_count += 1
        self._journal.write_failure(self._subject(job).file_id, failure)

    def _tell_fallback(self) -> None:
        told = self.choice.told()
        if told is not None:
            self._progress.note(told)

    def _subject(self, job: Job) -> Subject:
        return Subject(job.engine, self._placement.device, job.source, job.counter_set, self._how(job))

    def _how(self, job: Job) -> dict[str, Any]:
        """Return what else decides the numbers."""
        if job.source != "ncu":
            return {}
        chosen = METRIC_SETS[job.counter_set]
        reuse = self._spec.reuse_kernels and chosen.replay_mode == "kernel"
        return {"ncu": examined().version, "reuse_kernels": reuse, "set": asdict(chosen)}

    def _provenance(self, job: Job, started_at: str) -> dict[str, Any]:
        return {
            "started_at": started_at,
            "finished_at": datetime.now(UTC).isoformat(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "attempt": 1,
            "git_commit": None,
            "versions": {
                "python": platform.python_version(),
                "cotenant": own_version(),
                **({"ncu": examined().version} if job.source == "ncu" else {}),
            },
        }


def _networks(engines: Sequence[Engine]) -> list[Engine]:
    return [engine for engine in engines if engine.family != PROBE_FAMILY]


def _one_of_each(jobs: Sequence[Job]) -> dict[str, Job]:
    return {f"{job.source} {job.counter_set}": job for job in reversed(jobs)}
