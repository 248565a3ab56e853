"""What is served and under which load: tenants with their batching rules, and rates that change piece by piece.

    piece      |   0    |   1    |   2    |
    tenant a   | 40/s   | 40/s   | 40/s   |
    tenant b   |  -     | 90/s   |  -     |   joins and leaves

A piece says rates, or an offered load, which solo spans turn into rates. Offered load is the work that arrives over
the work that the lanes could do: sum over tenants of rate x solo span of the largest batch / (its size x lanes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NS_PER_S = 1_000_000_000
WINDOW_SPANS = 50  # design section 6: the window is at least 50 times the longest solo span ...
WINDOW_REQUESTS = 400  # ... and holds 400 requests of each tenant
WARMUP_RATIO = 1.25  # the run is longer than the window by this much: the start is cut, and Poisson counts vary


@dataclass(frozen=True)
class TenantRules:
    """One deployed model and how its requests are batched.

    Attributes:
        sizes: Batch sizes that have an engine, rising; the last takes `max_batch` requests.
        engines: The place of each size's engine in the cell's list of engines.
        wait_ns: How long the first queued request waits for more.
        deadline_ns: Latency allowed; None if any will do.
        queue_bound: A request that finds so many queued is dropped.
    """

    name: str
    model: str
    max_batch: int
    wait_ns: int
    deadline_ns: int | None
    queue_bound: int
    sizes: tuple[int, ...]
    engines: tuple[int, ...]

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "TenantRules":
        """Read what a cell's options keep."""
        return cls(**{**stored, "sizes": tuple(stored["sizes"]), "engines": tuple(stored["engines"])})


@dataclass(frozen=True)
class Piece:
    """A stretch of constant rates (requests per second), one per tenant in order of the deployment; 0 = not there."""

    length_ns: int
    rates_per_s: tuple[float, ...]


def work_of_request_ns(tenant: TenantRules, spans_ns: Sequence[float]) -> float:
    """Return the solo time that one request costs in the tenant's largest batch."""
    return spans_ns[tenant.engines[-1]] / tenant.max_batch


def offered_load(
    tenants: Sequence[TenantRules], rates_per_s: Sequence[float], spans_ns: Sequence[float], lanes: int
) -> float:
    """Return the offered load of constant rates, from solo medians by engine and the number of lanes in use at once."""
    work = [rate * work_of_request_ns(each, spans_ns) for rate, each in zip(rates_per_s, tenants, strict=True)]
    return sum(work) / (NS_PER_S * lanes)


def rates_of_load(
    tenants: Sequence[TenantRules], load: float, shares: Sequence[float], spans_ns: Sequence[float], lanes: int
) -> tuple[float, ...]:
    """Return the rates that offer `load`, of which tenant i brings the part shares[i] / sum(shares)."""
    total = sum(shares)
    return tuple(
        load * share / total * lanes * NS_PER_S / work_of_request_ns(each, spans_ns)
        for each, share in zip(tenants, shares, strict=True)
    )


def resolve_pieces(
    tenants: Sequence[TenantRules], schedule: Sequence[dict[str, Any]], spans_ns: Sequence[float], lanes: int
) -> list[Piece]:
    """Turn a cell's schedule into pieces: loads become rates, missing lengths what the window needs.

    `schedule` entries have `length_ns` (all of them or none) and either `rates_per_s` or `load` and `shares`.
    """
    rates = [
        tuple(entry["rates_per_s"])
        if entry["load"] is None
        else rates_of_load(tenants, entry["load"], entry["shares"], spans_ns, lanes)
        for entry in schedule
    ]
    needed_ns = -(-_run_ns(tenants, rates, spans_ns) // len(rates))
    return [
        Piece(needed_ns if entry["length_ns"] is None else entry["length_ns"], own)
        for entry, own in zip(schedule, rates, strict=True)
    ]


def _run_ns(tenants: Sequence[TenantRules], rates: Sequence[tuple[float, ...]], spans_ns: Sequence[float]) -> int:
    used = {engine for each in tenants for engine in each.engines}
    means = [sum(own) / len(rates) for own in zip(*rates, strict=True)]
    requests_ns = [WINDOW_REQUESTS * NS_PER_S / mean for mean in means if mean > 0]
    return int(WARMUP_RATIO * max([WINDOW_SPANS * max(spans_ns[engine] for engine in used), *requests_ns])) + 1
