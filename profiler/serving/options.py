"""From a spec of serving to the options of its cells: plain values, with every default filled in."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cotenant.models.errors import UserError
from cotenant.models.zoo import resolve
from cotenant.profiler.experiments.bench import tenant_name
from cotenant.profiler.experiments.kinds import EngineKey
from cotenant.profiler.serving.deployment import TenantRules
from cotenant.profiler.serving.orders import order_rule
from cotenant.profiler.serving.spec import PieceSpec, ServingSpec, TenantSpec

MAX_BATCH = 8  # the paper's

Options = dict[str, Any]


def expand(spec: ServingSpec, engines: Sequence[EngineKey], lanes: int) -> tuple[tuple[EngineKey, ...], list[Options]]:
    """Return the engines that serve, and the options of each load (or the schedule) at each concurrency.

    Raises:
        UserError: The campaign's engines or lanes cannot do it, or tenants are named that are not there.
    """
    order_rule(spec.order)
    deployed, tenants = _deploy(spec.deployment, engines)
    names = [tenant.name for tenant in tenants]
    schedules = [[_piece(piece, names) for piece in spec.schedule]] if spec.schedule else []
    schedules += [[_piece(PieceSpec(seconds=spec.seconds, load=load), names)] for load in spec.loads]
    _check_all_served(schedules, names)
    concurrencies = _concurrencies(spec, lanes)
    return tuple(deployed), [_options(spec, tenants, own, each) for own in schedules for each in concurrencies]


def _options(
    spec: ServingSpec, tenants: Sequence[TenantRules], schedule: list[dict[str, Any]], concurrency: int
) -> dict[str, Any]:
    return {
        "deployment": [{**asdict(each), "sizes": list(each.sizes), "engines": list(each.engines)} for each in tenants],
        "schedule": schedule,
        "concurrency": concurrency,
        "order": spec.order,
        "turns": spec.turns,
        "lag_max_ns": round(spec.lag_max_us * 1e3),
    }


def _concurrencies(spec: ServingSpec, lanes: int) -> tuple[int, ...]:
    wanted = (lanes,) if spec.concurrency is None else spec.concurrency
    for each in wanted:
        if not 1 <= each <= lanes:
            raise UserError(f"`concurrency` {each} needs as many lanes, there are {lanes}; raise `lanes` or lower it")
    return wanted


def _deploy(
    deployment: Sequence[TenantSpec], engines: Sequence[EngineKey]
) -> tuple[list[EngineKey], list[TenantRules]]:
    """Return the engines that serve, each once, and the tenants with their places among them."""
    names = [each.name or tenant_name(index) for index, each in enumerate(deployment)]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UserError(f"`deployment` has two tenants named {min(twice)!r}; tenants without a name are a, b, c ...")
    used: list[EngineKey] = []
    tenants = []
    for name, wanted in zip(names, deployment, strict=True):
        own = _engines_of(name, wanted, engines)
        used += [key for key in own if key not in used]
        tenants.append(
            TenantRules(
                name=name,
                model=own[0].model,
                max_batch=wanted.max_batch or min(MAX_BATCH, own[-1].batch_size),
                wait_ns=wanted.wait_ns,
                deadline_ns=None if wanted.deadline_ms is None else round(wanted.deadline_ms * 1e6),
                queue_bound=wanted.queue_bound,
                sizes=tuple(key.batch_size for key in own),
                engines=tuple(used.index(key) for key in own),
            )
        )
        if wanted.queue_bound < tenants[-1].max_batch:
            raise UserError(f"tenant {name!r}: `queue_bound` {wanted.queue_bound} is below its largest batch")
    return used, tenants


def _engines_of(name: str, wanted: TenantSpec, engines: Sequence[EngineKey]) -> list[EngineKey]:
    """Return a tenant's engines by rising batch size, up to the one that takes its largest batch."""
    known = {key.model for key in engines}
    model = wanted.model if wanted.model in known else resolve(wanted.model).name
    by_size: dict[int, EngineKey] = {}
    for key in engines:
        if key.model == model:
            by_size.setdefault(key.batch_size, key)
    if not by_size:
        raise UserError(f"tenant {name!r} deploys {model}, which `engines` does not make; it makes: {', '.join(known)}")
    sizes = sorted(by_size)
    largest = wanted.max_batch or min(MAX_BATCH, sizes[-1])
    if largest > sizes[-1]:
        raise UserError(
            f"tenant {name!r} batches up to {largest}, but {model} has engines up to {sizes[-1]}; "
            f"add {largest} to its `batch_sizes` or lower `max_batch`"
        )
    needed = min(size for size in sizes if size >= largest)
    return [by_size[size] for size in sizes if size <= needed]


def _piece(piece: PieceSpec, names: Sequence[str]) -> dict[str, Any]:
    given = piece.rates if piece.rates is not None else piece.shares
    for name in given or ():
        if name not in names:
            raise UserError(f"`schedule` names tenant {name!r}; `deployment` has: {', '.join(names)}")
    by_tenant = [1.0 if given is None else float(given.get(name, 0.0)) for name in names]
    return {
        "length_ns": None if piece.seconds is None else round(piece.seconds * 1e9),
        "rates_per_s": None if piece.rates is None else by_tenant,
        "load": piece.load,
        "shares": None if piece.load is None else by_tenant,
    }


def _check_all_served(schedules: Sequence[Sequence[dict[str, Any]]], names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        for schedule in schedules:
            if not any((entry["rates_per_s"] or entry["shares"])[place] for entry in schedule):
                raise UserError(f"tenant {name!r} has no requests in any entry of the schedule; give it a rate")
