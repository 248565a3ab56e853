"""Features of random schedules against plain Python with exact numbers, and by hand against paper."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from features_by_hand import Choices, Run, features
from hypothesis import given, settings
from hypothesis import strategies as st

from cotenant.datasets.features.kernel import at_dispatch, over_intervals
from cotenant.datasets.overlap import overlap_intervals

EXAMPLES = settings(max_examples=150, deadline=None)  # the first example may compile
ALPHAS = [Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(1), Fraction(1, 10)]
UNKNOWN = None
THROUGHPUTS = [
    [Fraction(41), Fraction(7, 2), Fraction(100)],
    [Fraction(0), Fraction(63), UNKNOWN],
    [Fraction(13, 10), Fraction(99, 7), Fraction(1, 3)],
]


@dataclass(frozen=True)
class Case:
    runs: list[Run]
    choices: Choices


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to six lanes of short spans and gaps, so that ties are the rule; gaps of zero; far offsets."""
    offset, scale = draw(st.sampled_from([0, -7, 2**62])), draw(st.sampled_from([1, 1_000_003]))
    steps = st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(0, 2), st.integers(0, 4))
    rows = []
    for lane in range(draw(st.integers(1, 6))):
        time = draw(st.integers(0, 4))
        for gap, span, engine, before in draw(st.lists(steps, max_size=6)):
            time += gap
            rows.append(Run(lane, engine, offset + scale * (time - before), offset + scale * time, 0))
            time += span
            rows[-1] = Run(lane, engine, rows[-1].dispatched_ns, rows[-1].start_ns, offset + scale * time)
    choices = Choices(
        draw(st.lists(st.sampled_from(ALPHAS), min_size=1, max_size=3, unique=True)),
        draw(st.booleans()),
        scale * draw(st.integers(0, 3)),
        draw(st.booleans()),
    )
    return Case(sorted(rows, key=lambda run: (run.dispatched_ns, run.start_ns, run.lane)), choices)


def computed(case: Case) -> list[dict[str, list[float]]]:
    """Features as the product has them, in the oracle's form."""
    start, end, dispatched, lane, code = (
        np.array([getattr(run, name) for run in case.runs], np.int64)
        for name in ("start_ns", "end_ns", "dispatched_ns", "lane", "engine")
    )
    table = np.array([[math.nan if v is None else float(v) for v in row] for row in THROUGHPUTS])
    found = overlap_intervals(start, end)
    edges = np.searchsorted(found.execution_index, np.arange(len(start) + 1))
    alphas = np.array([float(alpha) for alpha in case.choices.alphas])
    beside = over_intervals(
        0, len(start), edges, found.start_ns, found.end_ns, found.co_offsets, found.co_index, code, table, alphas,
        case.choices.from_zero, case.choices.coalesce_ns, case.choices.by_max,
    )  # fmt: skip
    static = at_dispatch(
        dispatched, lane, np.argsort(start, kind="stable"), start, end, lane, code, table, case.choices.by_max
    )
    names = ["static_start", *(f"ewma {k}" for k in range(len(alphas))), "weighted"]
    return [
        {
            "self": table[code[i]].tolist(),
            "static": static[:, i].tolist(),
            **{name: beside[3 * k : 3 * k + 3, i].tolist() for k, name in enumerate(names)},
        }
        for i in range(len(start))
    ]


@EXAMPLES
@given(case=cases())
def test_features_are_those_of_the_definition(case: Case) -> None:
    if not case.runs:
        return
    expected = features(case.runs, THROUGHPUTS, case.choices)
    for own, wanted in zip(computed(case), expected, strict=True):
        assert own.keys() == wanted.keys()
        for group, values in wanted.items():
            for value, exact in zip(own[group], values, strict=True):
                if exact is None:
                    assert math.isnan(value), group
                else:
                    assert value == pytest.approx(float(exact), rel=1e-12, abs=1e-12), group


def by_hand(others: list[tuple[int, int, int]], **changes: object) -> dict[str, list[float]]:
    """Features of an execution of engine 0 from 0 to 100 beside (engine, start, end) on lanes of their own."""
    runs = [Run(0, 0, 0, 0, 100)]
    runs += [Run(lane + 1, engine, start, start, end) for lane, (engine, start, end) in enumerate(others)]
    settings_ = {"alphas": [Fraction(1, 2)], "from_zero": False, "coalesce_ns": 0, "by_max": False, **changes}
    return computed(Case(runs, Choices(**settings_)))[0]  # type: ignore[arg-type]


def test_three_intervals_on_paper() -> None:
    """{2} for 20, {2, 0} for 30, {0} for 50; of metric 0: 1.3, then 42.3, then 41."""
    found = by_hand([(2, -10, 50), (0, 20, 120)])
    assert found["static_start"][0] == 1.3
    assert found["static"][0] == 1.3
    assert found["ewma 0"][0] == pytest.approx((1.3 / 2 + 42.3 / 2) / 2 + 41 / 2, rel=1e-15)  # 31.4
    assert found["ewma 0"][0] == pytest.approx(31.4, rel=1e-15)
    assert found["weighted"][0] == pytest.approx(0.2 * 1.3 + 0.3 * 42.3 + 0.5 * 41, rel=1e-15)
    from_zero = by_hand([(2, -10, 50), (0, 20, 120)], from_zero=True)
    assert from_zero["ewma 0"][0] == pytest.approx(((1.3 / 2) / 2 + 42.3 / 2) / 2 + 41 / 2, rel=1e-15)
    largest = by_hand([(2, -10, 50), (0, 20, 120)], by_max=True)
    assert largest["ewma 0"][0] == pytest.approx((1.3 / 2 + 41 / 2) / 2 + 41 / 2, rel=1e-15)
    assert largest["weighted"][0] == pytest.approx(0.2 * 1.3 + 0.3 * 41 + 0.5 * 41, rel=1e-15)


def test_a_short_gap_between_two_is_one_event_or_two() -> None:
    """{2} until 40, nobody for 3, then {0}: left out, the average takes one step, else two; the weights see all."""
    others = [(2, -10, 40), (0, 43, 120)]
    assert by_hand(others, coalesce_ns=4)["ewma 0"][0] == pytest.approx(1.3 / 2 + 41 / 2, rel=1e-15)
    assert by_hand(others, coalesce_ns=3)["ewma 0"][0] == pytest.approx(1.3 / 4 + 41 / 2, rel=1e-15)
    assert by_hand(others, coalesce_ns=4)["weighted"][0] == pytest.approx(0.4 * 1.3 + 0.57 * 41, rel=1e-15)


def test_neighbours_that_become_equal_are_one_step() -> None:
    """{2}, {2, 0} for 3, {2}: without the middle nothing has changed, so the average stays."""
    others = [(2, -10, 120), (0, 40, 43)]
    assert by_hand(others, coalesce_ns=4)["ewma 0"][0] == 1.3
    assert by_hand(others, coalesce_ns=3)["ewma 0"][0] != 1.3


def test_a_short_first_or_last_interval_stays() -> None:
    first, last = by_hand([(2, -10, 1)], coalesce_ns=50), by_hand([(2, 99, 120)], coalesce_ns=50)
    assert first["ewma 0"][0] == pytest.approx(1.3 / 2, rel=1e-15)
    assert last["ewma 0"][0] == pytest.approx(1.3 / 2, rel=1e-15)


def test_alone_is_zero_and_beside_something_unknown_is_unknown() -> None:
    alone = by_hand([(1, 100, 120), (1, -20, 0)])
    groups = ("static", "static_start", "ewma 0", "weighted")
    assert [alone[group] for group in groups] == [[0.0, 0.0, 0.0]] * len(groups)
    beside = by_hand([(1, 99, 120)])
    assert beside["static_start"] == [0.0, 0.0, 0.0], "nobody at first"
    assert math.isnan(beside["weighted"][2])
    assert math.isnan(beside["ewma 0"][2])
    assert beside["weighted"][1] == pytest.approx(0.63, rel=1e-15)


def test_static_counts_who_runs_at_dispatch_on_other_lanes() -> None:
    """One that ends at dispatch has ended, one that starts at dispatch runs, one of the own lane does not count."""
    runs = [
        Run(1, 0, 0, 0, 50),  # has ended
        Run(2, 2, 0, 0, 51),  # runs
        Run(0, 0, 0, 10, 60),  # runs on the own lane
        Run(3, 2, 50, 50, 55),  # starts
        Run(0, 0, 50, 60, 90),
    ]
    case = Case(runs, Choices([Fraction(1, 2)], False, 0, False))
    assert computed(case)[4]["static"][0] == 2.6
    assert computed(case)[4]["static_start"][0] == 0.0
