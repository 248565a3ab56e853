"""Poisson arrivals, all drawn before the run: the load does not depend on how fast it is served.

rate      |  50/s  |   0   |      200/s      |
hazard    0 ------ 5 ----- 5 ------------- 45        cumulated rate; unit exponential gaps are laid on this axis
arrivals  | |  |   |       ||| | |||| || ||||        and mapped back to time, exactly, piece by piece
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cotenant.profiler.serving.deployment import Piece

NS_PER_S = 1_000_000_000
SPARE_DEVIATIONS = 6  # draws beyond the expected count; more follow in the rare case that these do not reach the end


@dataclass(frozen=True)
class Arrivals:
    """Requests of all tenants in order of intended arrival (ties: lower tenant first); a request's place is its id.

    Attributes:
        at_ns: Intended arrivals from the run's start, int64, rising.
        tenant: Each request's tenant, as its place in the deployment, int64.
    """

    at_ns: NDArray[np.int64]
    tenant: NDArray[np.int64]


def draw_arrivals(pieces: Sequence[Piece], generators: Sequence[np.random.Generator]) -> Arrivals:
    """Draw every tenant's arrivals over all pieces, tenant i from generator i alone."""
    streams = [
        poisson_arrivals([piece.length_ns for piece in pieces], [piece.rates_per_s[tenant] for piece in pieces], own)
        for tenant, own in enumerate(generators)
    ]
    tenant = np.repeat(np.arange(len(streams)), [len(stream) for stream in streams])
    at_ns = np.concatenate([np.zeros(0, np.int64), *streams])
    order = np.argsort(at_ns, kind="stable")
    return Arrivals(at_ns[order], tenant[order])


def poisson_arrivals(
    lengths_ns: Sequence[int], rates_per_s: Sequence[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return one stream's arrivals in whole ns from 0: a Poisson process with a constant rate in each piece."""
    edges_ns = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.asarray(lengths_ns, np.int64))))
    rates = np.asarray(rates_per_s, np.float64) / NS_PER_S
    active = np.flatnonzero(rates > 0)
    if not len(active):
        return np.zeros(0, np.int64)
    hazard = np.concatenate((np.zeros(1), np.cumsum((rates * np.diff(edges_ns))[active])))
    marks = _unit_rate_points(float(hazard[-1]), rng)
    piece = np.minimum(np.searchsorted(hazard[1:], marks, side="left"), len(active) - 1)
    first_ns, last_ns = edges_ns[active][piece], edges_ns[active + 1][piece] - 1
    offset_ns = ((marks - hazard[piece]) / rates[active][piece]).astype(np.int64)
    found: NDArray[np.int64] = np.minimum(first_ns + offset_ns, last_ns)
    return found


def _unit_rate_points(end: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the points of a Poisson process of rate 1 in (0, end)."""
    count = int(end + SPARE_DEVIATIONS * end**0.5) + SPARE_DEVIATIONS
    points = np.cumsum(rng.standard_exponential(count))
    while points[-1] < end:
        points = np.concatenate((points, points[-1] + np.cumsum(rng.standard_exponential(count))))
    return points[: np.searchsorted(points, end, side="left")]
