"""An experiment's executions piece by piece, each with all that ran beside it, in bounded memory.

    pieces, by execution_id       | past |  own  | ahead ...
    past: what may still run      ====          |
    own: what is derived              =========|
    ahead: read until nobody of own can run beside what is dispatched later

Executions are numbered in order of dispatch and none starts before that: whatever comes later starts after the last
dispatch that was read. So three pieces are held at a time, unless one execution outlasts many of them.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cotenant.models.errors import WorkError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stamps:
    """What the sweeps need of executions, by execution_id.

    Attributes:
        code: Place of its engine among the dataset's engines.
    """

    dispatched_ns: Ints
    start_ns: Ints
    end_ns: Ints
    lane: Ints
    code: Ints

    def __len__(self) -> int:
        return len(self.start_ns)

    def where(self, chosen: NDArray[np.bool_]) -> "Stamps":
        """Return some of them."""
        return Stamps(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class Window:
    """Rows to derive, and the stamps of all that may have run beside them.

    Attributes:
        first, last: Where the rows' own stamps stand among `stamps`.
    """

    rows: pa.Table
    stamps: Stamps
    first: int
    last: int


@dataclass(frozen=True)
class _Piece:
    rows: pa.Table
    stamps: Stamps


def windows(experiment_id: str, pieces: Iterator[tuple[pa.Table, Stamps]]) -> Iterator[Window]:
    """Yield one experiment's pieces with what they need.

    Raises:
        WorkError: An execution starts before its dispatch, or dispatches are out of order.
    """
    source = _checked(experiment_id, pieces)
    ahead: deque[_Piece] = deque()
    past: Stamps | None = None
    while (own := ahead.popleft() if ahead else next(source, None)) is not None:
        reach_ns = own.stamps.end_ns.max()
        while (ahead[-1] if ahead else own).stamps.dispatched_ns[-1] < reach_ns:
            piece = next(source, None)
            if piece is None:
                break
            ahead.append(piece)
        later = [piece.stamps.where(piece.stamps.start_ns < reach_ns) for piece in ahead]
        before = [] if past is None else [past.where(past.end_ns > own.stamps.dispatched_ns[0])]
        first = len(before[0]) if before else 0
        yield Window(own.rows, _joined([*before, own.stamps, *later]), first, first + len(own.stamps))
        known = _joined([*before, own.stamps])
        past = known.where(known.end_ns > own.stamps.dispatched_ns[-1])


def _checked(experiment_id: str, pieces: Iterator[tuple[pa.Table, Stamps]]) -> Iterator[_Piece]:
    before: int | None = None
    for rows, stamps in pieces:
        dispatched_ns = stamps.dispatched_ns
        if (
            np.any(stamps.start_ns < dispatched_ns)
            or np.any(dispatched_ns[1:] < dispatched_ns[:-1])
            or (before is not None and dispatched_ns[0] < before)
        ):
            raise WorkError(
                f"executions of experiment {experiment_id} are not in order of dispatch, or start before it; see "
                "`cotenant dataset check`"
            )
        before = int(dispatched_ns[-1])
        yield _Piece(rows, stamps)


def _joined(parts: list[Stamps]) -> Stamps:
    if len(parts) == 1:
        return parts[0]
    return Stamps(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Stamps)))
