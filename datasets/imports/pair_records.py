"""Pair measurements as records: each row of a source file with its tenants, times in ns and percentages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cotenant.datasets.column import COUNTER_MAX_PCT
from cotenant.datasets.imports.numbers import duration_ns, percentage, whole
from cotenant.datasets.imports.pair_mapping import Field, PairMapping, TenantFields
from cotenant.datasets.imports.source_rows import SourceRow, read_rows
from cotenant.models.errors import UserError


@dataclass(frozen=True)
class TenantRecord:
    """One tenant of one row; what is unknown is not among its numbers.

    Attributes:
        times_ns: "solo_p50", "co_run_mean" ... -> duration.
        counts: "solo", "co_run" -> executions behind them.
        percentages: Column of throughputs -> percentage.
    """

    name: str
    model: str
    batch_size: int
    share_pct: float | None
    times_ns: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    percentages: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int, float | None]:
        """What was measured."""
        return self.model, self.batch_size, self.share_pct

    @property
    def is_beside(self) -> bool:
        """Whether it was measured beside others."""
        return any(name.startswith("co_run") for name in self.times_ns)


@dataclass(frozen=True)
class PairRecord:
    """One row of a source file."""

    where: str
    line: int
    tenants: list[TenantRecord]

    @property
    def is_co_run(self) -> bool:
        """Whether it tells how tenants ran beside each other; others tell of engines alone."""
        return any(tenant.is_beside for tenant in self.tenants)


def read_records(source: Path, mapping: PairMapping) -> list[PairRecord]:
    """Read a source file; UserError names the file, the line and the column of what is wrong."""
    rows = read_rows(source, mapping.form, mapping.delimiter, mapping.columns)
    return [_record(row, mapping) for row in rows]


def _record(row: SourceRow, mapping: PairMapping) -> PairRecord:
    where = f"{row.where}, line {row.line}"
    tenants = [_tenant(row, each) for each in mapping.tenants if not (each.optional and not _text(row, each.model))]
    found = PairRecord(where, row.line, tenants)
    if found.is_co_run and len(tenants) < 2:
        raise UserError(f"{where}: it has a co_run time and one tenant; map its co-runner as another of `tenants`")
    _check_shares(where, tenants)
    return found


def _check_shares(where: str, tenants: Sequence[TenantRecord]) -> None:
    known = [tenant.share_pct for tenant in tenants if tenant.share_pct is not None]
    if known and len(known) < len(tenants):
        raise UserError(f"{where}: the share of some tenants is known and of others not; tell all or none")


def _tenant(row: SourceRow, fields: TenantFields) -> TenantRecord:
    model = _text(row, fields.model)
    if not model:
        raise UserError(
            f"{_at(row, fields.model)}: it is empty; name the model, or say `optional: true` for the tenant"
        )
    share = None if fields.share is None else _text(row, fields.share)
    return TenantRecord(
        name=fields.name,
        model=model,
        batch_size=whole(_text(row, fields.batch), _at(row, fields.batch), 1),
        share_pct=percentage(share, fields.share.unit, _at(row, fields.share), 100.0)
        if share and fields.share
        else None,
        times_ns={
            name: duration_ns(text, each.unit, _at(row, each))
            for name, each in fields.times.items()
            if (text := _text(row, each))
        },
        counts={
            name: whole(text, _at(row, each), 1, 2**62)
            for name, each in fields.counts.items()
            if (text := _text(row, each))
        },
        percentages={
            name: percentage(
                text, each.unit, _at(row, each), 100.0 if name == "gpu_utilization_pct" else COUNTER_MAX_PCT
            )
            for name, each in fields.percentages.items()
            if (text := _text(row, each))
        },
    )


def _text(row: SourceRow, field_: Field) -> str:
    return field_.value if field_.column is None else row.cells[field_.column]


def _at(row: SourceRow, field_: Field) -> str:
    return f"{row.where}, line {row.line}" if field_.column is None else row.at(field_.column)
