"""Rows of the small tables from pair measurements: what is not told is null and says so."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from cotenant.datasets.columns import LARGE, SLOWDOWNS, THROUGHPUTS
from cotenant.datasets.derive.experiments import Written, experiment_row
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary, summarise
from cotenant.datasets.imports.mapping_keys import engine_of
from cotenant.datasets.imports.origin import Origin
from cotenant.datasets.imports.pair_mapping import PairMapping
from cotenant.datasets.imports.pair_records import PairRecord, TenantRecord
from cotenant.datasets.imports.raw_facts import raw_facts
from cotenant.datasets.raw import RAW_EXECUTIONS
from cotenant.models.errors import UserError

Row = dict[str, Any]
UNKNOWN = "not_reported"
NO_COUNTS = Written({table.name: 0 for table in LARGE}, None, {})


def summaries_of(records: Sequence[PairRecord], mapping: PairMapping, origin: Origin) -> list[Summary]:
    """Return an experiment without executions for each row with a co-run time."""
    repeats: Counter[tuple[object, ...]] = Counter()
    found = []
    for record in (record for record in records if record.is_co_run):
        key = tuple(tenant.key for tenant in record.tenants)
        found.append(_summary(record, mapping, origin, repeats[key]))
        repeats[key] += 1
    return found


def _summary(record: PairRecord, mapping: PairMapping, origin: Origin, repeat: int) -> Summary:
    engines = [_engine(tenant, mapping) for tenant in record.tenants]
    shares = [tenant.share_pct for tenant in record.tenants]
    facts = raw_facts(
        device=mapping.device,
        runner=mapping.runner,
        isolation=mapping.isolation,
        clock_error_ns=None,
        tenants=[(tenant.name, engine) for tenant, engine in zip(record.tenants, engines, strict=True)],
        shares=None if None in shares else shares,
        source={**origin.source, "line": record.line},
        versions=origin.versions,
        repeat=repeat,
        blocks=[],
    )
    return summarise(Measured(facts, RAW_EXECUTIONS.empty_table()))


def _engine(tenant: TenantRecord, mapping: PairMapping) -> Row:
    device_id = str(mapping.device["device_id"])
    return engine_of(tenant.model, tenant.batch_size, mapping.precision, mapping.runner, device_id)


def engines_of(records: Sequence[PairRecord], mapping: PairMapping) -> list[tuple[str, Row]]:
    """Return (where, engine) of every tenant of every row, those without a co-run time too."""
    return [(record.where, _engine(tenant, mapping)) for record in records for tenant in record.tenants]


def experiment_rows(summaries: Sequence[Summary], slowdowns: Sequence[Row]) -> list[Row]:
    """Return the rows of the experiments table, derived as those of measured experiments are."""
    own: dict[str, list[Row]] = {}
    for row in slowdowns:
        own.setdefault(row["experiment_id"], []).append(row)
    return [experiment_row(each, NO_COUNTS, own.get(each.metadata["experiment_id"], [])) for each in summaries]


def slowdown_rows(records: Sequence[PairRecord], summaries: Sequence[Summary]) -> list[Row]:
    """Return one row per tenant with a co-run time; `summaries` are those of the records."""
    co_runs = (record for record in records if record.is_co_run)
    return [row for record, each in zip(co_runs, summaries, strict=True) for row in _slowdowns(record, each.metadata)]


def _slowdowns(record: PairRecord, facts: Row) -> Iterator[Row]:
    engine_ids = facts["spec"]["engine_ids"]
    for lane, tenant in enumerate(record.tenants):
        if not tenant.is_beside:
            continue
        times = tenant.times_ns
        values = {
            "experiment_id": facts["experiment_id"],
            "device_id": facts["device"]["device_id"],
            "kind": facts["kind"],
            "tenant": tenant.name,
            "lane": lane,
            "engine_id": engine_ids[lane],
            "co_engine_ids": [engine_id for place, engine_id in enumerate(engine_ids) if place != lane],
            "slowdown_ratio": _ratio(times, "p50"),
            "p95_ratio": _ratio(times, "p95"),
            "mean_ratio": _ratio(times, "mean"),
            **{f"{name}_ns": times.get(name) for name in ("solo_p50", "co_run_p50", "solo_mean", "co_run_mean")},
            "quad_count": 0,
            "sample_count": tenant.counts.get("co_run"),
            "solo_sample_count": tenant.counts.get("solo"),
            "source": "imported",
        }
        reasons = dict.fromkeys((column.name for column in SLOWDOWNS.columns), UNKNOWN)
        yield row_of(
            SLOWDOWNS, values, reasons | dict.fromkeys(("noise_floor_ratio", "within_noise"), "no_null_experiment")
        )


def _ratio(times_ns: dict[str, int], statistic: str) -> float | None:
    solo, co_run = times_ns.get(f"solo_{statistic}"), times_ns.get(f"co_run_{statistic}")
    return None if solo is None or co_run is None else co_run / solo


def throughput_rows(records: Sequence[PairRecord], mapping: PairMapping) -> list[Row]:
    """Return one row per engine whose throughputs are told; UserError where two lines tell different ones."""
    told: dict[str, tuple[PairRecord, dict[str, float]]] = {}
    for record in records:
        for tenant in (tenant for tenant in record.tenants if tenant.percentages):
            engine_id = _engine(tenant, mapping)["engine_id"]
            first, before = told.setdefault(engine_id, (record, tenant.percentages))
            if before != tenant.percentages:
                raise UserError(
                    f"{record.where}: {tenant.model} at batch {tenant.batch_size} has other throughputs than in line "
                    f"{first.line}; an engine has one set of them: leave out those of a part of the device"
                )
    reasons = dict.fromkeys((column.name for column in THROUGHPUTS.columns), UNKNOWN)
    device_id = mapping.device["device_id"]
    return [
        row_of(
            THROUGHPUTS,
            {"engine_id": engine_id, "device_id": device_id, **(mapping.counters or {}), **found, "marks": []},
            reasons,
        )
        for engine_id, (_, found) in told.items()
    ]
