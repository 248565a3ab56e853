"""Rows of the executions table for one experiment."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.columns import EXECUTIONS
from cotenant.datasets.derive.measured import Ints, Measured
from cotenant.datasets.derive.word_arrays import constant, marked, renumbered, words_of
from cotenant.datasets.gates import Flags
from cotenant.datasets.overlap import OverlapIntervals
from cotenant.datasets.schema import arrow_schema
from cotenant.datasets.solo import SoloProfiles
from cotenant.datasets.words import ROLES

CENSORED = ("none", "left", "right", "both")  # as bits: 1 = left, 2 = right
LEFT, RIGHT = 1, 2
QUANTILES = {"slowdown_ratio": "span_p50_ns", "interference_ratio": "span_p95_ns"}
DISPATCH = {  # column -> what the raw file calls it
    "in_flight_execution_ids": "co_execution_ids",
    "remaining_solo_ns": "remaining_solo_ns",
    "queued_count": "queued_count",
    "queue_age_ns": "queue_age_ns",
    "arrival_items_per_s": "arrival_rate_per_s",
}


def execution_table(
    measured: Measured,
    overlaps: OverlapIntervals,
    profiles: SoloProfiles,
    gate_marks: Mapping[str, Flags],
    dispatches: pa.Table | None = None,
) -> pa.Table:
    """Return an experiment's executions.

    Args:
        gate_marks: What gates find against them: mark -> which have it.
        dispatches: What was known at each dispatch of an open-loop experiment, by execution_id.
    """
    count = measured.executions.num_rows
    span_ns = measured.end_ns - measured.start_ns
    censored = censored_bits(measured)
    raw = measured.executions
    columns: dict[str, Any] = {
        **{name: raw[name].combine_chunks() for name in raw.column_names},
        "experiment_id": constant(measured.experiment_id, count),
        "device_id": constant(measured.device_id, count),
        "kind": constant(measured.kind, count),
        "engine_id": words_of(measured.engine_index, measured.engine_ids),
        "tenant": words_of(measured.tenant_index, measured.tenant_names),
        "role": renumbered(raw["role"], list(ROLES)),
        "span_ns": span_ns,
        "span_cycle_count": measured.cycles,
        "censored": words_of(censored, CENSORED),
        "co_censored": words_of(co_censored_bits(censored, overlaps), CENSORED),
        **{name: _over(span_ns, solo_spans(measured, profiles, of)) for name, of in QUANTILES.items()},
        **_at_dispatch(count, dispatches),
        "marks": marked({**gate_marks, "cold": _is_cold(measured)}, count),
    }
    schema = arrow_schema(EXECUTIONS)
    arrays = [
        pa.nulls(count, field.type) if columns[field.name] is None else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def null_reasons(
    measured: Measured, rows: pa.Table, profiles: SoloProfiles, dispatches: pa.Table | None
) -> dict[str, str]:
    """Return column -> why it is null, of each column of the executions that holds a null."""
    logged = "not_reported" if measured.facts_of_kind.open_loop and dispatches is None else "closed_loop"
    reasons = {
        **dict.fromkeys(("span_cycle_count", "cpu_ns", "h2d_ns", "d2h_ns"), "not_measured"),
        **{name: _no_solo_span(measured, profiles, of) for name, of in QUANTILES.items()},
        **dict.fromkeys(DISPATCH, logged),
    }
    return {name: reason for name, reason in reasons.items() if rows[name].null_count}


def solo_spans(measured: Measured, profiles: SoloProfiles, column: str) -> NDArray[np.float64]:
    """Return a column of the solo profile that each execution refers to; NaN where that does not tell it."""
    shares = list(dict.fromkeys(measured.lane_share_pct))
    of_share = np.array([shares.index(share_pct) for share_pct in measured.lane_share_pct])
    table = np.full((len(measured.engine_ids), len(shares)), np.nan)
    for place in np.ndindex(*table.shape):
        row = _profile(measured, profiles, measured.engine_ids[place[0]], shares[place[1]])
        if row is not None and row[column] is not None:
            table[place] = row[column]
    found: NDArray[np.float64] = table[measured.engine_index, of_share[measured.lane]]
    return found


def _profile(measured: Measured, profiles: SoloProfiles, engine_id: str, share_pct: float | None) -> Any:
    return profiles.of(measured.kind, engine_id, measured.device_id, measured.isolation, share_pct)


def _no_solo_span(measured: Measured, profiles: SoloProfiles, column: str) -> str:
    """Return why a column of the solo profiles is not known: the gravest reason of all that executed."""
    lanes = np.unique(measured.engine_index * len(measured.lane_share_pct) + measured.lane)
    reasons = {"no_profile"}
    for engine, lane in (divmod(int(place), len(measured.lane_share_pct)) for place in lanes):
        row = _profile(measured, profiles, measured.engine_ids[engine], measured.lane_share_pct[lane])
        if row is None:
            return "no_profile"
        reasons |= {why for name, why in row["null_reasons"] if name == column}
    return min(reasons - {"no_profile"}, default="no_profile")


def censored_bits(measured: Measured) -> Ints:
    """Return which ends of each execution lie outside its block's window."""
    left, right = measured.start_ns < measured.window_start_ns, measured.end_ns > measured.window_end_ns
    return LEFT * left + RIGHT * right


def co_censored_bits(censored: Ints, overlaps: OverlapIntervals) -> Ints:
    """Return the union of the bits of all that ran beside each execution."""
    rows = np.bincount(overlaps.execution_index, minlength=len(censored))
    edges = overlaps.co_offsets[np.concatenate((np.zeros(1, np.int64), np.cumsum(rows)))]
    found = np.zeros(len(censored), dtype=np.int64)
    for bit in (LEFT, RIGHT):
        seen: Ints = np.concatenate((np.zeros(1, np.int64), np.cumsum((censored[overlaps.co_index] & bit) > 0)))
        found |= bit * np.greater(seen[edges[1:]], seen[edges[:-1]])
    return found


def _over(span_ns: Ints, divisor: NDArray[np.float64]) -> pa.Array:
    return pa.array(span_ns / divisor, pa.float64(), mask=np.isnan(divisor))


def _at_dispatch(count: int, dispatches: pa.Table | None) -> dict[str, Any]:
    """Return what was known at dispatch by execution; null where nothing was logged."""
    if dispatches is None:
        return dict.fromkeys(DISPATCH)
    place = np.full(count, -1, np.int64)
    place[dispatches["execution_id"].to_numpy()] = np.arange(dispatches.num_rows)
    index = pa.array(place, mask=place < 0)
    return {column: pc.take(dispatches[name], index).combine_chunks() for column, name in DISPATCH.items()}


def _is_cold(measured: Measured) -> Flags:
    """Return which are the first execution of their tenant in their block."""
    group = measured.block_index * len(measured.tenants) + measured.tenant_index
    order = np.lexsort((measured.start_ns, group))
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = group[order][1:] != group[order][:-1]
    cold = np.zeros(len(order), dtype=bool)
    cold[order] = is_first
    return cold
