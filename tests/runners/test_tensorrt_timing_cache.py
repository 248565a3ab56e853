"""Timings shared between builds: none lost, a bad file made anew. TensorRT needs a GPU: its calls are stood in for."""

import threading
from pathlib import Path

import pytest

from cotenant.runners.tensorrt.build_log import BuildLog
from cotenant.runners.tensorrt.flavour import TENSORRT, Installed
from cotenant.runners.tensorrt.timing_cache import keep_timing_cache, timing_cache_path, use_timing_cache

HERE = Installed(TENSORRT, "tensorrt", "11.4.0.106")
MAGIC = b"timings\n"


class Timings:
    """A set of timed layers, serialised as lines behind a magic word."""

    def __init__(self, layers: set[str]) -> None:
        self.layers = layers

    def combine(self, input_cache: "Timings", ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.layers |= input_cache.layers
        return True

    def serialize(self) -> bytes:
        return MAGIC + "\n".join(sorted(self.layers)).encode()


class Config:
    """Takes timings of its own kind; an empty file is a new one, as the library's page says."""

    max_aux_streams = 0

    def __init__(self) -> None:
        self.timings: Timings | None = None

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Timings | None:
        if serialized_timing_cache == b"":
            return Timings(set())
        if not serialized_timing_cache.startswith(MAGIC):
            return None
        return Timings(set(serialized_timing_cache.removeprefix(MAGIC).decode().split("\n")))

    def set_timing_cache(self, cache: Timings, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.timings = cache
        return "of another GPU" not in cache.layers

    def get_timing_cache(self) -> Timings | None:
        return self.timings


def build(path: Path, *layers: str) -> set[str]:
    """Stand in for a build that times layers; returns what it knew beforehand."""
    config, log = Config(), BuildLog()
    held = use_timing_cache(config, path, log)
    assert held is not None
    known = set(held.layers)
    config.timings.layers.update(layers)
    keep_timing_cache(config, path)
    return known


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return timing_cache_path(tmp_path, HERE, "NVIDIA L4, sm_89, driver 1.0")


def test_a_build_knows_what_earlier_ones_timed(path: Path) -> None:
    assert build(path, "conv") == set()
    assert build(path, "gemm") == {"conv"}
    assert build(path) == {"conv", "gemm"}


def test_builds_at_once_lose_nothing(path: Path) -> None:
    threads = [threading.Thread(target=build, args=(path, f"layer {index}")) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build(path) == {f"layer {index}" for index in range(16)}
    assert list(path.parent.glob(".tmp-*")) == []


@pytest.mark.parametrize("content", [b"junk", MAGIC + b"of another GPU"])
def test_a_file_that_does_not_fit_is_made_anew_and_told(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    log = BuildLog()
    held = use_timing_cache(Config(), path, log)
    assert held is not None
    assert held.layers == set()
    assert [str(path) in line for line in log.warnings] == [True]


def test_each_version_and_device_has_its_own_file(tmp_path: Path) -> None:
    newer = Installed(TENSORRT, "tensorrt", "11.5.0.1")
    paths = [
        timing_cache_path(tmp_path, HERE, "NVIDIA L4, sm_89, driver 1.0"),
        timing_cache_path(tmp_path, HERE, "NVIDIA L4, sm_89, driver 2.0"),
        timing_cache_path(tmp_path, newer, "NVIDIA L4, sm_89, driver 1.0"),
    ]
    assert len(set(paths)) == 3
