"""The engine cache: whole or absent, verified, rebuilt when damaged, safe between processes."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cotenant.models.digest import sha256_of
from cotenant.models.errors import UserError, WorkError
from cotenant.runners.engine_cache import (
    ENGINE_FIELDS,
    META,
    Built,
    EntryDamaged,
    default_cache,
    obtain,
    place,
    read_meta,
)
from cotenant.runners.protocol import Engine

ENGINE_ID = "0123456789abcdef0123"
BUILDS = "builds.log"


def builder(log: Path, engine_id: str = ENGINE_ID) -> Callable[[Path], Built]:
    """Write one small engine and note each build."""

    def build(folder: Path) -> Built:
        with log.open("a") as stream:
            stream.write("built\n")
        (folder / "graph.onnx").write_bytes(b"graph" * 100)
        weights = log.parent / "shared.bin"
        if not weights.exists():
            weights.write_bytes(bytes(10_000))
        place(weights, folder)
        fields: dict[str, Any] = dict.fromkeys(ENGINE_FIELDS, 1) | {"engine_id": engine_id, "model": "m"}
        return Built(fields, {"versions": {"backend": "1.0"}})

    return build


def build_count(log: Path) -> int:
    return len(log.read_text().splitlines())


def edit_meta(entry: Path, change: Callable[[dict[str, Any]], None], sign: bool) -> None:
    meta = json.loads((entry / META).read_text())
    change(meta)
    if sign:
        del meta["meta_sha256"]
        meta["meta_sha256"] = sha256_of(meta)
    (entry / META).write_text(json.dumps(meta))


def test_an_engine_is_built_once_and_found_again(tmp_path: Path) -> None:
    log = tmp_path / BUILDS
    first = obtain(tmp_path, ENGINE_ID, builder(log))
    assert obtain(tmp_path, ENGINE_ID, builder(log)) == first
    assert build_count(log) == 1
    assert first.folder == tmp_path / "engines" / ENGINE_ID
    meta = read_meta(first.folder)
    assert meta["build_ns"] > 0
    assert meta["versions"]["backend"] == "1.0"
    assert set(meta["files"]) == {"graph.onnx", "shared.bin"}
    assert [path.name for path in (tmp_path / "engines").iterdir()] == [ENGINE_ID]


def test_weights_are_linked_not_copied(tmp_path: Path) -> None:
    engine = obtain(tmp_path, ENGINE_ID, builder(tmp_path / BUILDS))
    assert (engine.folder / "shared.bin").stat().st_ino == (tmp_path / "shared.bin").stat().st_ino


def test_weights_are_copied_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(target))

    monkeypatch.setattr(os, "link", no_links)
    engine = obtain(tmp_path, ENGINE_ID, builder(tmp_path / BUILDS))
    copy = engine.folder / "shared.bin"
    assert copy.read_bytes() == (tmp_path / "shared.bin").read_bytes()
    assert copy.stat().st_ino != (tmp_path / "shared.bin").stat().st_ino


def truncate_graph(entry: Path) -> None:
    (entry / "graph.onnx").write_bytes(b"graph")


def flip_graph(entry: Path) -> None:
    data = bytearray((entry / "graph.onnx").read_bytes())
    data[7] ^= 1
    (entry / "graph.onnx").write_bytes(data)


def drop_weights(entry: Path) -> None:
    (entry / "shared.bin").unlink()


def truncate_meta(entry: Path) -> None:
    (entry / META).write_bytes((entry / META).read_bytes()[:50])


def empty_meta(entry: Path) -> None:
    (entry / META).write_bytes(b"")


def list_as_meta(entry: Path) -> None:
    (entry / META).write_text("[]")


def edited_meta(entry: Path) -> None:
    edit_meta(entry, lambda meta: meta["engine"].update(mac_count=7), sign=False)


def foreign_meta(entry: Path) -> None:
    edit_meta(entry, lambda meta: meta["engine"].update(engine_id="f" * 20), sign=True)


def meta_of_another_version(entry: Path) -> None:
    edit_meta(entry, lambda meta: meta["versions"].update(cotenant="0.0.1"), sign=True)


def meta_without_a_field(entry: Path) -> None:
    edit_meta(entry, lambda meta: meta["engine"].pop("mac_count"), sign=True)


DAMAGES = [
    truncate_graph,
    flip_graph,
    drop_weights,
    truncate_meta,
    empty_meta,
    list_as_meta,
    edited_meta,
    foreign_meta,
    meta_of_another_version,
    meta_without_a_field,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=[damage.__name__ for damage in DAMAGES])
def test_a_damaged_entry_is_told_and_rebuilt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    log = tmp_path / BUILDS
    first = obtain(tmp_path, ENGINE_ID, builder(log))
    damage(first.folder)
    with pytest.raises(EntryDamaged):
        read_meta(first.folder)
    with caplog.at_level(logging.WARNING):
        assert obtain(tmp_path, ENGINE_ID, builder(log)) == first
    assert f"building engine {ENGINE_ID} anew" in caplog.text
    assert build_count(log) == 2
    read_meta(first.folder)
    assert [path.name for path in (tmp_path / "engines").iterdir()] == [ENGINE_ID]


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "engines" / f".tmp-{ENGINE_ID}-abc"
    leftover.mkdir(parents=True)
    (leftover / "graph.onnx").write_bytes(b"half")
    obtain(tmp_path, ENGINE_ID, builder(tmp_path / BUILDS))
    assert not leftover.exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> Built:
        (folder / "graph.onnx").write_bytes(b"half")
        raise WorkError("no")

    with pytest.raises(WorkError, match=r"^no$"):
        obtain(tmp_path, ENGINE_ID, fail)
    assert list((tmp_path / "engines").iterdir()) == []


def test_who_wants_one_engine_at_the_same_time_builds_it_once(tmp_path: Path) -> None:
    log = tmp_path / BUILDS
    barrier = threading.Barrier(4)

    def slowly(folder: Path) -> Built:
        time.sleep(0.05)
        return builder(log)(folder)

    def want(_: int) -> Engine:
        barrier.wait()
        return obtain(tmp_path, ENGINE_ID, slowly)

    with ThreadPoolExecutor(4) as pool:  # the lock belongs to an open file: threads meet it as processes do
        engines = list(pool.map(want, range(4)))
    assert engines == [engines[0]] * 4
    assert build_count(log) == 1


def test_a_cache_that_cannot_be_written_is_the_users_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"engine cache .*file.*--cache"):
        obtain(tmp_path / "file", ENGINE_ID, builder(tmp_path / BUILDS))


def test_a_full_disk_is_a_fault_of_the_work(tmp_path: Path) -> None:
    def full(folder: Path) -> Built:
        raise OSError(28, "No space left on device", str(folder / "graph.onnx"))

    with pytest.raises(WorkError, match=r"No space left on device.*free space"):
        obtain(tmp_path, ENGINE_ID, full)


def test_the_default_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "cotenant"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "cotenant"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the standard says to ignore relative paths
    assert default_cache() == tmp_path / ".cache" / "cotenant"
