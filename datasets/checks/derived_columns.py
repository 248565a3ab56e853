"""Columns of executions that follow from others do."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.derive.executions import solo_spans
from cotenant.datasets.experiment_rows import ExperimentRows, Flags, Ints, has_mark, some
from cotenant.datasets.words import ARMS

LEFT, RIGHT = 1, 2
CENSORED = np.array(["none", "left", "right", "both"], dtype=object)


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
    arms = [ARMS[block["arm"]] for block in rows.blocks]
    index = rows.of_executions("block_index")
    expected = np.array([arm.role for arm in arms], dtype=object)[index]
    windowed = np.array([arm.windowed for arm in arms], dtype=bool)[index]
    expected[windowed & (rows.end_ns <= first)] = "warmup"
    expected[windowed & (rows.start_ns >= last)] = "tail"
    yield from some(rows.words("role") != expected, "role does not follow from the block's arm and window")
    cold = _is_cold(rows)
    yield from some(cold != has_mark(rows.executions, "cold"), "the mark `cold` is not on a tenant's first of a block")
    for column, quantile in (("slowdown_ratio", "span_p50_ns"), ("interference_ratio", "span_p95_ns")):
        divisor = solo_spans(rows.measured, rows.small.profiles, quantile)
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


CHECK = ExperimentCheck("derived columns", run)
