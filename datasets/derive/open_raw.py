"""Open a raw file for derivation: read it, refuse one that does not hold together, and give its blocks their clocks."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from cotenant.datasets.derive.clocks import with_clocks
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.siblings import open_sibling
from cotenant.datasets.parquet import reading
from cotenant.datasets.raw import RawDamagedError, read_raw
from cotenant.datasets.words import ARMS, KINDS


def open_measured(path: Path) -> Measured:
    """Read a raw file and check that it holds together; raises as `read_raw`, RawDamagedError if it does not."""
    with reading(path):
        raw = read_raw(path)
    executions = raw.executions.sort_by("execution_id").combine_chunks()
    found = Measured(raw.metadata, executions)
    for fault in chain(_faults_of_blocks(found), _faults_of_executions(found), _faults_of_tenants(found)):
        raise RawDamagedError(path, fault)  # what comes later relies on what came before
    return with_clocks(found, open_sibling(path, found, "telemetry"))


def _faults_of_blocks(found: Measured) -> Iterator[str]:
    if found.kind not in KINDS:
        yield f"is of kind {found.kind}, which this cotenant does not know"
    if [block["block_index"] for block in found.blocks] != list(range(len(found.blocks))):
        yield "does not number its blocks 0, 1, 2 ..."
    for block in found.blocks:
        if block["arm"] not in ARMS:
            yield f"has a block of arm {block['arm']}, which this cotenant does not know"
        elif (block["quad_index"] is not None) != ARMS[block["arm"]].in_quads:
            yield "has a block of a quad without quad_index, or one of no quad with it"
        if block["offsets_ns"] is not None and len(block["offsets_ns"]) != len(block["tenants"]):
            yield "has a block with another number of offsets than of tenants"


def _faults_of_executions(found: Measured) -> Iterator[str]:
    rows = found.executions
    faults = {
        "has no executions": rows.num_rows == 0,
        "does not number its executions 0, 1, 2 ...": found.column("execution_id") != np.arange(rows.num_rows),
        "has an execution that does not end after it starts": found.end_ns <= found.start_ns,
        "has executions of a tenant that it does not list": found.tenant_index < 0,
        "has executions of an engine that it does not list": found.engine_index < 0,
        "has executions of a block that it does not list": (found.block_index < 0)
        | (found.block_index >= len(found.blocks)),
        "has executions on a lane that it does not have": (found.lane < 0) | (found.lane >= len(found.lane_share_pct)),
    }
    yield from (fault for fault, present in faults.items() if np.any(present))


def _faults_of_tenants(found: Measured) -> Iterator[str]:
    in_quads = {name for block in found.blocks if block["quad_index"] is not None for name in block["tenants"]}
    for index, row in enumerate(found.tenants):
        own = found.tenant_index == index
        places = [found.engine_ids.index(engine) for engine in row["engine_ids"] if engine in found.engine_ids]
        if len(places) != len(row["engine_ids"]) or not places:
            yield "has a tenant whose engine it does not list"
        elif np.any(own & ~np.isin(found.engine_index, places)):
            yield "has executions of an engine that is not their tenant's"
        if row["lane"] is not None and np.any(own & (found.lane != row["lane"])):
            yield "has executions on another lane than their tenant's"
        if row["tenant"] in in_quads and (row["lane"] is None or len(places) != 1):
            yield "has a tenant in quads without a lane, or with several engines"
    for block, rows in found.rows_by_block():
        ran = {found.tenant_names[index] for index in np.unique(found.tenant_index[rows])}
        if not ran <= set(block["tenants"]):
            yield "has a block with executions of a tenant that is none of the block's"
