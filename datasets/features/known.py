"""What features need of the small tables, looked up once."""

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.features.counters import EngineThroughputs, chosen_counters, throughputs_of
from cotenant.datasets.features.options import FeatureOptions
from cotenant.datasets.read import read_table
from cotenant.datasets.solo import SoloProfiles, granted
from cotenant.datasets.words import ARMS, KINDS
from cotenant.models.digest import sha256_of

TABLES = ("engines", "solo_profiles", "throughputs", "experiments")  # what decides features beside the executions
NOT_TOLD = "not_reported"
Row = dict[str, Any]


class Known:
    """The small tables of one dataset; raises as `read_table`."""

    def __init__(self, dataset: Path) -> None:
        self.rows = {name: read_table(dataset, name).to_pylist() for name in TABLES}
        self.engines = {row["engine_id"]: row for row in self.rows["engines"]}
        self.engine_ids = sorted(self.engines)
        self.experiments = {row["experiment_id"]: row for row in self.rows["experiments"]}
        self.profiles = SoloProfiles(self.rows["solo_profiles"])
        self._open_blocks = _open_blocks(dataset)

    @cached_property
    def sha256(self) -> str:
        """A digest of these tables: features of others are out of date."""
        return sha256_of(self.rows)

    @cached_property
    def used(self) -> dict[tuple[str, str], str]:
        """(engine, device) that experiments deployed -> the engine's model."""
        return {
            (engine_id, row["device_id"]): self.engines[engine_id]["model"]
            for row in self.rows["experiments"]
            for engine_id in row["deployed_engine_ids"]
            if engine_id in self.engines
        }

    def choose(self, columns: tuple[str, ...], source: str | None, counter_set: str | None) -> tuple[str, str]:
        """Return counter source and set, see `chosen_counters`."""
        return chosen_counters(self.rows["throughputs"], self.used, columns, source, counter_set)

    @cache  # noqa: B019 - one lives as long as the command
    def throughputs(self, device_id: str, options: FeatureOptions) -> EngineThroughputs:
        """Return the chosen throughputs of all engines on a device."""
        choice = options.source, options.counter_set
        return throughputs_of(self.rows["throughputs"], self.engine_ids, device_id, choice, options.columns)

    def open_blocks(self, experiment_id: str) -> NDArray[np.int64]:
        """Return the blocks of an experiment in which requests arrive by themselves."""
        return self._open_blocks.get(experiment_id, np.empty(0, np.int64))

    def solo_ns(self, experiment: Mapping[str, Any], column: str) -> NDArray[np.float64]:
        """Return a column of the solo profiles that an experiment refers to: engine x lane, NaN where unknown."""
        stored = experiment["lane_share_pct"] or [None] * experiment["lanes"]
        shares = [granted(share_pct) for share_pct in stored]
        found = np.full((len(self.engine_ids), len(shares)), np.nan)
        for engine_id in set(experiment["deployed_engine_ids"]) & self.engines.keys():
            for share_pct in set(shares):
                span_ns = self._profile(experiment, engine_id, share_pct).get(column)
                if span_ns is not None:
                    lanes = [lane for lane, share in enumerate(shares) if share == share_pct]
                    found[self.engine_ids.index(engine_id), lanes] = span_ns
        return found

    def load_per_rate(self, experiment: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return each tenant's load at one item/s: solo time of its largest batch by item and place in flight."""
        places = experiment["concurrency"] or experiment["lanes"]
        found, begin = [], 0
        for count in experiment["tenant_engine_count"]:
            own = [self.engines[id_] for id_ in experiment["deployed_engine_ids"][begin : begin + count]]
            begin += count
            largest = max(own, key=lambda engine: engine["batch_size"])
            span_ns = self._profile(experiment, largest["engine_id"], None).get("span_p50_ns")
            found.append(np.nan if span_ns is None else span_ns / 1e9 / (largest["batch_size"] * places))
        return np.array(found)

    def _profile(self, experiment: Mapping[str, Any], engine_id: str, share_pct: float | None) -> Mapping[str, Any]:
        where = experiment["device_id"], experiment["isolation_observed"]
        return self.profiles.of(experiment["kind"], engine_id, *where, share_pct) or {}


def _open_blocks(dataset: Path) -> dict[str, NDArray[np.int64]]:
    blocks = read_table(dataset, "blocks").select(["experiment_id", "block_index", "kind", "arm"])
    kinds = pa.array([word for word, kind in KINDS.items() if kind.open_loop], pa.string())
    arms = pa.array([word for word, arm in ARMS.items() if arm.open_loop], pa.string())
    found: dict[str, list[int]] = {}
    chosen = pc.and_(pc.is_in(blocks["kind"].cast(pa.string()), kinds), pc.is_in(blocks["arm"].cast(pa.string()), arms))
    for row in blocks.filter(chosen).select(["experiment_id", "block_index"]).to_pylist():
        found.setdefault(row["experiment_id"], []).append(row["block_index"])
    return {experiment_id: np.array(own, np.int64) for experiment_id, own in found.items()}
