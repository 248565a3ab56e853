"""What a campaign folder already holds, read back so that a rerun goes on where the last one stopped."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from cotenant.datasets import raw
from cotenant.models.errors import UserError
from cotenant.profiler.campaign.journal import Journal
from cotenant.profiler.campaign.placement import Placement
from cotenant.profiler.campaign.plan import Plan, PlannedCell
from cotenant.profiler.counters.peaks import complete, probe_peak
from cotenant.profiler.experiments.record import Record
from cotenant.runners.protocol import Engine


class Results:
    """Finished experiments by cell, with the self-tests and the peaks that later ones refer to."""

    def __init__(self, journal: Journal, placement: Placement) -> None:
        self.journal = journal
        self.placement = placement
        self.self_tests: dict[str, dict[str, Any]] = {}  # by the lanes that they were made on
        self.peaks: dict[str, float] = {}
        self._done: dict[str, dict[str, Any]] = {}
        self._engine_sha256: dict[str, str] = {}
        for experiment_id in sorted(raw.finished(journal.raw)):
            found = raw.read_raw(journal.raw / f"{experiment_id}.parquet")
            engines = {row["engine_id"]: row for row in found.metadata["engines"]}
            self._done[found.metadata["cell_id"]] = found.metadata
            self._engine_sha256.update({key: row["engine_sha256"] for key, row in engines.items()})
            if found.metadata["kind"] == "self_test":
                self.self_tests[_lanes_key(found.metadata)] = found.metadata["self_test"]
            if found.metadata["kind"] == "solo":
                engine = engines[found.metadata["tenants"][0]["engine_ids"][0]]
                self._learn_peak(Engine(**engine, folder=journal.engines), found.executions)

    def is_done(self, cell_id: str) -> bool:
        """Whether a cell's experiment is finished."""
        return cell_id in self._done

    def check_plan(self, plan: Plan) -> None:
        """Refuse a folder whose results are of other engines or of another device than the plan means here.

        Raises:
            UserError: A network's file, the runner's version or the machine has changed since.
        """
        for planned in plan.cells:
            found = self._done.get(planned.cell_id)
            if found is None:
                continue
            then, now = found["device"], self.placement.device
            if then["device_id"] != now.device_id:
                raise UserError(
                    f"{self.journal.folder} holds results of device {then['device_id']} ({then['name']}), not of this "
                    f"one, {now.device_id} ({now.name}); choose another --out"
                )
            expected = self.placement.experiment_id(planned.cell_id, planned.seed, planned.cell.tenants)
            if found["experiment_id"] != expected:
                raise UserError(
                    f"{self.journal.raw / found['experiment_id']}.parquet was measured with other engines than "
                    f"`{planned.cell.label}` means now: a network's file, {self.placement.runner.name} or its flags "
                    "have changed; choose another --out"
                )

    def check_engines(self, engines: Iterable[Engine]) -> None:
        """Refuse an engine whose content changed under an id that has results (design section 5)."""
        for engine in engines:
            before = self._engine_sha256.get(engine.engine_id, engine.engine_sha256)
            if before != engine.engine_sha256:
                raise UserError(
                    f"engine {engine.engine_id} ({engine.model}@{engine.batch_size}) is not the one that results in "
                    f"{self.journal.raw} were measured with (sha256 {engine.engine_sha256[:12]}, was {before[:12]}); "
                    f"measure it as another engine with `build_index: {engine.build_index + 1}` and a new --out"
                )

    def keep(
        self, planned: PlannedCell, record: Record, metadata: dict[str, Any], siblings: Mapping[str, pa.Table]
    ) -> None:
        """Write an experiment's raw files; the main one's appearance is the commit."""
        executions = record.executions()
        if record.self_test is not None:
            self.self_tests[_lanes_key(metadata)] = record.self_test
        if planned.cell.kind == "solo":
            self._learn_peak(record.tenants[0].engine, executions)
        metadata["self_test"] = self.self_tests.get(_lanes_key(metadata))
        metadata["peaks"] = dict(self.peaks) if complete(self.peaks) else None
        metadata["provenance"]["finished_at"] = datetime.now(UTC).isoformat()
        raw.write_raw(self.journal.raw, metadata["experiment_id"], executions, metadata, siblings)
        self._done[planned.cell_id] = metadata
        self.journal.forget_failure(metadata["experiment_id"])

    def _learn_peak(self, engine: Engine, executions: Any) -> None:
        peak = probe_peak(engine, executions)
        if peak is not None:
            self.peaks[peak[0]] = peak[1]


def _lanes_key(metadata: Mapping[str, Any]) -> str:
    """Return what tells the lanes of one experiment from those of another: a self-test speaks for its own alone."""
    return str((metadata["lane_count"], metadata["lane_share_pct"], metadata["spec"].get("lane_priority")))
