"""The overlap sweep against an oracle that knows only the definition, and every invariant of what it returns."""

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cotenant.datasets.overlap import OverlapIntervals, overlap_intervals

Row = tuple[int, int, int, int, frozenset[int]]  # execution, interval_index, start_ns, end_ns, others
EXAMPLES = settings(max_examples=150, deadline=None)  # the first example may compile
OFFSETS_NS = [0, 1, -7, 1_700_000_000_000_000_000, 2**63 - 2**40, -(2**63)]
SCALES_NS = [1, 3, 1_000_003]


@dataclass(frozen=True)
class Schedule:
    """Executions in the order given; one at a time on each lane."""

    lanes: list[int]
    start_ns: list[int]
    end_ns: list[int]

    def swept(self) -> OverlapIntervals:
        return sweep(self.start_ns, self.end_ns)

    def reordered(self, places: list[int]) -> "Schedule":
        lanes, starts, ends = ([part[place] for place in places] for part in (self.lanes, self.start_ns, self.end_ns))
        return Schedule(lanes, starts, ends)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Up to four lanes of short spans and gaps, so that ties are the rule; gaps of zero; any order; far offsets."""
    offset, scale = draw(st.sampled_from(OFFSETS_NS)), draw(st.sampled_from(SCALES_NS))
    steps = st.tuples(st.integers(0, 3), st.integers(1, 6))
    rows = []
    for lane in range(draw(st.integers(1, 4))):
        time = draw(st.integers(0, 4))
        for gap, span in draw(st.lists(steps, max_size=8)):
            rows.append((lane, offset + scale * (time + gap), offset + scale * (time + gap + span)))
            time += gap + span
    rows = draw(st.permutations(rows))
    return Schedule([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def sweep(start_ns: list[int], end_ns: list[int]) -> OverlapIntervals:
    return overlap_intervals(np.array(start_ns, dtype=np.int64), np.array(end_ns, dtype=np.int64))


def rows_of(found: OverlapIntervals) -> list[Row]:
    rows = []
    for row in range(len(found)):
        others = found.co_index[found.co_offsets[row] : found.co_offsets[row + 1]].tolist()
        assert others == sorted(set(others)), "others rise, each stands once"
        assert len(others) == found.co_count[row]
        numbers = (found.execution_index, found.interval_index, found.start_ns, found.end_ns)
        execution, interval, start, end = (int(part[row]) for part in numbers)
        rows.append((execution, interval, start, end, frozenset(others)))
    return rows


def oracle(start_ns: list[int], end_ns: list[int]) -> list[Row]:
    """Ask of each elementary segment who runs; append it to each one's rows, or lengthen the last one by it."""
    stamps = sorted({*start_ns, *end_ns})
    own: list[list[tuple[int, int, frozenset[int]]]] = [[] for _ in start_ns]
    for begin, end in pairwise(stamps):
        live = frozenset(i for i in range(len(start_ns)) if start_ns[i] <= begin < end_ns[i])
        for execution in live:
            others, rows = live - {execution}, own[execution]
            if rows and rows[-1][2] == others:
                rows[-1] = (rows[-1][0], end, others)
            else:
                rows.append((begin, end, others))
    return [(i, k, begin, end, others) for i, rows in enumerate(own) for k, (begin, end, others) in enumerate(rows)]


@EXAMPLES
@given(schedules())
def test_the_sweep_agrees_with_the_oracle(schedule: Schedule) -> None:
    assert rows_of(schedule.swept()) == oracle(schedule.start_ns, schedule.end_ns)


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=14))
def test_any_number_may_run_at_once(executions: list[tuple[int, int]]) -> None:
    starts, ends = [start for start, _ in executions], [start + span for start, span in executions]
    assert rows_of(sweep(starts, ends)) == oracle(starts, ends)


@EXAMPLES
@given(schedules())
def test_intervals_are_contiguous_disjoint_and_sum_to_the_span(schedule: Schedule) -> None:
    own: dict[int, list[Row]] = {}
    for row in rows_of(schedule.swept()):
        own.setdefault(row[0], []).append(row)
    assert sorted(own) == list(range(len(schedule.start_ns))), "everyone has one interval or more"
    for execution, rows in own.items():
        assert [row[1] for row in rows] == list(range(len(rows)))
        assert rows[0][2] == schedule.start_ns[execution]
        assert rows[-1][3] == schedule.end_ns[execution]
        assert all(before[3] == after[2] for before, after in pairwise(rows))
        assert all(begin < end for _, _, begin, end, _ in rows)
        assert sum(row[3] - row[2] for row in rows) == schedule.end_ns[execution] - schedule.start_ns[execution]


@EXAMPLES
@given(schedules())
def test_an_overlap_is_as_long_seen_from_either_side(schedule: Schedule) -> None:
    seen: dict[tuple[int, int], int] = {}
    for execution, _, begin, end, others in rows_of(schedule.swept()):
        for other in others:
            seen[execution, other] = seen.get((execution, other), 0) + end - begin
    for (execution, other), overlap_ns in seen.items():
        assert seen[other, execution] == overlap_ns
        common = min(schedule.end_ns[execution], schedule.end_ns[other])
        assert overlap_ns == common - max(schedule.start_ns[execution], schedule.start_ns[other])


@EXAMPLES
@given(schedules())
def test_lanes_bound_concurrency_and_nobody_shares_his_lane(schedule: Schedule) -> None:
    for execution, _, _, _, others in rows_of(schedule.swept()):
        lanes = [schedule.lanes[one] for one in (execution, *others)]
        assert len(set(lanes)) == len(lanes)


@EXAMPLES
@given(schedules())
def test_consecutive_intervals_differ(schedule: Schedule) -> None:
    for before, after in pairwise(rows_of(schedule.swept())):
        assert before[0] != after[0] or before[4] != after[4]


@EXAMPLES
@given(schedules(), st.randoms(use_true_random=False))
def test_the_order_of_the_executions_does_not_matter(schedule: Schedule, random: Random) -> None:
    places = list(range(len(schedule.start_ns)))
    random.shuffle(places)
    moved = [
        (places[execution], interval, begin, end, frozenset(places[other] for other in others))
        for execution, interval, begin, end, others in rows_of(schedule.reordered(places).swept())
    ]
    assert sorted(moved, key=lambda row: row[:2]) == rows_of(schedule.swept())


@EXAMPLES
@given(schedules())
def test_replaying_starts_and_ends_gives_the_executions_back(schedule: Schedule) -> None:
    live_at: dict[tuple[int, int], frozenset[int]] = {}
    for execution, _, begin, end, others in rows_of(schedule.swept()):
        live = others | {execution}
        assert live_at.setdefault((begin, end), live) == live, "all who run tell the same"
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    before: frozenset[int] = frozenset()
    before_end = 0
    for (begin, end), live in sorted(live_at.items()):
        if begin != before_end:
            ends |= dict.fromkeys(before, before_end)
            before = frozenset()
        assert not (live - before) & set(starts), "nobody starts twice"
        ends |= dict.fromkeys(before - live, begin)
        starts |= dict.fromkeys(live - before, begin)
        before, before_end = live, end
    ends |= dict.fromkeys(before, before_end)
    count = len(schedule.start_ns)
    assert [starts[i] for i in range(count)] == schedule.start_ns
    assert [ends[i] for i in range(count)] == schedule.end_ns
