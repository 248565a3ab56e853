"""Columns of executions that follow from others do."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.check_subjects import ExperimentCheck, ExperimentRows, Flags, Ints, some

LEFT, RIGHT = 1, 2
CENSORED = np.array(["none", "left", "right", "both"], dtype=object)
ROLE_OF_ARM = {"solo": "solo", "profile": "solo", "null": "null", "self_test": "canary"}


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Derive them again."""
    yield from (("executions", fault) for fault in _faults(rows))
    counts = np.bincount(rows.of_executions("block_index"), minlength=len(rows.blocks))
    for block, count in zip(rows.blocks, counts, strict=True):
        if block["execution_count"] != count:
            yield "blocks", f"block {block['block_index']} has {count} executions, not {block['execution_count']}"


def _faults(rows: ExperimentRows) -> Iterator[str]:
    span_ns = rows.end_ns - rows.start_ns
    yield from some(rows.of_executions("span_ns") != span_ns, "span_ns is not end_ns - start_ns")
    first, last = (_of_block(rows, f"window_{end}_ns") for end in ("start", "end"))
    censored = LEFT * (rows.start_ns < first) + RIGHT * (rows.end_ns > last)
    yield from some(rows.words("censored") != CENSORED[censored], "censored does not follow from the window")
    beside = _co_censored(rows, censored)
    yield from some(rows.words("co_censored") != CENSORED[beside], "co_censored is not that of those beside it")
    roles = np.array([ROLE_OF_ARM.get(block["arm"], "main") for block in rows.blocks], dtype=object)
    expected = roles[rows.of_executions("block_index")]
    windowed = expected != "canary"
    expected[windowed & (rows.end_ns <= first)] = "warmup"
    expected[windowed & (rows.start_ns >= last)] = "tail"
    yield from some(rows.words("role") != expected, "role does not follow from the block's arm and window")
    yield from some(_is_cold(rows) != _has_mark(rows, "cold"), "the mark `cold` is not on a tenant's first of a block")
    for column, quantile in (("slowdown_ratio", "span_p50_ns"), ("interference_ratio", "span_p95_ns")):
        divisor = _solo(rows, quantile)
        stored = np.asarray(rows.executions[column].to_numpy(), dtype=np.float64)
        wrong = ~((stored == span_ns / divisor) | (np.isnan(stored) & np.isnan(divisor)))
        yield from some(wrong, f"{column} is not span_ns over the solo profile's {quantile}")


def _of_block(rows: ExperimentRows, name: str) -> Ints:
    return np.array([block[name] for block in rows.blocks], dtype=np.int64)[rows.of_executions("block_index")]


def _co_censored(rows: ExperimentRows, censored: Ints) -> Ints:
    found = np.zeros(len(censored), dtype=np.int64)
    np.bitwise_or.at(found, rows.owner[rows.co_row], censored[rows.co_ids])
    return found


def _is_cold(rows: ExperimentRows) -> Flags:
    tenant = np.unique(rows.words("tenant").astype(str), return_inverse=True)[1]
    order = np.lexsort((rows.start_ns, tenant, rows.of_executions("block_index")))
    block = rows.of_executions("block_index")[order]
    changes = (block[1:] != block[:-1]) | (tenant[order][1:] != tenant[order][:-1])
    cold = np.zeros(len(order), dtype=bool)
    cold[order] = np.concatenate(([True], changes))[: len(order)]
    return cold


def _has_mark(rows: ExperimentRows, mark: str) -> Flags:
    lists = rows.executions["marks"]
    row = np.repeat(np.arange(len(lists)), np.asarray(pc.list_value_length(lists).to_numpy(), dtype=np.int64))
    words = np.asarray(pc.list_flatten(lists).cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)
    found = np.zeros(len(lists), dtype=bool)
    found[row[words == mark]] = True
    return found


def _solo(rows: ExperimentRows, quantile: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    engines = sorted(set(rows.experiment["deployed_engine_ids"]))
    where = rows.experiment["device_id"], rows.experiment["isolation_observed"]
    profiles = [rows.small.profiles.get((engine, *where), {}).get(quantile) for engine in engines]
    return np.array([np.nan if value is None else value for value in profiles], dtype=np.float64)[rows.engine_index]


CHECK = ExperimentCheck("derived columns", run)
