"""Counters that a runner brings along: rows of throughputs and kernels, the same whichever experiment repeats them."""

from collections.abc import Iterable, Mapping
from typing import Any

from cotenant.datasets.columns import KERNELS, THROUGHPUTS, Table
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.rows import row_of
from cotenant.models.errors import WorkError

Row = dict[str, Any]


class Counters:
    """Rows gathered experiment by experiment; several may repeat them for one engine, and must agree."""

    def __init__(self) -> None:
        self._found: dict[str, dict[tuple[Any, ...], tuple[str, Row]]] = {THROUGHPUTS.name: {}, KERNELS.name: {}}

    def add(self, measured: Measured, kernels: Iterable[Mapping[str, Any]]) -> None:
        """Take what an experiment's metadata and its sibling `kernels` say; WorkError where another says otherwise."""
        for counters in measured.metadata.get("counters") or ():
            self._add(measured, THROUGHPUTS, counters)
        for kernel in kernels:
            self._add(measured, KERNELS, kernel)

    @property
    def throughputs(self) -> list[Row]:
        """Rows of the throughputs table."""
        return [row for _, row in self._found[THROUGHPUTS.name].values()]

    @property
    def kernels(self) -> list[Row]:
        """Rows of the kernels table."""
        return [row for _, row in self._found[KERNELS.name].values()]

    def _add(self, measured: Measured, table: Table, values: Mapping[str, Any]) -> None:
        reasons = {column.name: "not_reported" for column in table.columns if column.nullable}
        row = row_of(table, {**values, "device_id": measured.device_id}, {**reasons, "isolation": "not_applicable"})
        key = tuple(row[name] for name in table.key)
        first, before = self._found[table.name].setdefault(key, (measured.experiment_id, row))
        differing = [name for name in row if row[name] != before[name]]
        if differing:
            raise WorkError(
                f"{table.name} of engine {row['engine_id']} by {row['counter_source']} have another {differing[0]} in "
                f"experiment {measured.experiment_id} than in {first}; keep their raw files in separate folders"
            )
