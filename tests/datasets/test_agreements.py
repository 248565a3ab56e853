"""How far two counter sources agree: against scipy, and row by row."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiled_campaign import LABELS, paper, profiled_campaign, write
from raw_campaign import DEVICE, Maker
from scipy import stats

from cotenant.datasets.agreement import median_ratio, rank_correlation
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.describe import describe_dataset
from cotenant.datasets.read import read_table

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=12)
Row = dict[str, Any]


def rows(folder: Path, name: str = "agreements") -> list[Row]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    return list(read_table(folder, name).to_pylist())


@settings(deadline=None)
@given(PAIRS)
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    first, second = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    found = rank_correlation(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9), st.floats(0.1, 10))
def test_the_median_ratio_of_a_fixed_factor_is_that_factor(values: list[float], factor: float) -> None:
    found = median_ratio([value * factor for value in values], values, seed=1)
    assert found.value == pytest.approx(factor)
    assert (found.lower is None) == (len(values) < 2)
    if found.lower is not None and found.upper is not None:
        assert found.lower == pytest.approx(factor)
        assert found.upper == pytest.approx(factor)


def test_bounds_of_the_median_ratio_come_from_the_seed_and_hold_most_medians() -> None:
    random = np.random.default_rng(3)
    held = 0
    for trial in range(60):
        ratios = np.exp(random.normal(math.log(1.5), 0.3, 15)).tolist()
        found = median_ratio(ratios, [1.0] * 15, seed=trial)
        assert found == median_ratio(ratios, [1.0] * 15, seed=trial)
        assert found.lower is not None
        assert found.upper is not None
        held += found.lower <= 1.5 <= found.upper
    assert held >= 50, "95 percent bounds of few engines"


def test_a_zero_on_the_other_side_has_no_ratio() -> None:
    assert median_ratio([1.0, 2.0, 3.0], [0.0, 1.0, 1.0], 1).value == 2.5
    assert median_ratio([1.0], [0.0], 1).value is None


def test_two_sets_of_one_device_are_compared_metric_by_metric(tmp_path: Path) -> None:
    found = {(row["metric"], row["counter_set"], row["other_set"]): row for row in rows(profiled_campaign(tmp_path))}
    own = found["sm_pct", "paper", "single"]
    assert (own["engine_count"], own["rank_correlation"]) == (3, 1.0)
    ratios = [(40 * (1 + place / 4)) / (36 * (1 + place / 3)) for place in range(3)]
    assert own["median_ratio"] == pytest.approx(sorted(ratios)[1])
    assert min(ratios) <= own["median_lower_ratio"] <= own["median_ratio"] <= own["median_upper_ratio"] <= max(ratios)
    assert found["dram_pct", "paper", "probe"]["rank_correlation"] == 1.0, "paper's rise from engine to engine too"
    assert ("issue_pct", "paper", "single") not in found, "neither has it"
    page = describe_dataset(tmp_path)
    assert "ncu paper is" in page.text()
    told = [
        each for each in page.as_dict()["agreements"] if (each["metric"], each["other"]) == ("sm_pct", "ncu single")
    ]
    assert [(each["source"], each["median_ratio"]) for each in told if each["source"] == "ncu paper"] == [
        ("ncu paper", own["median_ratio"])
    ]
    assert page.counter_sources == {"analytic": 3, "ncu paper": 3, "ncu single": 3, "probe": 3}


def test_too_few_engines_and_no_order_are_said(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    for label in LABELS[:2]:
        maker.solo(label, repeats=1)
        write(tmp_path, paper(label))
    found = {row["metric"]: row for row in rows(tmp_path)}
    assert dict(found["sm_pct"]["null_reasons"])["rank_correlation"] == "too_few_engines"
    assert (found["sm_pct"]["engine_count"], found["sm_pct"]["median_ratio"]) == (2, None)
    maker.solo(LABELS[2], repeats=1)
    write(tmp_path, paper(LABELS[2]))
    found = {row["metric"]: row for row in rows(tmp_path)}
    assert dict(found["sm_pct"]["null_reasons"]) == {"rank_correlation": "no_spread"}, "all by paper are the same"
    assert found["sm_pct"]["median_ratio"] is not None


def test_devices_are_never_compared_with_each_other(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    for label in LABELS:
        maker.solo(label, repeats=1)
        apart = paper(label)
        apart["metadata"] = {**apart["metadata"], "device": {**DEVICE, "device_id": "cpu-1"}}
        write(tmp_path, apart)
    assert rows(tmp_path) == []
