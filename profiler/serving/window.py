"""From when on a serving run counts, and whether it had settled: MSER-5 on queue and live count, p95 of both halves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.stationarity import Cut, Halves, bin_edges, level_integrals, mser5_cut, p95_halves
from cotenant.profiler.serving.deployment import Piece
from cotenant.profiler.serving.log import NOT_BATCHED, ServingLog

BINS = 1000  # 200 batches of MSER-5; with the shortest run allowed, 16 bins to the longest solo span
ALPHA = 0.05


@dataclass(frozen=True)
class Window:
    """The part of a run that counts, [start_ns, end_ns), and how it was found.

    Attributes:
        queued, live: Cuts of the number of queued requests and of batches in flight, in bins of the first piece.
        latency, span: p95s of both halves; None where rates change on purpose.
        stationary: Whether both cuts settled and both p95s agree; None if unknown, or where rates change on purpose.
    """

    start_ns: int
    end_ns: int
    queued: Cut
    live: Cut
    latency: Halves | None
    span: Halves | None
    stationary: bool | None

    def stored(self) -> dict[str, Any]:
        """Return what raw metadata keeps."""
        return {
            "window_start_ns": self.start_ns,
            "window_end_ns": self.end_ns,
            "cuts": {
                name: {"bins": cut.observations, "settled": cut.settled}
                for name, cut in (("queued", self.queued), ("live", self.live))
            },
            **_stored_halves("latency_p95", self.latency),
            **_stored_halves("span_p95", self.span),
            "stationary": self.stationary,
        }


def _stored_halves(name: str, halves: Halves | None) -> dict[str, int | None]:
    """Return both halves' value and bounds in whole ns, under the names of their columns; bounds end at 0."""
    found: dict[str, int | None] = {}
    for half, interval in (("first", halves and halves.first), ("second", halves and halves.second)):
        parts = (interval.value, interval.lower, interval.upper) if interval else (None, None, None)
        for end, value in zip(("", "_lower", "_upper"), parts, strict=True):
            found[f"{name}_{half}_half{end}_ns"] = None if value is None else max(0, round(value))
    return found


def settled_window(log: ServingLog, pieces: Sequence[Piece]) -> Window:
    """Cut the start of a run off and compare the halves of the rest; the cut lies in the first piece."""
    edges_ns = bin_edges(log.start_ns, log.start_ns + pieces[0].length_ns, BINS)
    queued = mser5_cut(level_integrals(*_queued_steps(log), edges_ns))
    live = mser5_cut(level_integrals(*_live_steps(log), edges_ns))
    start_ns = int(edges_ns[max(queued.observations, live.observations)])
    if len(pieces) > 1:
        return Window(start_ns, log.end_ns, queued, live, None, None, None)
    latency, span = _latency_halves(log, start_ns), _span_halves(log, start_ns)
    told = [queued.settled, live.settled, latency.agree, span.agree]
    stationary = False if False in told else None if None in told else True
    return Window(start_ns, log.end_ns, queued, live, latency, span, stationary)


def _queued_steps(log: ServingLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    enters = np.delete(np.array(log.arrival_ns, np.int64), log.dropped)
    stamps = np.concatenate((enters, np.array(log.batched_ns, np.int64)))
    return stamps, np.concatenate((np.ones(len(enters), np.int64), -np.array(log.count, np.int64)))


def _live_steps(log: ServingLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    count = len(log.tenant)
    return np.array([*log.dispatched_ns, *log.end], np.int64), np.repeat(np.array([1, -1], np.int64), count)


def _latency_halves(log: ServingLog, start_ns: int) -> Halves:
    arrival, batch = np.array(log.arrival_ns, np.int64), np.array(log.batch_of, np.int64)
    served = batch != NOT_BATCHED
    latency = np.array(log.end, np.int64)[batch[served]] - arrival[served]
    return p95_halves(arrival[served], latency, start_ns, log.end_ns, ALPHA)


def _span_halves(log: ServingLog, start_ns: int) -> Halves:
    begin, end = np.array(log.start, np.int64), np.array(log.end, np.int64)
    return p95_halves(begin, end - begin, start_ns, log.end_ns, ALPHA)
