"""The two sets of counters: which column each fills, and what chips have of them."""

import pytest

from cotenant.datasets.tables.throughputs import THROUGHPUTS
from cotenant.profiler.counters import metrics
from cotenant.profiler.counters.metrics import CHIPS, FILLED, METRIC_SETS, PAPER, SINGLE, available, expected_passes


def test_the_sets_are_what_the_paper_reads_and_thirteen_counters_of_one_pass() -> None:
    assert {metrics.SM, metrics.L2, metrics.DRAM, metrics.MEMORY, metrics.DURATION} <= set(PAPER.metrics)
    assert len(SINGLE.metrics) == len(set(SINGLE.metrics)) == 13
    assert (PAPER.replay_mode, PAPER.cache_control) == ("kernel", "all")
    assert (SINGLE.replay_mode, SINGLE.cache_control) == ("app-range", "none")
    assert {each.clock_control for each in METRIC_SETS.values()} == {"none"}


@pytest.mark.parametrize("metric_set", METRIC_SETS.values(), ids=METRIC_SETS)
def test_every_column_comes_from_metrics_of_its_set_and_exists(metric_set: metrics.MetricSet) -> None:
    known = {column.name for column in THROUGHPUTS.columns}
    filled = FILLED[metric_set.name]
    assert len({each.column for each in filled}) == len(filled)
    for each in filled:
        assert each.column in known
        assert set(each.metrics) <= set(metric_set.metrics)


def test_no_metric_of_one_set_is_passed_off_as_one_of_the_other() -> None:
    """Where both sets fill a column from different metrics, the set `single` says what it stands in for."""
    paper = {each.column: each for each in FILLED["paper"]}
    for each in FILLED["single"]:
        theirs = paper.get(each.column)
        if theirs is not None and theirs.metrics != each.metrics:
            assert each.proxy_for == theirs.metrics[0]
        else:
            assert each.proxy_for is None


@pytest.mark.parametrize("metric_set", METRIC_SETS.values(), ids=METRIC_SETS)
def test_what_a_chip_lacks_is_not_asked_for(metric_set: metrics.MetricSet) -> None:
    for capability, chip in CHIPS.items():
        asked = available(metric_set, capability)
        assert set(asked) == set(metric_set.metrics) - chip.lacks
        assert list(asked) == [metric for metric in metric_set.metrics if metric in asked]
        assert metrics.DURATION in asked
    assert available(metric_set, None) == available(metric_set, "99.0") == metric_set.metrics


def test_dram_counters_are_missing_where_memory_is_lpddr() -> None:
    assert {capability for capability, chip in CHIPS.items() if chip.lacks} == {"8.7", "11.0", "12.1"}
    assert not [metric for metric in available(SINGLE, "12.1") if "dram" in metric]


def test_single_is_one_pass_since_ampere_and_paper_never_is() -> None:
    assert {expected_passes(SINGLE, capability) for capability in CHIPS if capability != "7.5"} == {1}
    assert min(chip.passes["paper"] for chip in CHIPS.values()) > 1
    assert expected_passes(PAPER, "9.0") == 9
    assert expected_passes(PAPER, None) is None
    assert expected_passes(SINGLE, "99.0") is None


@pytest.mark.parametrize("metric_set", METRIC_SETS.values(), ids=METRIC_SETS)
def test_caches_are_left_alone_only_where_no_pass_finds_what_another_left(metric_set: metrics.MetricSet) -> None:
    for chip in CHIPS.values():
        several_in_one_run = chip.passes[metric_set.name] > 1 and metric_set.replay_mode == "kernel"
        assert metric_set.cache_control == "all" or not several_in_one_run
