"""Full and read-only disks: one line, nothing lost, and the same command goes on when there is room."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cotenant, Done

Disks = Callable[[int], Any]
ReadOnly = Callable[[Path], None]


def raw_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "raw").glob("*.parquet")}


def assert_disk_full_is_told(done: Done, folder: Path) -> None:
    assert done.code == 1
    assert "No space left on device" in done.told or "the disk is full" in done.told
    assert str(folder) in done.told
    assert "space" in done.told.split(";")[-1] or "free" in done.told


@pytest.mark.parametrize("size_bytes", [4096, 64 << 10, 128 << 10])
def test_a_disk_that_fills_up_loses_nothing(
    cotenant: Cotenant, spec: Path, small_disk: Disks, size_bytes: int, tmp_path: Path
) -> None:
    disk = small_disk(size_bytes)
    out = disk.folder / "out"
    done = cotenant("campaign", "run", spec, "--out", out, **disk.variables)
    assert_disk_full_is_told(done, disk.folder)
    kept = raw_files(out) if out.exists() else {}
    if not disk.variables:
        return
    again = cotenant("campaign", "run", spec, "--out", out)
    assert again.code == 0, again.err
    assert kept.items() <= raw_files(out).items()


def test_a_full_cache_is_told(cotenant: Cotenant, spec: Path, small_disk: Disks, tmp_path: Path) -> None:
    disk = small_disk(4096)
    cache = disk.folder / "cache"
    done = cotenant("campaign", "run", spec, "--out", tmp_path / "out", "--cache", cache, **disk.variables)
    assert_disk_full_is_told(done, disk.folder)


def test_a_read_only_folder_is_told(cotenant: Cotenant, spec: Path, read_only: ReadOnly, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    read_only(place)
    done = cotenant("campaign", "run", spec, "--out", place / "out")
    assert done.code == 2
    assert str(place) in done.told
    assert "--out" in done.told
    assert list(place.iterdir()) == []


def test_a_finished_campaign_on_a_read_only_disk_can_be_read(
    cotenant: Cotenant, finished: Path, read_only: ReadOnly
) -> None:
    read_only(finished)
    assert cotenant("campaign", "status", finished).code == 0
    assert cotenant("dataset", "check", finished).code == 0
    assert cotenant("dataset", "describe", finished).code == 0
    done = cotenant("dataset", "build", finished)
    assert done.code == 2
    assert str(finished) in done.told


def test_a_read_only_cache_is_told(cotenant: Cotenant, spec: Path, read_only: ReadOnly, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    read_only(cache)
    done = cotenant("campaign", "run", spec, "--out", tmp_path / "out", "--cache", cache)
    assert done.code == 2
    assert str(cache) in done.told
    assert "--cache" in done.told
