"""Samples reach the dataset as they were taken; what nobody sampled is null and says why."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from every_kind import run_every_kind
from raw_campaign import MS, Maker, metadata, small_campaign
from raw_telemetry import GPU, GPU_DEVICE, GPU_QUALITY, HOST, SINCE_BEFORE, raw_files, samples, watch
from tiny_campaign import QUICK, write_net

from cotenant.datasets import raw
from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.content_digest import dataset_digest
from cotenant.datasets.raw import RawDamagedError
from cotenant.datasets.read import read_table
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec

PAIR = ("resnet18@1", "vit_ti_16@1")


def reasons(experiment: dict[str, Any], table: str = "telemetry") -> dict[str, str]:
    found = {name.partition("."): why for name, why in experiment["null_reasons"]}
    return {column: why for (of, _, column), why in found.items() if of == table}


def the_pair(folder: Path) -> dict[str, Any]:
    build_dataset(folder)
    assert check_dataset(folder).findings == []
    (found,) = read_table(folder, "experiments").to_pylist()
    return dict(found)


def test_samples_are_stored_as_they_were_taken(tmp_path: Path) -> None:
    Maker(tmp_path, quads=2).pair(*PAIR, device=GPU_DEVICE, quality=GPU_QUALITY)
    watch(tmp_path, GPU)
    experiment = the_pair(tmp_path)
    (path,) = raw_files(tmp_path)
    taken = raw.read_sibling(path, raw.read_metadata(path), "telemetry")
    assert taken is not None
    stored = read_table(tmp_path, "telemetry")
    assert stored.select(taken.column_names).to_pylist() == taken.to_pylist()
    own = ("experiment_id", "device_id", "kind")
    assert {tuple(row[name] for name in own) for row in stored.to_pylist()} == {tuple(experiment[name] for name in own)}
    assert reasons(experiment) == dict.fromkeys((*SINCE_BEFORE, "load_average_count"), "not_applicable")


def test_a_processor_says_why_it_has_no_share_in_its_first_sample(tmp_path: Path) -> None:
    Maker(tmp_path, quads=2).pair(*PAIR)
    watch(tmp_path, HOST)
    assert reasons(the_pair(tmp_path)) == dict.fromkeys(SINCE_BEFORE, "first_sample") | dict.fromkeys(
        GPU, "not_measured"
    )


def test_what_is_unknown_later_too_was_not_measured(tmp_path: Path) -> None:
    Maker(tmp_path, quads=2).pair(*PAIR)
    watch(tmp_path, HOST | {"steal_pct": None})
    assert reasons(the_pair(tmp_path))["steal_pct"] == "not_measured"


def test_samples_closer_than_the_kernels_ticks_have_no_share(tmp_path: Path) -> None:
    Maker(tmp_path, quads=2).pair(*PAIR)
    watch(tmp_path, HOST, lambda time_ns, _: {"steal_pct": None if time_ns // MS % 3 else 0.0})
    assert reasons(the_pair(tmp_path))["steal_pct"] == "too_coarse"


def test_raw_files_without_telemetry_are_as_good_as_before(tmp_path: Path) -> None:
    Maker(tmp_path, quads=2).pair(*PAIR)
    experiment = the_pair(tmp_path)
    assert (experiment["telemetry_count"], experiment["gate_marks"], experiment["started_busy"]) == (0, None, None)
    told = dict(experiment["null_reasons"])
    assert told["gate_marks"] == told["started_busy"] == "not_measured"
    assert read_table(tmp_path, "telemetry").num_rows == 0
    assert read_table(tmp_path, "provenance").to_pylist()[0]["environment"] == []


def test_telemetry_that_ended_at_once_says_nothing(tmp_path: Path) -> None:
    """An empty sibling, and one with a single sample."""
    for count in (0, 1):
        folder = tmp_path / str(count)
        maker = Maker(folder, quads=2)
        maker.pair(*PAIR, siblings={"telemetry": samples([maker.now_ns] * count, HOST)})
        experiment = the_pair(folder)
        assert experiment["telemetry_count"] == count
        assert experiment["gate_marks"] == (None if count == 0 else [])


def test_derived_twice_the_bytes_are_the_same(tmp_path: Path) -> None:
    small_campaign(tmp_path, quads=2)
    watch(tmp_path, HOST, lambda time_ns, _: {"steal_pct": time_ns // MS % 7 / 2}, kinds=("pair", "solo"))
    tables = []
    for _ in range(2):
        dataset = build_dataset(tmp_path)
        tables.append({path.relative_to(dataset): path.read_bytes() for path in sorted(dataset.rglob("*.parquet"))})
    assert tables[0] == tables[1]
    assert check_dataset(tmp_path).findings == []
    assert {row["experiment_id"] for row in read_table(tmp_path, "telemetry").to_pylist()} == {
        row["experiment_id"] for row in read_table(tmp_path, "experiments").to_pylist() if row["telemetry_count"]
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: table.set_column(0, table.schema.field(0), pa.array([0, 2, 3], pa.int32())), "not numbered"),
        (lambda table: table.set_column(1, table.schema.field(1), pa.array([9, 8, 10])), "not in order of time"),
        (lambda table: table.drop_columns(["t_ns"]), "without t_ns"),
        (lambda table: table.set_column(2, "sm_clock_mhz", pa.array(["a", "b", "c"])), "sm_clock_mhz is no int32"),
    ],
)
def test_samples_that_are_none_are_refused(tmp_path: Path, change: Any, says: str) -> None:
    maker = Maker(tmp_path, quads=2)
    maker.pair(*PAIR, siblings={"telemetry": change(samples([1, 2, 3], HOST))})
    with pytest.raises(RawDamagedError, match=says):
        build_dataset(tmp_path)


def test_modes_as_found_stand_in_the_provenance(tmp_path: Path) -> None:
    found = {"driver": "580.95.05", "ecc": "on", "mig": "unknown: NotSupported"}
    provenance = {**metadata()["provenance"], "environment": found}
    Maker(tmp_path, quads=2).pair(*PAIR, provenance=provenance)
    build_dataset(tmp_path)
    (row,) = read_table(tmp_path, "provenance").to_pylist()
    assert row["environment"] == sorted(found.items())
    assert check_dataset(tmp_path).findings == []
    digest = dataset_digest(tmp_path)
    other = {**provenance, "environment": {"ecc": "off"}}
    path = raw_files(tmp_path)[0]
    read = raw.read_raw(path)
    raw.write_raw(path.parent, path.stem, read.executions, {**read.metadata, "provenance": other})
    build_dataset(tmp_path)
    assert dataset_digest(tmp_path) == digest, "facts of one day stand apart"


def test_a_real_campaign_on_processors_has_telemetry(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.onnx")
    quality = {**QUICK, "look_quads": [2], "block_s": 0.02, "block_executions_min": 3, "telemetry_s": 0.05}
    spec = {
        "name": "tiny", "lanes": 2, "engines": {"models": [f"file:{net}"], "batch_sizes": [1]},
        "experiments": [{"kind": "pair"}], "quality": {**quality, "allow_busy": True},
    }  # fmt: skip
    run_campaign(parse_spec(spec, "tiny"), tmp_path / "out", tmp_path / "cache", QuietProgress())
    build_dataset(tmp_path / "out")
    assert check_dataset(tmp_path / "out").findings == []
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in read_table(tmp_path / "out", "telemetry").to_pylist():
        by_id.setdefault(row["experiment_id"], []).append(row)
    experiments = read_table(tmp_path / "out", "experiments").to_pylist()
    assert {row["kind"] for row in experiments} >= {"pair"}
    for row in experiments:
        rows = by_id[row["experiment_id"]]
        assert row["telemetry_count"] == len(rows) >= 2
        assert row["gate_marks"] is not None
        assert set(row["gate_marks"]) <= set(row["verdict_reasons"])
        assert rows[0]["foreign_cpu_pct"] is None
        assert row["kind"] != "pair" or any(sample["foreign_cpu_pct"] is not None for sample in rows)
        assert row["watched_ratio"] == 1.0
    provenance = read_table(tmp_path / "out", "provenance").to_pylist()
    assert all("kernel" in dict(row["environment"]) for row in provenance if row["subject"] == "experiment")


def test_simulated_devices_have_none_because_nothing_happens_there(tmp_path: Path) -> None:
    folder = run_every_kind(tmp_path)
    for row in read_table(folder, "experiments").to_pylist():
        told = dict(row["null_reasons"])
        assert (row["telemetry_count"], row["gate_marks"]) == (0, None)
        assert told["gate_marks"] == told["started_busy"] == "not_applicable"
