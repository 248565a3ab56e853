"""The overlap definition by hand: what cuts, what does not, ties, extremes, and what is no execution."""

import numpy as np
import pytest

from cotenant.datasets.overlap import OverlapIntervals, overlap_intervals


def sweep(start_ns: list[int], end_ns: list[int]) -> OverlapIntervals:
    return overlap_intervals(np.array(start_ns, dtype=np.int64), np.array(end_ns, dtype=np.int64))


def tuples(found: OverlapIntervals) -> list[tuple[int, int, int, set[int]]]:
    """(execution, start_ns, end_ns, others) of each interval."""
    others = np.split(found.co_index, found.co_offsets[1:-1]) if len(found) else []
    rows = zip(found.execution_index.tolist(), found.start_ns.tolist(), found.end_ns.tolist(), others, strict=True)
    return [(execution, start, end, set(own.tolist())) for execution, start, end, own in rows]


def test_one_that_begins_and_ends_within_another_cuts_it_in_three() -> None:
    assert tuples(sweep([0, 4], [10, 6])) == [(0, 0, 4, set()), (0, 4, 6, {1}), (0, 6, 10, set()), (1, 4, 6, {0})]


def test_ends_sort_before_starts_at_ties() -> None:
    assert tuples(sweep([0, 10], [10, 20])) == [(0, 0, 10, set()), (1, 10, 20, set())], "half-open: they never meet"


def test_a_successor_without_a_gap_is_someone_else() -> None:
    assert tuples(sweep([0, 0, 10], [20, 10, 20])) == [
        (0, 0, 10, {1}),
        (0, 10, 20, {2}),
        (1, 0, 10, {0}),
        (2, 10, 20, {0}),
    ]


def test_what_others_do_elsewhere_does_not_cut() -> None:
    """A gap between two others cuts; what starts and ends outside an execution does not."""
    assert tuples(sweep([5, 0, 30], [9, 3, 40])) == [(0, 5, 9, set()), (1, 0, 3, set()), (2, 30, 40, set())]


def test_twins_see_each_other_throughout() -> None:
    assert tuples(sweep([3, 3, 3], [8, 8, 8])) == [(0, 3, 8, {1, 2}), (1, 3, 8, {0, 2}), (2, 3, 8, {0, 1})]


def test_the_whole_range_of_stamps_is_exact() -> None:
    low, high = -(2**63), 2**63 - 1
    assert tuples(sweep([low, high - 1], [high, high])) == [
        (0, low, high - 1, set()),
        (0, high - 1, high, {1}),
        (1, high - 1, high, {0}),
    ]


def test_no_executions_have_no_intervals() -> None:
    found = sweep([], [])
    assert len(found) == 0
    assert found.co_offsets.tolist() == [0]
    assert found.co_index.tolist() == []


def test_types_are_those_of_the_table() -> None:
    found = sweep([0, 1], [2, 3])
    assert {found.interval_index.dtype, found.co_count.dtype} == {np.dtype(np.int32)}
    wide = (found.execution_index, found.start_ns, found.end_ns, found.co_offsets, found.co_index)
    assert {part.dtype for part in wide} == {np.dtype(np.int64)}


@pytest.mark.parametrize(("start", "end"), [(5, 5), (5, 4), (2**62, -(2**62))])
def test_an_execution_ends_after_it_starts(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"execution 1 does not end after it starts; 1 such"):
        sweep([0, start], [9, end])


def test_starts_and_ends_are_as_many() -> None:
    with pytest.raises(ValueError, match="starts against"):
        sweep([0, 1], [2])
    with pytest.raises(ValueError, match="starts against"):
        overlap_intervals(np.zeros((1, 1), np.int64), np.ones((1, 1), np.int64))
