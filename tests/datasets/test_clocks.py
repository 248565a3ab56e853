"""What a changed clock does to a slowdown is told apart from contention."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_campaign import MS, Maker

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.derive.clocks import block_clocks
from cotenant.datasets.raw_siblings import RAW_TELEMETRY
from cotenant.datasets.read import read_table

RESNET, VIT = "resnet18@1", "vit_ti_16@1"


def telemetry(times_ns: list[int], clocks_mhz: list[int | None]) -> pa.Table:
    columns = {field.name: pa.nulls(len(times_ns), field.type) for field in RAW_TELEMETRY}
    columns |= {
        "sample_index": pa.array(range(len(times_ns)), pa.int32()),
        "t_ns": pa.array(times_ns, pa.int64()),
        "sm_clock_mhz": pa.array(clocks_mhz, RAW_TELEMETRY.field("sm_clock_mhz").type),
        "sample_ns": pa.array([1000] * len(times_ns), pa.int64()),
    }
    return pa.Table.from_arrays([columns[field.name] for field in RAW_TELEMETRY], schema=RAW_TELEMETRY)


def sampled(folder: Path, clock_mhz: dict[str, int], period_ns: int) -> None:
    """Put telemetry beside each experiment: the clock of the arm that runs when a sample is taken."""
    for path in sorted((folder / "raw").glob("*.parquet")):
        if "." in path.stem:
            continue
        found = raw.read_raw(path)
        blocks = found.metadata["blocks"]
        times = range(blocks[0]["window_start_ns"] - MS, blocks[-1]["window_end_ns"] + MS, period_ns)
        begins = [block["window_start_ns"] for block in blocks]
        arms = [blocks[max(0, int(np.searchsorted(begins, time, "right")) - 1)]["arm"] for time in times]
        samples = telemetry(list(times), [clock_mhz[arm] for arm in arms])
        raw.write_raw(path.parent, path.stem, found.executions, found.metadata, {"telemetry": samples})


def campaign(folder: Path, slowdown: float, co_run_mhz: int, period_ns: int) -> list[dict[str, object]]:
    made = Maker(folder, slowdown=slowdown, noise=0.002, quads=8)
    made.solo(RESNET)
    made.pair(RESNET, VIT)
    sampled(folder, {"solo": 1800, "profile": 1800, "co_run": co_run_mhz}, period_ns)
    build_dataset(folder)
    return list(read_table(folder, "slowdowns").to_pylist())


@pytest.mark.parametrize("period_ns", [5 * MS, 70 * MS, 500 * MS])
def test_a_clock_drop_without_contention_is_the_clocks(tmp_path: Path, period_ns: int) -> None:
    """Also where samples are sparser than blocks of 100 ms."""
    for row in campaign(tmp_path, slowdown=1 / 0.9, co_run_mhz=1620, period_ns=period_ns):
        assert row["slowdown_ratio"] == pytest.approx(1 / 0.9, rel=0.005)
        assert row["cycle_ratio"] == pytest.approx(1.0, abs=0.005)
        # one interval in twenty misses by a hair; a wrong clock would miss by 11 %
        assert row["cycle_lower_ratio"] - 0.001 <= 1.0 <= row["cycle_upper_ratio"] + 0.001  # type: ignore[operator]


def test_contention_at_a_steady_clock_is_the_same_in_cycles(tmp_path: Path) -> None:
    for row in campaign(tmp_path, slowdown=1.2, co_run_mhz=1800, period_ns=70 * MS):
        for end in ("", "_lower", "_upper"):
            assert row[f"cycle{end}_ratio"] == pytest.approx(row[f"slowdown{end}_ratio"], rel=1e-5)


def test_cycles_and_clocks_stand_in_the_tables(tmp_path: Path) -> None:
    campaign(tmp_path, slowdown=1.2, co_run_mhz=1700, period_ns=5 * MS)
    (profile,) = read_table(tmp_path, "solo_profiles").to_pylist()
    assert profile["sm_clock_mhz"] == pytest.approx(1800)
    blocks = {(row["experiment_id"], row["block_index"]): row for row in read_table(tmp_path, "blocks").to_pylist()}
    for row in read_table(tmp_path, "executions").to_pylist():
        clock_mhz = blocks[row["experiment_id"], row["block_index"]]["sm_clock_mhz"]
        assert row["span_cycle_count"] == pytest.approx(row["span_ns"] * clock_mhz / 1000, abs=1)


def test_without_a_clock_nothing_is_made_up(tmp_path: Path) -> None:
    made = Maker(tmp_path, quads=2)
    made.pair(RESNET, VIT)
    build_dataset(tmp_path)
    for row in read_table(tmp_path, "slowdowns").to_pylist():
        assert row["cycle_ratio"] is None
        assert dict(row["null_reasons"])["cycle_ratio"] == "not_measured"
    assert read_table(tmp_path, "executions")["span_cycle_count"].null_count == len(read_table(tmp_path, "executions"))
    (experiment,) = read_table(tmp_path, "experiments").to_pylist()
    assert dict(experiment["null_reasons"])["executions.span_cycle_count"] == "not_measured"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(100, 2000)), max_size=30), st.integers(1, 6))
def test_a_block_takes_its_own_samples_else_those_of_its_kind(samples: list[tuple[int, int]], count: int) -> None:
    blocks = [
        {"arm": ("solo", "co_run")[k % 2], "tenants": ["a"], "window_start_ns": 10 * k, "window_end_ns": 10 * k + 4}
        for k in range(count)
    ]
    taken = telemetry([10 * k + k % 4 for k, _ in samples], [clock for _, clock in samples])
    found = block_clocks(blocks, taken)
    of_block = [[clock for k, clock in samples if k == place] for place in range(count)]
    for place, clock in enumerate(found):
        kind = [each for other in range(place % 2, count, 2) for each in of_block[other]]
        expected = of_block[place] or kind
        assert (clock is None) == (not expected)
        assert clock is None or clock == pytest.approx(sum(expected) / len(expected))
