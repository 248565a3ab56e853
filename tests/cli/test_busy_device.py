"""A processor that somebody else keeps busy, through the installed command: refused, or measured and marked."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from burner import burning
from command_line import Cotenant

from cotenant.datasets import raw
from cotenant.datasets.raw_siblings import RAW_TELEMETRY

CORES = len(os.sched_getaffinity(0))
REFUSES = {"COTENANT_ALLOW_BUSY": "0"}


@pytest.fixture
def full(spec: Path) -> Path:
    """A campaign whose lanes need every core."""
    content = yaml.safe_load(spec.read_text())
    spec.write_text(yaml.safe_dump(content | {"lanes": max(2, CORES)}))
    return spec


def experiments(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    paths = [folder / "raw" / f"{name}.parquet" for name in sorted(raw.finished(folder / "raw"))]
    return [(path, raw.read_metadata(path)) for path in paths]


def test_a_busy_processor_is_refused_in_one_line_and_nothing_is_measured(
    cotenant: Cotenant, full: Path, tmp_path: Path
) -> None:
    with burning(CORES) as pids:
        done = cotenant("campaign", "run", full, "--out", "out", **REFUSES)
    assert done.code == 2
    assert "is not idle: other processes keep" in done.told
    assert any(f"(pid {pid})" in done.told for pid in pids)
    assert "--allow-busy" in done.told
    assert experiments(tmp_path / "out") == []


def test_a_busy_processor_is_measured_where_that_is_allowed_and_every_experiment_says_so(
    cotenant: Cotenant, full: Path, tmp_path: Path
) -> None:
    with burning(CORES):
        done = cotenant("campaign", "run", full, "--out", "out", "--allow-busy", **REFUSES)
    assert done.code == 0, done.err
    assert "going on as asked" in done.err
    found = experiments(tmp_path / "out")
    assert [metadata["started_busy"] for _, metadata in found] == [True] * len(found)
    seen = []
    for path, metadata in found:
        samples = raw.read_sibling(path, metadata, "telemetry")
        assert samples is not None
        assert samples.schema.equals(RAW_TELEMETRY)
        executions = raw.read_raw(path).executions
        times = samples["t_ns"].to_pylist()
        assert times[0] <= min(executions["start_ns"].to_pylist())
        assert max(executions["end_ns"].to_pylist()) <= times[-1]
        assert metadata["snapshots"].keys() == {"start", "end"}
        assert metadata["provenance"]["environment"]["kernel"] == os.uname().release
        seen += [pct for pct in samples["foreign_cpu_pct"].to_pylist() if pct is not None]
    assert max(seen) > metadata["quality"]["foreign_cpu_max_pct"]


def test_what_is_finished_needs_no_idle_processor(cotenant: Cotenant, finished: Path, finished_once: Path) -> None:
    with burning(CORES):
        done = cotenant("campaign", "run", finished_once / "tiny.yaml", "--out", finished, **REFUSES)
    assert done.code == 0, done.err


def test_a_simulated_device_is_never_busy_and_has_no_telemetry(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    models = ["profile", "--model", f"file:{net}", "--runner", "simulated", "--device", "l4", "--out", "out"]
    with burning(CORES):
        done = cotenant(*models, **REFUSES)
    assert done.code == 0, done.err
    for _, metadata in experiments(tmp_path / "out"):
        assert (metadata["started_busy"], metadata["snapshots"]) == (None, None)
        assert "virtual time" in metadata["telemetry"]["stopped"]
        assert "telemetry" not in metadata["siblings"]
