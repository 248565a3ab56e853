"""Rows of a feature table for one window of an experiment's executions, and why they are null where they are."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cotenant.datasets.columns import Table
from cotenant.datasets.derive.word_arrays import constant
from cotenant.datasets.features.co_runners import co_runner_features, is_static
from cotenant.datasets.features.counters import EngineThroughputs
from cotenant.datasets.features.known import NOT_TOLD, Known
from cotenant.datasets.features.options import FeatureOptions
from cotenant.datasets.features.prospective import FROM, prospective
from cotenant.datasets.features.windows import Ints, Window
from cotenant.datasets.schema import arrow_schema

COPIED = (
    *("experiment_id", "device_id", "kind", "execution_id", "engine_id", "tenant", "lane", "request_count"),
    *("block_index", "role", "censored", "co_censored", "marks", "dispatched_ns", "start_ns", "end_ns", "span_ns"),
    *("slowdown_ratio", "interference_ratio"),
)
OF_EXPERIMENT = ("condition", "concurrency", "offered_load")  # null for the reason that `experiments` tells
Floats = NDArray[np.float64]
Reasons = dict[str, set[str]]


@dataclass(frozen=True)
class Rows:
    """Derived rows, and column -> reasons of its nulls."""

    table: pa.Table
    reasons: Reasons


class ExperimentFeatures:
    """Derives the rows of one experiment, window by window."""

    def __init__(self, known: Known, experiment_id: str, options: FeatureOptions, table: Table) -> None:
        self.known = known
        self.experiment = known.experiments[experiment_id]
        self.options = options
        self.schema = arrow_schema(table)
        self.told = dict(self.experiment["null_reasons"])
        self.open_blocks = known.open_blocks(experiment_id)

    @cached_property
    def throughputs(self) -> EngineThroughputs:
        """Of all engines on its device."""
        return self.known.throughputs(self.experiment["device_id"], self.options)

    @cached_property
    def solo_ns(self) -> dict[str, Floats]:
        """Quantile -> engine x lane."""
        return {name: self.known.solo_ns(self.experiment, f"span_{name}_ns") for name in ("p50", "p95")}

    @cached_property
    def load_per_rate(self) -> Floats:
        """Of each tenant."""
        return self.known.load_per_rate(self.experiment)

    def rows(self, window: Window) -> Rows:
        """Return a window's rows; WorkError where its lists do not fit."""
        own = slice(window.first, window.last)
        code, lane = window.stamps.code[own], window.stamps.lane[own]
        count = len(code)
        reasons: Reasons = {}
        columns: dict[str, Any] = {name: window.rows[name] for name in COPIED}
        for name, quantile in (("slowdown_ratio", "p50"), ("interference_ratio", "p95")):
            self._tell(reasons, (name, f"solo_{quantile}_ns"), window.rows[name].null_count, f"executions.{name}")
        columns |= self._constants(count, reasons)
        models, sizes = self._engines
        columns["model"] = pa.DictionaryArray.from_arrays(models[0][code], models[1])
        columns["batch_size"] = sizes[code]
        columns |= self._solo(code, lane, window.stamps.end_ns[own] - window.stamps.start_ns[own], reasons)
        columns |= self._prospective(window.rows, reasons)
        columns |= self._of_co_runners(window, reasons)
        arrays = [
            columns[f.name] if _fits(columns[f.name], f.type) else _array(columns[f.name], f) for f in self.schema
        ]
        return Rows(pa.Table.from_arrays(arrays, schema=self.schema), reasons)

    @cached_property
    def _engines(self) -> tuple[tuple[NDArray[np.int32], pa.Array], NDArray[np.int32]]:
        """Return engine -> its place among the models, the models; engine -> batch size."""
        own = [self.known.engines[engine_id] for engine_id in self.known.engine_ids]
        models = sorted({engine["model"] for engine in own})
        place = {model: index for index, model in enumerate(models)}
        index = np.array([place[engine["model"]] for engine in own], np.int32)
        return (index, pa.array(models, pa.string())), np.array([engine["batch_size"] for engine in own], np.int32)

    def _constants(self, count: int, reasons: Reasons) -> dict[str, Any]:
        found: dict[str, Any] = {"verdict": constant(self.experiment["verdict"], count)}
        found["lanes"] = np.full(count, self.experiment["lanes"], np.int16)
        for name in OF_EXPERIMENT:
            value = self.experiment[name]
            kind = self.schema.field(name).type
            if value is None:
                found[name] = pa.nulls(count, kind)
                self._tell(reasons, (name,), count, name)
            else:
                found[name] = constant(value, count) if name == "condition" else pa.array(np.full(count, value), kind)
        return found

    def _solo(self, code: Ints, lane: Ints, span_ns: Ints, reasons: Reasons) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, table in self.solo_ns.items():
            solo_ns = table[code, lane]
            found[f"solo_{name}_ns"] = _nullable(solo_ns, pa.int64())
            if name == self.options.denominator:
                found["lost_fraction"] = _nullable(1 - solo_ns / span_ns, pa.float64())
        ratio = {"p50": "slowdown_ratio", "p95": "interference_ratio"}[self.options.denominator]
        self._tell(reasons, ("lost_fraction",), found["lost_fraction"].null_count, f"executions.{ratio}")
        return found

    def _prospective(self, rows: pa.Table, reasons: Reasons) -> dict[str, Any]:
        found = prospective(rows, self.experiment, self.load_per_rate if len(self.open_blocks) else np.empty(0))
        columns: dict[str, Any] = {}
        for name, source in FROM.items():
            if found is None:
                columns[name] = pa.nulls(rows.num_rows, self.schema.field(name).type)
            else:
                values, _ = found[name]
                columns[name] = _nullable(values, self.schema.field(name).type)
            self._tell(reasons, (name,), rows[source].null_count, f"executions.{source}")
            if columns[name].null_count > rows[source].null_count:
                reasons.setdefault(name, set()).update(self._unknown_at_dispatch(name))
        return columns

    def _unknown_at_dispatch(self, name: str) -> set[str]:
        if name.startswith("queue_age"):
            return {"no_queue"}
        unknown = name == "arrival_load_ratio" and bool(np.isnan(self.load_per_rate).any())
        return {"no_profile"} if unknown else {"no_arrival"}

    def _of_co_runners(self, window: Window, reasons: Reasons) -> dict[str, Any]:
        open_loop = np.isin(window.rows["block_index"].to_numpy(), self.open_blocks)
        closed_count = len(open_loop) - int(np.count_nonzero(open_loop))
        values = co_runner_features(window, open_loop, self.throughputs.values, self.options)
        columns = {name: _nullable(column, pa.float64()) for name, column in values.items()}
        for name in (name for name, column in columns.items() if column.null_count):
            at_dispatch = is_static(name, self.options)
            if at_dispatch:
                self._tell(reasons, (name,), closed_count, "", "closed_loop")
            if columns[name].null_count > (closed_count if at_dispatch else 0):
                reasons.setdefault(name, set()).update(self._unknown_of(window, name))
        return columns

    def _unknown_of(self, window: Window, name: str) -> set[str]:
        """Return why a counter is unknown of the engines that ran."""
        metric = next(place for place, of in enumerate(self.options.columns) if name.endswith(f"_{of}"))
        ran = np.flatnonzero(np.bincount(window.stamps.code))
        return set(self.throughputs.reasons[ran, metric].tolist()) - {""}

    def _tell(self, reasons: Reasons, columns: Any, null_count: int, source: str, reason: str | None = None) -> None:
        if null_count:
            for column in columns:
                reasons.setdefault(column, set()).add(reason or self.told.get(source, NOT_TOLD))


def _nullable(values: Floats, kind: pa.DataType) -> pa.Array:
    unknown = np.isnan(values)
    if not unknown.any():
        return pa.array(values if pa.types.is_floating(kind) else values.astype(np.int64)).cast(kind)
    if pa.types.is_floating(kind):
        return pa.array(values, kind, mask=unknown)
    return pa.array(np.where(unknown, 0, values).astype(np.int64), mask=unknown).cast(kind)


def _fits(values: Any, kind: pa.DataType) -> bool:
    return isinstance(values, pa.Array | pa.ChunkedArray) and values.type.equals(kind)


def _array(values: Any, field: pa.Field) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(field.type)
    return pa.array(values, field.type)
