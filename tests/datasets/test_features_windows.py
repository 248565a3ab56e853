"""However an experiment's executions are cut into pieces, each gets all that ran beside it, and not much more."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotenant.datasets.features.kernel import at_dispatch, over_intervals
from cotenant.datasets.features.windows import Stamps, Window, windows
from cotenant.datasets.overlap import overlap_intervals
from cotenant.models.errors import WorkError

THROUGHPUTS = np.array([[1.0, 50.0], [20.0, 3.0], [7.0, 11.0]])


@st.composite
def executions(draw: st.DrawFn) -> Stamps:
    """Up to five lanes; dispatched up to two steps ahead, and numbered in that order."""
    rows = []
    for lane in range(draw(st.integers(1, 5))):
        time = draw(st.integers(0, 3))
        for gap, span, ahead, code in draw(
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(0, 2), st.integers(0, 2)),
                min_size=1,
                max_size=9,
            )
        ):
            rows.append((time + gap - ahead, time + gap, time + gap + span, lane, code))
            time += gap + span
    return Stamps(*(np.array(column, np.int64) for column in zip(*sorted(rows), strict=True)))


def cut(stamps: Stamps, size: int) -> Iterator[tuple[pa.Table, Stamps]]:
    for first in range(0, len(stamps), size):
        own = np.arange(len(stamps)) // size == first // size
        yield pa.table({"execution_id": np.flatnonzero(own)}), stamps.where(own)


def of_window(window: Window) -> np.ndarray:
    stamps = window.stamps
    found = overlap_intervals(stamps.start_ns, stamps.end_ns)
    edges = np.searchsorted(found.execution_index, np.arange(len(stamps) + 1))
    own = slice(window.first, window.last)
    beside = over_intervals(
        window.first, window.last, edges, found.start_ns, found.end_ns, found.co_offsets, found.co_index, stamps.code,
        THROUGHPUTS, np.array([1 / 3]), False, 2, False,
    )  # fmt: skip
    static = at_dispatch(
        stamps.dispatched_ns[own], stamps.lane[own], np.argsort(stamps.start_ns, kind="stable"), stamps.start_ns,
        stamps.end_ns, stamps.lane, stamps.code, THROUGHPUTS, False,
    )  # fmt: skip
    return np.concatenate((beside, static))


@settings(max_examples=150, deadline=None)
@given(stamps=executions(), size=st.integers(1, 8))
def test_pieces_give_what_the_whole_gives(stamps: Stamps, size: int) -> None:
    (whole,) = windows("e", cut(stamps, len(stamps)))
    found = list(windows("e", cut(stamps, size)))
    assert np.concatenate([window.rows["execution_id"] for window in found]).tolist() == list(range(len(stamps)))
    assert np.array_equal(np.concatenate([of_window(window) for window in found], axis=1), of_window(whole))


def test_only_a_few_pieces_are_held_at_a_time() -> None:
    start = np.arange(0, 100_000, 10)
    lanes = np.arange(len(start)) % 2
    stamps = Stamps(start - 1, start, start + 18, lanes, lanes)
    taken = 0

    def counted() -> Iterator[tuple[pa.Table, Stamps]]:
        nonlocal taken
        for piece in cut(stamps, 100):
            taken += 1
            yield piece

    for place, window in enumerate(windows("e", counted())):
        assert taken <= place + 2
        assert len(window.stamps) <= 100 + 4


@pytest.mark.parametrize(("dispatched", "start"), [([0, 5, 4], [0, 5, 6]), ([0, 2, 4], [0, 1, 6])])
def test_executions_out_of_order_are_refused(dispatched: list[int], start: list[int]) -> None:
    begin = np.array(start)
    stamps = Stamps(np.array(dispatched), begin, begin + 3, np.zeros(3, np.int64), np.zeros(3, np.int64))
    for size in (1, 3):
        with pytest.raises(WorkError, match="not in order of dispatch, or start before it"):
            list(windows("e", cut(stamps, size)))
