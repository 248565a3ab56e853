"""What checks of small tables look at: all of their rows."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from cotenant.datasets.solo import SoloProfiles
from cotenant.datasets.thresholds import read_thresholds


@dataclass(frozen=True)
class SmallTables:
    """A dataset's small tables as rows.

    Attributes:
        campaign: The campaign folder; None for a dataset on its own.
        tables: name -> table; the large ones are not among them.
    """

    campaign: Path | None
    tables: dict[str, pa.Table]

    @cached_property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of each table."""
        return {name: table.to_pylist() for name, table in self.tables.items()}

    @cached_property
    def engines(self) -> dict[str, dict[str, Any]]:
        """Rows of the engines table by id."""
        return {row["engine_id"]: row for row in self.rows["engines"]}

    @cached_property
    def devices(self) -> dict[str, dict[str, Any]]:
        """Rows of the devices table by id."""
        return {row["device_id"]: row for row in self.rows["devices"]}

    @cached_property
    def experiments(self) -> dict[str, dict[str, Any]]:
        """Rows of the experiments table by id."""
        return {row["experiment_id"]: row for row in self.rows["experiments"]}

    @cached_property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """Rows of provenance of experiments, by experiment."""
        return {row["subject_id"]: row for row in self.rows["provenance"] if row["subject"] == "experiment"}

    @cached_property
    def thresholds(self) -> dict[str, dict[str, Any]]:
        """The thresholds of each experiment; a check of their form comes first."""
        return {experiment_id: read_thresholds(row["quality"]) for experiment_id, row in self.experiments.items()}

    @cached_property
    def blocks(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the blocks table by experiment."""
        return _grouped(self.rows["blocks"])

    @cached_property
    def slowdowns(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the slowdowns table by experiment."""
        return _grouped(self.rows["slowdowns"])

    @cached_property
    def profiles(self) -> SoloProfiles:
        """The solo profiles that slowdowns refer to."""
        return SoloProfiles(self.rows["solo_profiles"])


def _grouped(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["experiment_id"], []).append(row)
    return groups
