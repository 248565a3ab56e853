"""The open session that measures cell after cell, opened anew after a lane was lost."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import numpy as np
import nvtx
import pyarrow as pa

from cotenant.datasets.raw import SCHEMA_VERSION
from cotenant.models.errors import WorkError
from cotenant.profiler.campaign.engines import Engines, engine_row
from cotenant.profiler.campaign.placement import Placement
from cotenant.profiler.campaign.plan import PlannedCell, cell_spec, lanes_of_cell
from cotenant.profiler.campaign.progress import Progress
from cotenant.profiler.campaign.provenance import provenance
from cotenant.profiler.campaign.results import Results
from cotenant.profiler.campaign.spec import CampaignSpec
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.kinds import experiment_kind
from cotenant.profiler.quality.watch import Watch, stored
from cotenant.runners.protocol import Engine, Lane, Runner

NVTX_DOMAIN = "cotenant"


class Crew:
    """Measures planned cells with one session as long as its lanes live."""

    def __init__(
        self, spec: CampaignSpec, placement: Placement, engines: Engines, results: Results, progress: Progress
    ) -> None:
        self.spec = spec
        self.placement = placement
        self.engines = engines
        self.results = results
        self.progress = progress
        self._open = ExitStack()
        self._watch = Watch(placement.device, placement.quality)
        self._bench: Bench | None = None
        self._lanes: tuple[Lane, ...] = ()  # of the open session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.dismiss()
        self._watch.close()

    def check_idle(self, pending: Sequence[PlannedCell], allow_busy: bool) -> None:
        """Refuse to begin on a busy device; UserError unless `allow_busy` or the thresholds allow it."""
        lanes = max((len(lanes_of_cell(self.spec, planned.cell)) for planned in pending), default=0)
        threads = int(getattr(self.placement.runner, "threads_per_lane", 1))
        if lanes:
            self._watch.start(lanes * threads, allow_busy, self.progress.note)

    def dismiss(self) -> None:
        """Close the session; the next cell opens a new one."""
        self._bench = None
        self._open.close()

    def measure(self, planned: PlannedCell, attempt: int) -> None:
        """Measure one cell and keep its raw file; raises WorkError (LaneLost, Hang ...) if it fails."""
        lanes = lanes_of_cell(self.spec, planned.cell)
        if self.placement.runner.session_per_experiment or lanes != self._lanes:
            self.dismiss()
        bench = self._bench or self._new_bench(planned.seed, lanes)
        started_at = datetime.now(UTC).isoformat()
        cell = planned.cell
        engines = [self.engines[key] for key in cell.tenants]
        self._watch.cool_down(self.progress.note)
        at_start, telemetry = self._watch.snapshot(), self._watch.telemetry(bench.session)
        with nvtx.annotate(cell.label, domain=NVTX_DOMAIN), telemetry:
            record = experiment_kind(cell.kind).run(bench, cell, engines, np.random.default_rng(planned.seed))
        at_end, sampled = self._watch.snapshot(), telemetry.table()
        metadata = {
            **self._identity(planned),
            **self._session_facts(bench),
            **record.metadata(),
            "engines": [engine_row(engine) for engine in {e.engine_id: e for e in engines}.values()],
            "snapshots": stored(at_start, at_end),
            "started_busy": self._watch.started_busy,
            "telemetry": telemetry.facts(),
            "provenance": provenance(started_at, attempt, bench.session, self._watch.environment(at_start)),
        }
        self._watch.tell_doubts(telemetry, self.progress.note)
        known = _counters(self.placement.runner, planned, engines)
        metadata["counters"] = [row for row, _ in known]
        kernels = [row for _, rows in known for row in rows]
        others = {"kernels": pa.Table.from_pylist(kernels) if kernels else None, "telemetry": sampled}
        siblings = {**record.siblings(), **{name: table for name, table in others.items() if table is not None}}
        self.results.keep(planned, record, metadata, siblings)

    def fail(self, planned: PlannedCell, error: WorkError, attempt: int) -> None:
        """Keep a failure as data and begin again with fresh lanes."""
        self.dismiss()
        identity = self._identity(planned)
        failure = {
            "cell_id": planned.cell_id,
            "kind": planned.cell.kind,
            "tenants": [key.label for key in planned.cell.tenants],
            "class": type(error).__name__,
            "message": str(error),
            "attempt": attempt,
            "failed_at": datetime.now(UTC).isoformat(),
        }
        self.results.journal.write_failure(identity["experiment_id"], failure)

    def _new_bench(self, seed: int, lanes: tuple[Lane, ...]) -> Bench:
        place = self.placement
        session = self._open.enter_context(place.runner.open(place.device, lanes, place.isolation, seed))
        self._bench, self._lanes = Bench(session, place.quality), lanes
        if session.oversubscribed:
            self.progress.note("lanes share cores: what follows is time slicing, marked `oversubscribed`")
        return self._bench

    def _identity(self, planned: PlannedCell) -> dict[str, Any]:
        cell = planned.cell
        return {
            "schema_version": SCHEMA_VERSION,
            "experiment_id": self.placement.experiment_id(planned.cell_id, planned.seed, cell.tenants),
            "cell_id": planned.cell_id,
            "kind": cell.kind,
            "seed": planned.seed,
            "repeat": cell.repeat,
            "condition": cell.condition,
            "spec": cell_spec(self.spec, cell),
            "runner": self.spec.runner,
            "device": asdict(self.placement.device),
            "quality": self.placement.quality.stored(),
        }

    def _session_facts(self, bench: Bench) -> dict[str, Any]:
        session = bench.session
        return {
            "lane_count": session.lane_count,
            "lane_share_pct": _shares_pct(self._lanes),
            "isolation_requested": self.placement.isolation,
            "isolation_observed": session.isolation_observed,
            "clock_error_ns": session.clock_error_ns,
            "weights_shared": session.weights_shared,
            "oversubscribed": session.oversubscribed,
            "host_has_own_core": session.host_has_own_core,
        }


def _counters(
    runner: Runner, planned: PlannedCell, engines: Sequence[Engine]
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return what the runner itself knows of an engine's counters, kept once beside its first solo block."""
    if planned.cell.kind != "solo" or planned.cell.repeat > 0:
        return []
    found = []
    for engine in engines:
        counters = runner.counters(engine)
        if counters is not None:
            names = {"engine_id": engine.engine_id}
            of_kernels = names | {key: counters.throughputs[key] for key in ("counter_source", "counter_set")}
            rows = [of_kernels | {"kernel_index": index} | row for index, row in enumerate(counters.kernels)]
            found.append((names | counters.throughputs, rows))
    return found


def _shares_pct(lanes: Sequence[Lane]) -> list[float] | None:
    """Return each lane's share; None if all have the whole device."""
    if all(lane.share_pct is None for lane in lanes):
        return None
    return [100.0 if lane.share_pct is None else lane.share_pct for lane in lanes]
