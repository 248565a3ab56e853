"""Drift of solo spans is told where it is one, and scatter is not sold as drift."""

from pathlib import Path

import pyarrow as pa
import pytest
from raw_campaign import Maker

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.read import read_table


def drifts(folder: Path) -> list[float]:
    rows = read_table(folder, "experiments").to_pylist()
    return [row["canary_drift_ratio"] for row in rows if row["kind"] == "pair"]


@pytest.mark.parametrize("noise", [0.004, 0.02, 0.1])
def test_scatter_alone_is_no_drift(noise: float, tmp_path: Path) -> None:
    made = Maker(tmp_path, noise=noise, quads=6)
    made.self_test()
    for _ in range(30):
        made.pair("resnet18@1", "vit_ti_16@1")
    build_dataset(tmp_path)
    found = drifts(tmp_path)
    assert len(found) == 30
    assert sum(drift > 1.0 for drift in found) <= 3
    assert max(found) < 1 + noise


def test_a_drift_beyond_scatter_is_told(tmp_path: Path) -> None:
    made = Maker(tmp_path, noise=0.02, quads=6)
    path = tmp_path / "raw" / f"{made.pair('resnet18@1', 'vit_ti_16@1')}.parquet"
    found = raw.read_raw(path)
    quads = {block["block_index"]: block["quad_index"] for block in found.metadata["blocks"]}
    rows = found.executions.to_pylist()
    for row in rows:  # the last third is 10 % shorter
        if quads[row["block_index"]] >= 4:
            row["end_ns"] -= round(0.1 * (row["end_ns"] - row["start_ns"]))
    raw.write_raw(path.parent, path.stem, pa.Table.from_pylist(rows, schema=raw.RAW_EXECUTIONS), found.metadata)
    build_dataset(tmp_path)
    (drift,) = drifts(tmp_path)
    assert 1.08 < drift < 1 / 0.9, "what its scatter explains is taken off"
