"""The mapping file of a timeline: who is which tenant, and how kernels make executions."""

from dataclasses import dataclass
from typing import Any

from cotenant.datasets import words
from cotenant.datasets.imports.mapping_keys import device_of, engine_of, keys_of, text_of, whole_of, word_of
from cotenant.models.errors import UserError

TRTEXEC, NSYS = "trtexec", "nsys"
TIMELINES = (TRTEXEC, NSYS)
TOP = ("format", "device", "runner", "isolation", "clock_error_ns", "tenants")
BATCH_MAX = 2**31


@dataclass(frozen=True)
class TimelineTenant:
    """One tenant of a timeline.

    Attributes:
        engine: As raw files tell it.
        stream, process: Which kernels are its own: None for any.
        gap_ns: A longer pause begins another execution.
        kernel_count: Kernels of one execution; either this or gap_ns is known of kernels.
    """

    name: str
    engine: dict[str, Any]
    share_pct: float | None
    stream: int | None
    process: int | None
    gap_ns: int | None
    kernel_count: int | None


@dataclass(frozen=True)
class TimelineMapping:
    """A mapping file."""

    form: str
    device: dict[str, Any]
    runner: str
    isolation: str
    clock_error_ns: int
    tenants: list[TimelineTenant]


def timeline_mapping(content: Any, where: str) -> TimelineMapping:
    """Return what a mapping file says; `where` names it. UserError says which key is wrong."""
    found = keys_of(content, where, TOP, ("precision",))
    form = str(word_of(found, "format", where, dict.fromkeys(TIMELINES)))
    device = device_of(found["device"], where)
    runner, precision = str(text_of(found, "runner", where)), word_of(found, "precision", where, words.PRECISIONS)
    entries = found["tenants"]
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{where}: tenants is no list; write one entry for each tenant")
    if form == TRTEXEC and len(entries) > 1:
        raise UserError(f"{where}: a trtexec file is of one engine and has a clock of its own; name one tenant")
    tenants = []
    for place, entry in enumerate(entries):
        own = f"{where}, tenants[{place}]"
        told = keys_of(entry, own, ("model", "batch"), ("name", "share_pct", *_OF_KERNELS) if form == NSYS else _PLAIN)
        model, batch = str(text_of(told, "model", own)), whole_of(told, "batch", own, 1)
        assert batch is not None
        if batch >= BATCH_MAX:
            raise UserError(f"{own}: batch is {batch}, which is no batch size; correct it")
        engine = engine_of(model, batch, precision, runner, device["device_id"])
        tenants.append(_tenant(told, own, place, engine, form))
    if len({tenant.name for tenant in tenants}) < len(tenants):
        raise UserError(f"{where}: two tenants have the same name; give each its own")
    shares = [tenant.share_pct for tenant in tenants if tenant.share_pct is not None]
    if shares and len(shares) < len(tenants):
        raise UserError(f"{where}: share_pct of some tenants is known and of others not; tell all or none")
    clock_error_ns = whole_of(found, "clock_error_ns", where, 0)
    assert clock_error_ns is not None
    return TimelineMapping(form, device, runner, str(text_of(found, "isolation", where)), clock_error_ns, tenants)


_PLAIN = ("name", "share_pct")
_OF_KERNELS = ("stream", "process", "gap_ns", "kernel_count")


def _tenant(told: dict[str, Any], where: str, place: int, engine: dict[str, Any], form: str) -> TimelineTenant:
    share = told.get("share_pct")
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 100):
        raise UserError(f"{where}: share_pct is {share!r}, which is no part of a device; write percent")
    found = TimelineTenant(
        name=text_of(told, "name", where) or chr(ord("a") + place),
        engine=engine,
        share_pct=None if share is None else float(share),
        stream=whole_of(told, "stream", where, 0),
        process=whole_of(told, "process", where, 0),
        gap_ns=whole_of(told, "gap_ns", where, 0),
        kernel_count=whole_of(told, "kernel_count", where, 1),
    )
    if form == NSYS and (found.gap_ns is None) == (found.kernel_count is None):
        raise UserError(f"{where}: it needs either gap_ns (a longer pause begins an execution) or kernel_count")
    if form == NSYS and found.stream is None and found.process is None:
        raise UserError(f"{where}: it needs stream or process, which say whose kernels are whose")
    return found
