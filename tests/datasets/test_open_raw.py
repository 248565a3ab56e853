"""A raw file that does not hold together is refused with a line that says what is wrong."""

from pathlib import Path

import pytest
from raw_campaign import Maker, executions_table, metadata

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset

TENANT = {"tenant": "a", "lane": 0, "engine_ids": ["e"]}
ROW = ("a", 0, "e", "solo", 0, 0, 9)
QUAD = {"arm": "co_run", "quad_index": 0}


@pytest.mark.parametrize(
    ("says", "changes", "told_of", "row"),
    [
        ("does not end after it starts", {}, {}, ("a", 0, "e", "solo", 0, 9, 9)),
        ("a tenant that it does not list", {}, {}, ("z", 0, "e", "solo", 0, 0, 9)),
        ("an engine that it does not list", {}, {}, ("a", 0, "f", "solo", 0, 0, 9)),
        ("a block that it does not list", {}, {}, ("a", 0, "e", "solo", 1, 0, 9)),
        ("on a lane that it does not have", {}, {}, ("a", 2, "e", "solo", 0, 0, 9)),
        ("does not number its blocks", {"block_index": 1}, {}, ROW),
        ("quad without quad_index", {"arm": "co_run"}, {}, ROW),
        ("one of no quad with it", {"quad_index": 0}, {}, ROW),
        ("of arm duet, which this cotenant does not know", {"arm": "duet"}, {}, ROW),
        ("another number of offsets than of tenants", {"offsets_ns": [0, 5]}, {}, ROW),
        ("a tenant that is none of the block's", {"tenants": ["b"]}, {}, ROW),
        ("a tenant whose engine it does not list", {}, {"engine_ids": ["e", "f"]}, ROW),
        ("a tenant whose engine it does not list", {}, {"engine_ids": []}, ROW),
        ("an engine that is not their tenant's", {}, {}, ("a", 0, "g", "solo", 0, 0, 9)),
        ("on another lane than their tenant's", {}, {"lane": 1}, ROW),
        ("in quads without a lane, or with several engines", QUAD, {"engine_ids": ["e", "g"]}, ROW),
        ("in quads without a lane, or with several engines", QUAD, {"lane": None}, ROW),
    ],
)
def test_a_raw_file_that_does_not_hold_together_is_told(
    tmp_path: Path,
    says: str,
    changes: dict[str, object],
    told_of: dict[str, object],
    row: tuple[str, int, str, str, int, int, int],
) -> None:
    block = {
        "block_index": 0, "quad_index": None, "arm": "profile", "tenants": ["a"],
        "window_start_ns": 0, "window_end_ns": 9, "offsets_ns": None, **changes,
    }  # fmt: skip
    told = metadata(engines=[{"engine_id": "e"}, {"engine_id": "g"}], tenants=[TENANT | told_of], blocks=[block])
    (tmp_path / "raw").mkdir()
    raw.write_raw(tmp_path / "raw", told["experiment_id"], executions_table([row]), told)
    with pytest.raises(raw.RawDamagedError, match=says):
        build_dataset(tmp_path)


def test_a_kind_of_a_newer_cotenant_is_told(tmp_path: Path) -> None:
    Maker(tmp_path, quads=1).together("pair", ["resnet18@1", "vit_ti_16@1"])
    (path,) = (tmp_path / "raw").iterdir()
    found = raw.read_raw(path)
    raw.write_raw(path.parent, path.stem, found.executions, {**found.metadata, "kind": "duet"})
    with pytest.raises(raw.RawDamagedError, match="of kind duet, which this cotenant does not know"):
        build_dataset(tmp_path)


def test_no_executions_are_told(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    table = executions_table([("a", 0, "e", "solo", 0, 0, 9)])[:0]
    raw.write_raw(tmp_path / "raw", metadata()["experiment_id"], table, metadata())
    with pytest.raises(raw.RawDamagedError, match="has no executions"):
        build_dataset(tmp_path)


def test_executions_are_numbered_without_gaps(tmp_path: Path) -> None:
    Maker(tmp_path, quads=1).together("pair", ["resnet18@1", "vit_ti_16@1"])
    (path,) = (tmp_path / "raw").iterdir()
    found = raw.read_raw(path)
    raw.write_raw(path.parent, path.stem, found.executions[1:].combine_chunks(), found.metadata)
    with pytest.raises(raw.RawDamagedError, match="does not number its executions"):
        build_dataset(tmp_path)
