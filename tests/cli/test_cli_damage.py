"""Files that were truncated, edited or replaced behind our back."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import Cotenant

from cotenant.datasets.raw import finished as finished_ids

Command = tuple[Cotenant, Path, Path]


@pytest.fixture
def again(cotenant: Cotenant, finished_once: Path, finished: Path) -> Command:
    """The command, the spec of a finished campaign, and a copy of its folder."""
    return cotenant, finished_once / "tiny.yaml", finished


def raw_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "raw").glob("*.parquet")}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_truncated_raw_file_is_named_and_measured_anew_once_deleted(again: Command) -> None:
    cotenant, spec, out = again
    before = raw_files(out)
    spoilt = sorted((out / "raw").glob("*.parquet"))[0]
    truncate(spoilt)
    for arguments in (["campaign", "run", spec, "--out", out], ["dataset", "build", out], ["campaign", "status", out]):
        done = cotenant(*arguments)
        assert done.code == 1
        assert spoilt.name in done.told
        assert "delete" in done.told
    spoilt.unlink()
    done = cotenant("campaign", "run", spec, "--out", out)
    assert done.code == 0, done.err
    after = raw_files(out)
    assert after.keys() == before.keys()
    changed = {name for name in before if after[name] != before[name]}
    assert {name.partition(".")[0] for name in changed} == {spoilt.stem}  # with what lies beside it


def test_a_file_that_is_no_raw_file_is_named(again: Command) -> None:
    cotenant, spec, out = again
    stranger = out / "raw" / "0123456789abcdef0123.parquet"
    pq.write_table(pa.table({"x": [1]}), stranger)
    done = cotenant("campaign", "run", spec, "--out", out)
    assert done.code == 1
    assert stranger.name in done.told


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("campaign.yaml", b"{\xff["),
        ("campaign.yaml", b""),
        ("campaign.yaml", b"- a\n"),
        ("campaign.yaml", b"lanes: 2\n"),
        ("campaign.yaml", b"[" * 50_000),
        ("plan.json", b"{\xff["),
        ("plan.json", b""),
        ("plan.json", b"[1]"),
        ("plan.json", b'{"cells": [{}]}'),
        ("plan.json", b'{"cells": [1]}'),
        ("plan.json", b'{"cells": [{"cell_id": "a", "kind": "pair"}]}'),
        ("plan.json", b"[" * 200_000),
    ],
)
def test_a_damaged_plan_or_spec_is_told(again: Command, name: str, content: bytes) -> None:
    cotenant, spec, out = again
    (out / name).write_bytes(content)
    done = cotenant("campaign", "status", out)
    assert done.code == 2
    assert f"{name} is damaged" in done.told
    if name == "campaign.yaml":
        run = cotenant("campaign", "run", spec, "--out", out)
        assert run.code == 2
        assert f"{name} is damaged" in run.told
        assert (out / name).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]", b'{"tenants": 3}', b'{"count": "x"}', b"[" * 200_000])
def test_a_damaged_record_of_a_failure_is_told_beside_the_rest(again: Command, content: bytes) -> None:
    cotenant, _, out = again
    (out / "failed" / "0123.json").write_bytes(content)
    done = cotenant("campaign", "status", out)
    assert done.code == 0, done.err
    assert "unreadable record" in done.out
    assert str(out / "failed" / "0123.json") in done.out
    assert "experiments done; not running" in done.out
    assert json.loads(cotenant("campaign", "status", out, "--json").out)["failed_count"] == 1


def test_damaged_metadata_of_an_engine_is_written_again(again: Command) -> None:
    cotenant, spec, out = again
    meta = sorted((out / "engines").glob("*/meta.json"))[0]
    whole = meta.read_text()
    truncate(meta)
    assert cotenant("campaign", "run", spec, "--out", out).code == 0
    assert meta.read_text() == whole


@pytest.mark.parametrize("name", ["meta.json", "graph.onnx"])
def test_a_truncated_engine_in_the_cache_is_built_again(
    cotenant: Cotenant, spec: Path, tmp_path: Path, name: str
) -> None:
    cache = tmp_path / "cache"
    first = cotenant("campaign", "run", spec, "--out", tmp_path / "first", "--cache", cache)
    assert first.code == 0, first.err
    spoilt = [path for path in cache.glob(f"engines/*/{name}") if is_our_net(path.parent)]
    assert len(spoilt) == 1
    truncate(spoilt[0])
    second = cotenant("campaign", "run", spec, "--out", tmp_path / "second", "--cache", cache)
    assert second.code == 0, second.err
    assert spoilt[0].parent.name in second.err
    before, after = (engine_digests(tmp_path / out) for out in ("first", "second"))
    assert before == after


def test_an_engine_whose_digest_changed_stops_the_campaign(again: Command) -> None:
    """The stored result claims another engine than the cache holds: as if the same id had been built differently."""
    cotenant, spec, out = again
    mains = (out / "raw" / f"{experiment_id}.parquet" for experiment_id in sorted(finished_ids(out / "raw")))
    path = next(path for path in mains if kind_of(path) == "pair")
    table = pq.read_table(path)
    metadata = json.loads(table.schema.metadata[b"cotenant"])
    for engine in metadata["engines"]:
        engine["engine_sha256"] = "0" * 64
    pq.write_table(table.replace_schema_metadata({b"cotenant": json.dumps(metadata).encode()}), path)
    before = raw_files(out)
    done = cotenant("campaign", "run", spec, "--out", out)
    assert done.code == 2
    assert metadata["engines"][0]["engine_id"] in done.told
    assert "build_index: 1" in done.told
    assert raw_files(out) == before


def test_an_unknown_column_in_a_dataset_is_a_fault(again: Command) -> None:
    cotenant, _, out = again
    path = sorted((out / "dataset" / "slowdowns").rglob("*.parquet"))[0]
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.append_column("slowdwn_ratio", pa.array([1.0] * len(table))), path)
    done = cotenant("dataset", "check", out)
    assert done.code == 1
    assert "slowdwn_ratio" in done.out + done.err
    assert "Traceback" not in done.err


def test_a_truncated_table_is_a_fault(again: Command) -> None:
    cotenant, _, out = again
    truncate(sorted((out / "dataset" / "overlaps").rglob("*.parquet"))[0])
    done = cotenant("dataset", "check", out)
    assert done.code == 1
    assert "overlaps" in done.out + done.err
    assert "Traceback" not in done.err
    assert cotenant("dataset", "build", out).code == 0
    assert cotenant("dataset", "check", out).code == 0


def is_our_net(entry: Path) -> bool:
    try:
        return "net.onnx" in (entry / "meta.json").read_text()
    except FileNotFoundError:
        return False


def kind_of(path: Path) -> str:
    return str(json.loads(pq.read_schema(path).metadata[b"cotenant"])["kind"])


def engine_digests(out: Path) -> dict[str, str]:
    found = (json.loads(path.read_text()) for path in (out / "engines").glob("*/meta.json"))
    return {engine["engine_id"]: engine["engine_sha256"] for engine in found}
