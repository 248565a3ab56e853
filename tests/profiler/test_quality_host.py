"""What the kernel's files tell of a processor: fake roots for what cannot be made here, the real ones for the rest."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from burner import burning
from hypothesis import given
from hypothesis import strategies as st

from cotenant.profiler.quality.cgroup import groups_of_this_process, quota_cores, throttled_ns
from cotenant.profiler.quality.cpu_times import TICK_NS, CpuTimes, cpu_times, load_between
from cotenant.profiler.quality.doubts import doubts
from cotenant.profiler.quality.host import HostSource
from cotenant.profiler.quality.own_processes import own_cpu_ns, own_pids
from cotenant.profiler.quality.telemetry import Telemetry
from cotenant.profiler.quality.thresholds import Quality

TICKS = 1_000_000_000 // TICK_NS


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def stat(busy: int, steal: int, idle: int) -> str:
    """Return /proc/stat of two cores that together had so many ticks."""
    halves = [f"cpu{core} {busy // 2} 0 0 {idle // 2} 0 0 0 {steal // 2} 0 0" for core in (0, 1)]
    return "\n".join([f"cpu  {busy} 0 0 {idle} 0 0 0 {steal} 0 0", *halves, "intr 1 2 3"]) + "\n"


def host(root: Path, own_ns: list[int] | None = None) -> HostSource:
    times = iter(own_ns or [0] * 100)
    return HostSource(root, lambda: {os.getpid()}, lambda pids, known: next(times))


def test_load_is_what_is_busy_and_not_ours(tmp_path: Path) -> None:
    source = host(tmp_path, [0, 50 * TICK_NS])
    write(tmp_path, proc__stat=stat(0, 0, 0), proc__loadavg="1.25 0.5 0.1 2/300 4711\n")
    first = source.sample()
    assert (first["foreign_cpu_pct"], first["steal_pct"], first["load_average_count"]) == (None, None, 1.25)
    write(tmp_path, proc__stat=stat(80, 20, 100))  # 200 ticks of two cores: 80 busy, 50 of them ours, 20 stolen
    second = source.sample()
    assert second["foreign_cpu_pct"] == pytest.approx(15)
    assert second["steal_pct"] == pytest.approx(10)


def test_a_few_ticks_tell_no_share_and_the_next_sample_covers_them(tmp_path: Path) -> None:
    source = host(tmp_path, [0, TICK_NS, 70 * TICK_NS])
    told = []
    for busy, idle in [
        (0, 0),
        (2, 0),
        (100, 100),
    ]:  # both cores run lanes of ours: half a tick each, counted as a whole
        write(tmp_path, proc__stat=stat(busy, 0, idle))
        told.append(source.sample()["foreign_cpu_pct"])
    assert told == [None, None, pytest.approx(15)]


@given(*[st.integers(0, 10**6)] * 7)
def test_shares_are_shares_whatever_the_kernel_counts(
    b0: int, s0: int, t0: int, b: int, s: int, t: int, own: int
) -> None:
    before, after = CpuTimes(b0, s0, t0, 4), CpuTimes(b0 + b, s0 + s, t0 + t, 4)
    load = load_between(before, after, own)
    assert (load is None) == (t == 0)
    if load is not None:
        assert 0 <= load.foreign_pct <= 100
        assert 0 <= load.steal_pct <= 100
        assert load.foreign_cores <= 2 * 4


def test_only_the_cores_asked_for_are_counted(tmp_path: Path) -> None:
    lines = ["cpu 30 0 0 70 0 0 0 0", "cpu0 10 0 0 30 0 0 0 0", "cpu1 20 0 0 40 0 0 0 5"]
    write(tmp_path, proc__stat="\n".join(lines))
    one = cpu_times(tmp_path, {1})
    assert one == CpuTimes(20 * TICK_NS, 5 * TICK_NS, 65 * TICK_NS, 1)
    both = cpu_times(tmp_path)
    assert both is not None
    assert both.core_count == 2


@pytest.mark.parametrize("text", ["", "cpu  1 2 3\n", "cpu0 1 2 x 4 5 6 7 8\n", "cpu0 1 2 3\n"])
def test_a_kernel_that_tells_no_times_leaves_them_unknown(tmp_path: Path, text: str) -> None:
    write(tmp_path, proc__stat=text)
    assert cpu_times(tmp_path) is None
    told = host(tmp_path).sample()
    assert told["foreign_cpu_pct"] is None
    assert host(tmp_path).snapshot().refused["stolen_ns"]


def test_an_empty_root_leaves_everything_unknown_with_a_reason(tmp_path: Path) -> None:
    source = host(tmp_path)
    assert [value for value in source.sample().values() if value is not None] == []
    snapshot = source.snapshot()
    assert snapshot.values.keys() == {"kernel", "container"}
    assert all(snapshot.refused.values())


def test_steal_is_told_from_the_kernels_count(tmp_path: Path) -> None:
    telemetry = Telemetry(host(tmp_path), 3600.0)
    write(tmp_path, proc__stat=stat(0, 0, 0))
    with telemetry:
        write(tmp_path, proc__stat=stat(0, 40, 160))
    assert [row["steal_pct"] for row in telemetry.rows] == [None, pytest.approx(20)]
    assert [word for word, _ in doubts(telemetry, Quality().resolved("cpu", 2))] == ["stolen"]


def test_the_clock_is_the_mean_over_the_lanes_cores_or_unknown(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    for core in cores:
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{2_000_000 + 1_000_000 * (core == cores[0])}\n")
    mean_mhz = round((2_000_000 * len(cores) + 1_000_000) / len(cores) / 1000)
    assert host(tmp_path).sample()["sm_clock_mhz"] == mean_mhz
    (tmp_path / f"sys/devices/system/cpu/cpu{cores[0]}/cpufreq/scaling_cur_freq").unlink()
    assert host(tmp_path).sample()["sm_clock_mhz"] is None


def test_quota_of_version_2_is_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    write(tmp_path, proc__self__cgroup="0::/a/b\n", sys__fs__cgroup__a__b__cpuDOTmax="max 100000\n")
    write(tmp_path, sys__fs__cgroup__a__cpuDOTmax="150000 100000\n", sys__fs__cgroup__cpuDOTstat="usage_usec 5\n")
    groups = groups_of_this_process(tmp_path)
    assert quota_cores(groups) == 1.5
    write(tmp_path, sys__fs__cgroup__a__cpuDOTmax="max 100000\n")
    assert quota_cores(groups) is None


def test_quota_of_version_1_and_where_only_the_host_knows_the_path(tmp_path: Path) -> None:
    lines = "4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n"
    folder = "sys__fs__cgroup__cpu,cpuacct__"
    write(tmp_path, proc__self__cgroup=lines)
    write(tmp_path, **{f"{folder}cpuDOTcfs_quota_us": "50000\n", f"{folder}cpuDOTcfs_period_us": "100000\n"})
    assert quota_cores(groups_of_this_process(tmp_path)) == 0.5
    write(tmp_path, **{f"{folder}cpuDOTcfs_quota_us": "-1\n"})
    assert quota_cores(groups_of_this_process(tmp_path)) is None


@pytest.mark.parametrize(
    ("lines", "folder", "before", "after"),
    [
        ("0::/a\n", "sys__fs__cgroup__a__", "throttled_usec 10\n", "throttled_usec 2010\n"),
        ("3:cpu:/\n", "sys__fs__cgroup__cpu__", "throttled_time 500\n", "throttled_time 2000500\n"),
    ],
)
def test_time_held_back_by_the_quota_is_told_by_sample(
    tmp_path: Path, lines: str, folder: str, before: str, after: str
) -> None:
    write(tmp_path, proc__self__cgroup=lines, **{f"{folder}cpuDOTstat": "nr_periods 1\n" + before})
    source = host(tmp_path)
    assert source.sample()["quota_throttled_ns"] is None
    write(tmp_path, **{f"{folder}cpuDOTstat": "nr_periods 9\n" + after})
    assert source.sample()["quota_throttled_ns"] == 2_000_000
    assert source.sample()["quota_throttled_ns"] == 0
    assert list(throttled_ns(groups_of_this_process(tmp_path)).values()) in ([2_010_000], [2_000_500])


def test_our_processes_are_those_psutil_finds_and_their_time_too() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])"
    parent = subprocess.Popen([sys.executable, "-S", "-c", child])
    try:
        deadline_s = time.monotonic() + 10
        while len(psutil.Process(parent.pid).children()) < 1 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        me = psutil.Process()
        expected = {me.pid, *(each.pid for each in me.children(recursive=True))}
        assert own_pids() == expected
        assert parent.pid in expected
        known: dict[int, int] = {}
        mine = own_cpu_ns([me.pid], known)
        times = me.cpu_times()
        assert mine == pytest.approx((times.user + times.system) * 1e9, rel=0.1, abs=5e7)
    finally:
        for each in psutil.Process(parent.pid).children():
            each.kill()
        parent.kill()
        parent.wait()
    total_ns = own_cpu_ns([me.pid, parent.pid], known)
    assert total_ns >= mine  # one that ended keeps what it had


def test_a_strangers_load_is_seen_and_our_own_is_not() -> None:
    burn = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    cores = len(os.sched_getaffinity(0))
    ours = subprocess.Popen([sys.executable, "-S", "-c", burn])
    try:
        time.sleep(0.2)
        source = HostSource()
        source.load()
        time.sleep(0.6)
        alone = source.load()
        with burning(cores):
            source.load()
            time.sleep(0.6)
            beside = source.load()
    finally:
        ours.kill()
        ours.wait()
    assert alone is not None
    assert beside is not None
    own_pct = 100 / (psutil.cpu_count() or 1)
    assert alone.foreign_pct <= 100 - 0.2 * own_pct  # our child is taken out, however loaded the machine is
    assert beside.foreign_pct > 25
    assert beside.foreign_pct > alone.foreign_pct - 10
