"""The mapping file of pair measurements: which column holds what, in which unit, and what no column says.

A field is the name of a column, or {column: NAME, unit: UNIT}, or {value: CONSTANT}. Times and percentages need a unit:
nothing is guessed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cotenant.datasets import words
from cotenant.datasets.imports.mapping_keys import device_of, keys_of, text_of, word_of
from cotenant.datasets.imports.numbers import NS, PERCENT
from cotenant.datasets.imports.source_rows import FORMATS
from cotenant.models.errors import UserError

SIDES = ("solo", "co_run")
TIMES = ("p50", "p95", "mean")
COUNT = "sample_count"
PERCENTAGES = (
    *("sm_pct", "l2_pct", "dram_pct", "memory_pct", "issue_pct", "tensor_pct", "occupancy_pct"),
    "gpu_utilization_pct",
)
TOP = ("format", "device", "runner", "tenants")
MAY = ("delimiter", "precision", "isolation", "counters")


@dataclass(frozen=True)
class Field:
    """Where one value comes from.

    Attributes:
        column: None where `value` holds for all rows.
        unit: "" where it has none.
    """

    column: str | None
    value: str
    unit: str


@dataclass(frozen=True)
class TenantFields:
    """Where one tenant's values come from.

    Attributes:
        optional: Rows whose model is empty do not have this tenant.
        times: "solo_p50" ... -> field.
        counts: "solo", "co_run" -> field.
        percentages: Column of throughputs -> field.
    """

    name: str
    optional: bool
    model: Field
    batch: Field
    share: Field | None
    times: Mapping[str, Field] = field(default_factory=dict)
    counts: Mapping[str, Field] = field(default_factory=dict)
    percentages: Mapping[str, Field] = field(default_factory=dict)

    def fields(self) -> Iterator[Field]:
        """Yield all fields."""
        yield from (self.model, self.batch, *([] if self.share is None else [self.share]))
        for found in (self.times, self.counts, self.percentages):
            yield from found.values()


@dataclass(frozen=True)
class PairMapping:
    """A mapping file.

    Attributes:
        device: As raw files tell it.
        counters: counter_source, counter_set and aggregation of the throughputs; None where there are none.
    """

    form: str
    delimiter: str
    device: dict[str, Any]
    runner: str
    precision: str | None
    isolation: str | None
    counters: dict[str, str] | None
    tenants: list[TenantFields]

    @property
    def columns(self) -> set[str]:
        """All columns that are mapped."""
        fields = (each for tenant in self.tenants for each in tenant.fields())
        return {each.column for each in fields if each.column is not None}


def pair_mapping(content: Any, where: str) -> PairMapping:
    """Return what a mapping file says; `where` names it. UserError says which key is wrong."""
    found = keys_of(content, where, TOP, MAY)
    form = word_of(found, "format", where, dict.fromkeys(FORMATS))
    delimiter = found.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise UserError(f"{where}: delimiter is {delimiter!r}; write one character")
    if not isinstance(found["tenants"], list) or not found["tenants"]:
        raise UserError(f"{where}: tenants is no list; write one entry for each tenant of a row")
    tenants = [_tenant(each, place, where) for place, each in enumerate(found["tenants"])]
    if len({tenant.name for tenant in tenants}) < len(tenants):
        raise UserError(f"{where}: two tenants have the same name; give each its own")
    counters = _counters(found.get("counters"), where)
    if counters is None and any(tenant.percentages for tenant in tenants):
        raise UserError(f"{where}: it maps throughputs, so it needs `counters`: source, set and aggregation")
    return PairMapping(
        form=str(form),
        delimiter=delimiter,
        device=device_of(found["device"], where),
        runner=str(text_of(found, "runner", where)),
        precision=word_of(found, "precision", where, words.PRECISIONS),
        isolation=text_of(found, "isolation", where),
        counters=counters,
        tenants=tenants,
    )


def _counters(content: Any, where: str) -> dict[str, str] | None:
    if content is None:
        return None
    where = f"{where}, counters"
    found = keys_of(content, where, ("source", "set", "aggregation"))
    return {
        "counter_source": str(word_of(found, "source", where, words.COUNTER_SOURCES)),
        "counter_set": str(text_of(found, "set", where)),
        "aggregation": str(word_of(found, "aggregation", where, words.AGGREGATIONS)),
    }


def _tenant(content: Any, place: int, where: str) -> TenantFields:
    where = f"{where}, tenants[{place}]"
    found = keys_of(content, where, ("model", "batch"), ("name", "optional", "share", *SIDES, "throughputs"))
    optional = found.get("optional", False)
    if not isinstance(optional, bool):
        raise UserError(f"{where}: optional is {optional!r}; write true or false")
    times: dict[str, Field] = {}
    counts: dict[str, Field] = {}
    for side in SIDES:
        told = keys_of(found.get(side) or {}, f"{where}, {side}", (), (*TIMES, COUNT))
        times |= {f"{side}_{key}": _field(told[key], f"{where}, {side}, {key}", NS) for key in TIMES if key in told}
        if COUNT in told:
            counts[side] = _field(told[COUNT], f"{where}, {side}, {COUNT}")
    rates = keys_of(found.get("throughputs") or {}, f"{where}, throughputs", (), PERCENTAGES)
    return TenantFields(
        name=text_of(found, "name", where) or chr(ord("a") + place),
        optional=optional,
        model=_field(found["model"], f"{where}, model"),
        batch=_field(found["batch"], f"{where}, batch"),
        share=_field(found["share"], f"{where}, share", PERCENT) if "share" in found else None,
        times=times,
        counts=counts,
        percentages={key: _field(each, f"{where}, throughputs, {key}", PERCENT) for key, each in rates.items()},
    )


def _field(content: Any, where: str, units: Collection[str] = ()) -> Field:
    if isinstance(content, str):
        content = {"column": content}
    found = keys_of(content, where, ("unit",) if units else (), ("column", "value"))
    if ("column" in found) == ("value" in found):
        raise UserError(f"{where}: it needs either column or value; write one of them")
    unit = found.get("unit", "")
    if units and unit not in units:
        raise UserError(f"{where}: unit is {unit!r}; it may be: {', '.join(units)}")
    if "column" in found:
        return Field(str(text_of(found, "column", where)), "", unit)
    value = found["value"]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UserError(f"{where}: value is {value!r}, which is no number and no text; correct it")
    return Field(None, str(value), unit)
