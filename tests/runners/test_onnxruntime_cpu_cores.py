"""Cores for lanes: physical cores first, the host elsewhere, quotas respected."""

import os
from pathlib import Path

import pytest

from cotenant.runners.onnxruntime_cpu import cores


@pytest.fixture
def topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four physical cores with two threads each: 0+4, 1+5, 2+6, 3+7."""
    for core in range(8):
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{core % 4},{core % 4 + 4}\n")
    monkeypatch.setattr(cores, "CPU_FOLDER", tmp_path)


@pytest.mark.parametrize(("text", "expected"), [("0", {0}), ("0-3,8\n", {0, 1, 2, 3, 8}), ("5-5", {5}), ("\n", set())])
def test_kernel_lists_are_read(text: str, expected: set[int]) -> None:
    assert cores.parse_cpu_list(text) == expected


@pytest.mark.usefixtures("topology")
def test_lanes_take_physical_cores_before_siblings_and_the_first_last() -> None:
    assert cores.lane_order(range(8)) == [1, 2, 3, 0, 4, 5, 6, 7]
    assert cores.lane_order([4, 5, 1]) == [4, 1, 5]
    assert cores.lane_order([3]) == [3]
    assert cores.physical_cores(range(8)) == {0, 1, 2, 3}
    assert cores.physical_cores([4, 0]) == {0}


@pytest.mark.usefixtures("topology")
def test_the_host_goes_where_no_lane_is_near() -> None:
    assert cores.host_cores(range(8), {1, 2}) == {0, 4, 3, 7}
    assert cores.host_cores([0, 1, 4, 5], {0, 1}) == {4, 5}
    assert cores.host_cores([0, 1], {0, 1}) == set()


def test_the_host_is_moved_and_comes_back() -> None:
    allowed = cores.allowed_cores()
    if len(allowed) < 2:
        pytest.skip("needs two cores")
    with cores.host_kept_off(allowed, {allowed[0]}) as moved:
        assert moved
        assert allowed[0] not in os.sched_getaffinity(0)
    assert cores.allowed_cores() == allowed
    with cores.host_kept_off(allowed, set(allowed)) as moved:
        assert not moved
        assert cores.allowed_cores() == allowed


@pytest.mark.parametrize(("quota", "host_has_time"), [(None, True), (2.0, True), (1.9, False), (1.0, False)])
def test_a_core_without_time_is_no_core_for_the_host(
    quota: float | None, host_has_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = cores.allowed_cores()
    if len(cores.physical_cores(allowed)) < 2:
        pytest.skip("needs two cores")
    monkeypatch.setattr(cores, "quota_cores", lambda: quota)
    with cores.host_kept_off(allowed, {allowed[-1]}) as left:
        assert left is host_has_time


def test_the_tightest_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "inner" / "cpu.max").write_text("max 100000\n")
    monkeypatch.setattr(cores, "_quota_files", lambda: [tmp_path / "inner" / "cpu.max", tmp_path / "cpu.max"])
    assert cores.quota_cores() == 1.5
    (tmp_path / "cpu.max").unlink()
    assert cores.quota_cores() is None
