"""Rows of the executions table for one experiment."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cotenant.datasets.columns import EXECUTIONS
from cotenant.datasets.derive.measured import Ints, Measured, codes
from cotenant.datasets.overlap import OverlapIntervals
from cotenant.datasets.schema import arrow_schema

CENSORED = ("none", "left", "right", "both")  # as bits: 1 = left, 2 = right
LEFT, RIGHT = 1, 2
NULL_REASONS = {
    "cpu_ns": "not_measured",
    "h2d_ns": "not_measured",
    "d2h_ns": "not_measured",
    "slowdown_ratio": "no_profile",
    "interference_ratio": "no_profile",
    "remaining_solo_ns": "closed_loop",
    "queued_count": "closed_loop",
}


@dataclass(frozen=True)
class SoloSpan:
    """An engine's median and 95th percentile alone; None where they are not known."""

    p50_ns: int | None
    p95_ns: int | None


def execution_table(measured: Measured, overlaps: OverlapIntervals, solo: dict[str, SoloSpan]) -> pa.Table:
    """Return an experiment's executions; `solo` has the profiles of its engines on its device in its isolation."""
    count = measured.executions.num_rows
    span_ns = measured.end_ns - measured.start_ns
    censored = censored_bits(measured)
    raw = measured.executions
    engine_ids = [engine["engine_id"] for engine in measured.metadata["engines"]]
    engine_index = codes(raw["engine_id"], engine_ids)
    columns = {
        **{name: raw[name].combine_chunks() for name in raw.column_names},
        "experiment_id": constant(measured.experiment_id, count),
        "device_id": constant(measured.device_id, count),
        "kind": constant(measured.kind, count),
        "engine_id": words_of(engine_index, engine_ids),
        "span_ns": span_ns,
        "censored": words_of(censored, CENSORED),
        "co_censored": words_of(co_censored_bits(censored, overlaps), CENSORED),
        "slowdown_ratio": _over(span_ns, engine_index, [solo[i].p50_ns if i in solo else None for i in engine_ids]),
        "interference_ratio": _over(span_ns, engine_index, [solo[i].p95_ns if i in solo else None for i in engine_ids]),
        "remaining_solo_ns": None,
        "queued_count": None,
        "marks": _marks(measured),
    }
    schema = arrow_schema(EXECUTIONS)
    arrays = [
        pa.nulls(count, field.type) if columns[field.name] is None else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def censored_bits(measured: Measured) -> Ints:
    """Return which ends of each execution lie outside its block's window."""
    first = np.array([block["window_start_ns"] for block in measured.blocks], dtype=np.int64)[measured.block_index]
    last = np.array([block["window_end_ns"] for block in measured.blocks], dtype=np.int64)[measured.block_index]
    return LEFT * (measured.start_ns < first) + RIGHT * (measured.end_ns > last)


def co_censored_bits(censored: Ints, overlaps: OverlapIntervals) -> Ints:
    """Return the union of the bits of all that ran beside each execution."""
    rows = np.bincount(overlaps.execution_index, minlength=len(censored))
    edges = overlaps.co_offsets[np.concatenate((np.zeros(1, np.int64), np.cumsum(rows)))]
    found = np.zeros(len(censored), dtype=np.int64)
    for bit in (LEFT, RIGHT):
        seen: Ints = np.concatenate((np.zeros(1, np.int64), np.cumsum((censored[overlaps.co_index] & bit) > 0)))
        found |= bit * np.greater(seen[edges[1:]], seen[edges[:-1]])
    return found


def constant(word: str, count: int) -> pa.DictionaryArray:
    """Return a word repeated."""
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([word], pa.string()))


def words_of(index: Ints, words: tuple[str, ...] | list[str]) -> pa.DictionaryArray:
    """Return words by their places."""
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array(words, pa.string()))


def word_lists(offsets: Ints, index: Ints, words: list[str]) -> pa.ListArray:
    """Return lists of words; list r is index[offsets[r]:offsets[r + 1]]."""
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), words_of(index, words))


def _over(span_ns: Ints, engine_index: Ints, solo_ns: list[int | None]) -> pa.Array:
    by_engine = np.array([np.nan if value is None else value for value in solo_ns], dtype=np.float64)
    divisor: NDArray[np.float64] = by_engine[engine_index]
    return pa.array(span_ns / divisor, pa.float64(), mask=np.isnan(divisor))


def _marks(measured: Measured) -> pa.ListArray:
    """Mark each tenant's first execution of each block."""
    group = measured.block_index * len(measured.tenants) + measured.tenant_index
    order = np.lexsort((measured.start_ns, group))
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = group[order][1:] != group[order][:-1]
    cold = np.zeros(len(order), dtype=np.int64)
    cold[order] = is_first
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(cold)))
    return word_lists(offsets, np.zeros(int(offsets[-1]), np.int64), ["cold"])
