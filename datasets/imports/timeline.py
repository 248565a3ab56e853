"""A timeline of another tool as a raw file, from which a dataset is derived as from any other."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.build import build_dataset
from cotenant.datasets.folders import RAW
from cotenant.datasets.imports.nsys import read_kernels, stamps_of
from cotenant.datasets.imports.origin import Origin, check_free
from cotenant.datasets.imports.raw_facts import raw_facts
from cotenant.datasets.imports.stamps import Ints, Stamps
from cotenant.datasets.imports.timeline_mapping import TIMELINES, TRTEXEC, TimelineMapping, timeline_mapping
from cotenant.datasets.imports.trtexec import trtexec_stamps
from cotenant.datasets.parquet import writing
from cotenant.datasets.raw import RAW_EXECUTIONS, write_raw
from cotenant.models.errors import UserError
from cotenant.models.output_folder import made_folder

__all__ = ["TIMELINES", "ImportedTimeline", "import_timeline"]


@dataclass(frozen=True)
class ImportedTimeline:
    """What was imported.

    Attributes:
        execution_counts: Tenant -> executions.
    """

    dataset: Path
    execution_counts: dict[str, int]


def import_timeline(source: Path, content: Any, where: str, origin: Origin, out: Path) -> ImportedTimeline:
    """Write a campaign folder `out` of one experiment from a timeline, and derive its dataset.

    A tenant by itself makes a solo profile; of several, the window in which all of them run counts.

    Raises:
        UserError: The file or the mapping (`content`, read from `where`) is wrong, or `out` is not empty.
        WorkError: The disk is full or failed.
    """
    check_free(out)
    mapping = timeline_mapping(content, where)
    stamps = _stamps(source, mapping)
    window = max(int(each.start_ns[0]) for each in stamps), min(int(each.end_ns[-1]) for each in stamps)
    if window[0] >= window[1]:
        raise UserError(f"{source}: the tenants never ran at once; import each by itself")
    facts = _facts(mapping, origin, window)
    rows = _executions(mapping, stamps, window)
    with writing(out):
        made_folder(out / RAW)
        write_raw(out / RAW, facts["experiment_id"], rows, facts)
        try:
            dataset = build_dataset(out)
        except BaseException:
            shutil.rmtree(out / RAW)
            raise
        origin.write(out)
    counts = {tenant.name: len(each.start_ns) for tenant, each in zip(mapping.tenants, stamps, strict=True)}
    return ImportedTimeline(dataset, counts)


def _stamps(source: Path, mapping: TimelineMapping) -> list[Stamps]:
    if mapping.form == TRTEXEC:
        return [trtexec_stamps(source)]
    kernels = read_kernels(source)
    return [stamps_of(kernels, tenant) for tenant in mapping.tenants]


def _facts(mapping: TimelineMapping, origin: Origin, window: tuple[int, int]) -> dict[str, Any]:
    shares = [tenant.share_pct for tenant in mapping.tenants]
    block = {
        "block_index": 0,
        "quad_index": None,
        "arm": "imported" if len(mapping.tenants) > 1 else "profile",
        "tenants": sorted(tenant.name for tenant in mapping.tenants),
        "window_start_ns": window[0],
        "window_end_ns": window[1],
        "offsets_ns": None,
    }
    return raw_facts(
        device=mapping.device,
        runner=mapping.runner,
        isolation=mapping.isolation,
        clock_error_ns=mapping.clock_error_ns,
        tenants=[(tenant.name, tenant.engine) for tenant in mapping.tenants],
        shares=None if None in shares else shares,
        source=origin.source,
        versions=origin.versions,
        repeat=0,
        blocks=[block],
    )


def _executions(mapping: TimelineMapping, stamps: Sequence[Stamps], window: tuple[int, int]) -> pa.Table:
    """Return the raw executions by start; dispatch is not known, and stands at the start."""
    counts = [len(each.start_ns) for each in stamps]
    lane = np.repeat(np.arange(len(stamps)), counts)
    start_ns = np.concatenate([each.start_ns for each in stamps])
    end_ns = np.concatenate([each.end_ns for each in stamps])
    order = np.lexsort((lane, start_ns))
    lane, start_ns, end_ns = lane[order], start_ns[order], end_ns[order]
    inside = "main" if len(stamps) > 1 else "solo"
    role = np.where(end_ns <= window[0], "warmup", np.where(start_ns >= window[1], "tail", inside))
    batches = np.array([tenant.engine["batch_size"] for tenant in mapping.tenants])
    columns: dict[str, Any] = {
        "execution_id": np.arange(len(order)),
        "engine_id": [mapping.tenants[place].engine["engine_id"] for place in lane],
        "tenant": [mapping.tenants[place].name for place in lane],
        "lane": lane,
        "role": role,
        "block_index": np.zeros(len(order), np.int64),
        "request_count": batches[lane],
        "dispatched_ns": start_ns,
        "start_ns": start_ns,
        "end_ns": end_ns,
        "cpu_ns": pa.nulls(len(order)),
        "h2d_ns": _copies([each.h2d_ns for each in stamps], order),
        "d2h_ns": _copies([each.d2h_ns for each in stamps], order),
    }
    arrays = [pa.array(columns[field.name]).cast(_plain(field.type)).cast(field.type) for field in RAW_EXECUTIONS]
    return pa.Table.from_arrays(arrays, schema=RAW_EXECUTIONS)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _copies(found: Sequence[Ints | None], order: Ints) -> pa.Array:
    known = [each for each in found if each is not None]
    return pa.array(np.concatenate(known)[order]) if len(known) == len(found) else pa.nulls(len(order))
