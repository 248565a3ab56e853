"""Rows of the telemetry table for one experiment, and what gates find against its executions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.columns import TELEMETRY
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.word_arrays import constant, marked
from cotenant.datasets.gates import Flags, count_for_gates, covered, execution_marks, limits_of, loaded_at, sample_marks
from cotenant.datasets.schema import arrow_schema

SINCE_BEFORE = ("steal_pct", "foreign_cpu_pct", "quota_throttled_ns")  # of the time since the sample before
OF_HOST = (*SINCE_BEFORE, "load_average_count")


@dataclass(frozen=True)
class Judged:
    """What gates find.

    Attributes:
        samples, executions: Mark -> which rows have it.
        words: Marks of executions that count, sorted; None without telemetry.
        watched_ratio: Part of the executions that count that ran between first and last sample.
    """

    samples: dict[str, Flags]
    executions: dict[str, Flags]
    words: list[str] | None
    watched_ratio: float | None


def judged(measured: Measured, samples: pa.Table | None) -> Judged:
    """Apply the gates of an experiment's own thresholds to its samples, rising in time, and to its executions."""
    if samples is None or not samples.num_rows:
        return Judged({}, {}, None, None)
    limits = limits_of(measured.metadata["quality"], measured.metadata["device"]["kind"])
    times_ns = np.asarray(samples["t_ns"].to_numpy(), dtype=np.int64)
    under_load = loaded_at(times_ns, measured.start_ns, measured.end_ns)
    of_samples = sample_marks(samples, under_load, limits)
    found = execution_marks(times_ns, of_samples, measured.start_ns, measured.end_ns)
    roles = np.asarray(measured.executions["role"].cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)
    counts = count_for_gates(roles)
    words = sorted(word for word, flags in found.items() if np.any(flags & counts))
    watched = covered(times_ns, measured.start_ns, measured.end_ns)[counts]
    return Judged(of_samples, found, words, float(np.mean(watched)) if len(watched) else None)


def in_order(samples: pa.Table) -> pa.Table:
    """Return samples by their index; ValueError if that is not the order of their times."""
    found = samples.sort_by("sample_index").combine_chunks()
    if np.any(found["sample_index"].to_numpy() != np.arange(found.num_rows)):
        raise ValueError("samples of telemetry are not numbered 0, 1, 2 ...")
    if np.any(np.diff(found["t_ns"].to_numpy()) < 0):
        raise ValueError("samples of telemetry are not in order of time")
    return found


def telemetry_table(measured: Measured, samples: pa.Table, marks: Mapping[str, Flags]) -> pa.Table:
    """Return an experiment's samples, which are in order."""
    columns: dict[str, Any] = {
        **{name: samples[name].combine_chunks() for name in samples.column_names},
        "experiment_id": constant(measured.experiment_id, samples.num_rows),
        "device_id": constant(measured.device_id, samples.num_rows),
        "kind": constant(measured.kind, samples.num_rows),
        "marks": marked(marks, samples.num_rows),
    }
    schema = arrow_schema(TELEMETRY)
    return pa.Table.from_arrays([pa.array(columns[field.name]).cast(field.type) for field in schema], schema=schema)


def null_reasons(rows: pa.Table, device_kind: str) -> dict[str, str]:
    """Return column -> why it is null, of each column of the telemetry that holds a null."""
    return {
        column.name: _reason(rows, column.name, device_kind)
        for column in TELEMETRY.columns
        if column.nullable and rows[column.name].null_count
    }


def _reason(rows: pa.Table, name: str, device_kind: str) -> str:
    if device_kind == "gpu" and name in OF_HOST:
        return "not_applicable"
    if name not in SINCE_BEFORE or rows[name].null_count == rows.num_rows:
        return "not_measured"
    return "too_coarse" if rows[name][1:].null_count else "first_sample"  # ticks of 10 ms: samples can be closer
