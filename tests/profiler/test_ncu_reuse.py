"""Which kernels stand for which, and what profiling is expected to cost."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.profiler.counters.metrics import DURATION, PAPER, SINGLE, SM
from cotenant.profiler.counters.ncu.command import Selection
from cotenant.profiler.counters.ncu.cost import ASSUMED, Pace, estimate_s, learned
from cotenant.profiler.counters.ncu.reuse import Key, combined, doubtful, groups, key_of, planned
from cotenant.profiler.counters.reports.report import Workload


def kernel(name: str, grid: int, duration_ns: float = 100.0) -> Workload:
    return Workload(name, (grid, 1, 1), (128, 1, 1), {DURATION: duration_ns}, is_range=False)


def profiled(kernels: Sequence[Workload], selection: Selection) -> list[Workload]:
    """Return what ncu profiles by its manual: of each grid and block the first launch whose name is chosen."""
    seen, found = set(), []
    for each in kernels:
        if (not selection.names or each.name in selection.names) and (each.grid, each.block) not in seen:
            seen.add((each.grid, each.block))
            found.append(each)
    return found


SEQUENCES = st.lists(st.builds(kernel, st.sampled_from("abcd"), st.integers(1, 3)), min_size=1, max_size=40)


@given(SEQUENCES)
def test_the_rounds_measure_one_kernel_of_each_group(kernels: list[Workload]) -> None:
    plan = planned(kernels)
    if isinstance(plan, str):
        return
    measured: dict[Key, Workload] = {}
    for selection in plan:
        for each in profiled(kernels, selection):
            measured.setdefault(key_of(each), each)
    assert measured.keys() == groups(kernels).keys()
    assert sum(len(profiled(kernels, each)) for each in plan) <= len(kernels) / 2


@given(st.lists(SEQUENCES, min_size=3, max_size=3))
def test_many_repeats_are_always_worth_it_unless_too_many_names_share_a_grid(parts: list[list[Workload]]) -> None:
    kernels = [each for part in parts for each in part] * 10
    names: dict[object, set[str]] = {}
    for each in kernels:
        names.setdefault(each.grid, set()).add(each.name)
    plan = planned(kernels)
    if isinstance(plan, str):
        assert max(len(each) for each in names.values()) > 1
    else:
        assert len(plan) >= max(len(each) for each in names.values())


@given(SEQUENCES)
def test_every_kernel_gets_the_counters_of_its_group_and_keeps_its_own_duration(kernels: list[Workload]) -> None:
    kernels = [kernel(each.name, each.grid[0], 100 + i % 5) for i, each in enumerate(kernels) if each.grid]
    first = {key: indices[0] for key, indices in groups(kernels).items()}
    measured = {key: Workload(*key, {DURATION: 1e9, SM: float(index)}, is_range=False) for key, index in first.items()}
    whole = combined(kernels, measured)
    assert whole is not None
    for index, (each, source) in enumerate(zip(*whole, strict=True)):
        assert each.metrics == {DURATION: kernels[index].metrics[DURATION], SM: float(source)}
        assert key_of(kernels[source]) == key_of(each)
        assert source <= index


def test_names_that_hide_each_other_take_a_round_each() -> None:
    kernels = [kernel("a", 1), kernel("b", 1), kernel("b", 2), kernel("a", 2)] * 10
    assert planned(kernels) == (Selection(), Selection(("a",)), Selection(("b",)))


def test_a_group_that_was_not_measured_cannot_be_combined() -> None:
    assert combined([kernel("a", 1), kernel("b", 1)], {key_of(kernel("a", 1)): kernel("a", 1)}) is None


def test_kernels_that_look_alike_but_take_other_times_are_doubted() -> None:
    alike = [kernel("a", 1, 100), kernel("a", 1, 110), kernel("b", 1, 1)]
    assert doubtful(alike) is None
    why = doubtful([*alike, kernel("a", 1, 90)])
    assert why is not None
    assert "3 kernels a of one grid and block take 90 to 110 ns" in why


def test_what_saves_less_than_half_is_not_done() -> None:
    assert "2 of its 3 kernels would have to be replayed anyway" in str(
        planned([kernel("a", 1), kernel("a", 1), kernel("a", 2)])
    )


def test_names_too_long_for_a_command_are_not_chosen_by_name() -> None:
    long = [kernel("a" * 60_000, 1), kernel("b" * 60_000, 1), kernel("c" * 60_000, 1)]
    assert "too long" in str(planned(long * 9))


def test_a_replay_of_kernels_costs_its_passes_and_a_range_its_starts() -> None:
    pace = Pace(start_s=10, pass_s=0.01)
    assert estimate_s(0.5, PAPER, 100, "9.0", pace) == pytest.approx(10 + 9 * (0.5 + 1))
    assert estimate_s(0.5, SINGLE, 100, "9.0", pace) == pytest.approx(10.5)
    assert estimate_s(0.5, SINGLE, 100, "7.5", pace) == pytest.approx(21)
    assert estimate_s(0.5, PAPER, None, None, pace) > estimate_s(0.5, PAPER, 100, "9.0", pace)


@given(st.floats(1, 1e4), st.floats(1e-3, 10), st.integers(1, 5000))
def test_what_an_engine_took_is_what_the_next_like_it_is_expected_to_take(
    took_s: float, span_s: float, kernels: int
) -> None:
    estimated_s = estimate_s(0.0, PAPER, kernels, "9.0")
    pace = learned(ASSUMED, estimated_s, took_s)
    assert estimate_s(0.0, PAPER, kernels, "9.0", pace) == pytest.approx(took_s)
    assert estimate_s(span_s, PAPER, kernels, "9.0", pace) > took_s
