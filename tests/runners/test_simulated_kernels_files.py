"""Engines of the simulated runner on disk: ids, bytes, probes, counters, and no weights anywhere."""

from pathlib import Path

import pytest

from cotenant.models.errors import UserError, WorkError
from cotenant.models.model import Precision
from cotenant.runners.engine_cache import EntryDamaged
from cotenant.runners.protocol import Engine
from cotenant.runners.simulated import build
from cotenant.runners.simulated.counters import counters_of
from cotenant.runners.simulated.device_file import load_device
from cotenant.runners.simulated.kernel_list import FILE, LIMITS, ONE, read_kernels
from cotenant.runners.simulated.roofline import kernels_of

L4 = load_device("l4")


def built(model: str, cache: Path, batch_size: int = 1, precision: Precision = "fp16", index: int = 0) -> Engine:
    return build.build(model, batch_size, precision, L4, cache, index)


def test_the_same_engine_has_the_same_bytes_and_no_weights(tmp_path: Path) -> None:
    engines = [built("resnet18", tmp_path / name, 4) for name in ("one", "two")]
    texts = [(engine.folder / FILE).read_bytes() for engine in engines]
    assert texts[0] == texts[1]
    assert engines[0].engine_id == engines[1].engine_id
    assert engines[0].engine_sha256 == engines[1].engine_sha256
    assert {path.name for path in (tmp_path / "one").rglob("*") if path.is_file()} == {
        FILE,
        "meta.json",
        f"{engines[0].engine_id}.lock",
    }


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    from cotenant.models.zoo import resolve

    read = read_kernels(built("resnet18", tmp_path, 4).folder)
    made = kernels_of(resolve("resnet18").operator_costs(4, "fp16"), L4, "fp16")
    assert read.names == made.names
    assert all((getattr(read, column) == getattr(made, column)).all() for column in LIMITS)


def test_ids_are_foretold_and_depend_on_what_decides(tmp_path: Path) -> None:
    engine = built("resnet18", tmp_path)
    target = L4.digest()
    assert engine.engine_id == build.engine_id("resnet18", 1, "fp16", target)
    assert engine.build_target == target
    others = {
        build.engine_id("resnet18", 2, "fp16", target),
        build.engine_id("resnet18", 1, "fp32", target),
        build.engine_id("resnet34", 1, "fp16", target),
        build.engine_id("resnet18", 1, "fp16", load_device("t4").digest()),
        build.engine_id("resnet18", 1, "fp16", target, 1),
    }
    assert len(others | {engine.engine_id}) == 6


def test_a_damaged_entry_is_told_and_built_anew(tmp_path: Path) -> None:
    engine = built("resnet18", tmp_path)
    path = engine.folder / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(EntryDamaged):
        read_kernels(engine.folder)
    assert built("resnet18", tmp_path) == engine
    assert path.read_bytes() == whole


def test_engines_of_other_runners_are_refused(tmp_path: Path) -> None:
    from cotenant.runners.onnxruntime_cpu import RUNNER

    target = RUNNER.target(RUNNER.device(None))
    engine = RUNNER.build("probe:compute:1", 1, "fp32", target, tmp_path)
    with pytest.raises(WorkError, match="another runner"):
        read_kernels(engine.folder)


@pytest.mark.parametrize(
    ("kind", "pct", "duration_ns"),
    [("compute", 60, 10**7), ("cache", 60, 10**7), ("dram", 60, 10**7), ("half", 100, 10**8)],
)
def test_probes_ask_for_their_resource_alone(tmp_path: Path, kind: str, pct: int, duration_ns: int) -> None:
    engine = built(f"probe:{kind}:{pct}", tmp_path)
    kernels = read_kernels(engine.folder)
    demands = {"compute": kernels.sm, "cache": kernels.l2, "dram": kernels.dram, "half": kernels.sm}
    expected = ONE * 60 // 100 if kind != "half" else ONE * (L4.sm_count // 2) // L4.sm_count
    assert demands[kind].tolist() == [expected]
    assert kernels.duration_ns.tolist() == [duration_ns]
    assert (engine.model, engine.batch_size, engine.precision) == (f"probe:{kind}:{pct}", 1, "fp32")
    rates = {
        "compute": ((engine.flop_count or 0) * 100, L4.peak_flop_per_s.fp32_vector),
        "cache": ((engine.read_bytes or 0) * 100, L4.l2_bytes_per_s),
        "dram": ((engine.read_bytes or 0) * 100, L4.dram_achieved_bytes_per_s),
    }
    if kind in rates:
        work, peak = rates[kind]
        assert work / 0.01 == pytest.approx(peak * 60, rel=1e-5)


def test_two_cache_probes_fill_the_cache_and_a_stream_takes_all(tmp_path: Path) -> None:
    cache, stream = (read_kernels(built(f"probe:{kind}:100", tmp_path).folder) for kind in ("cache", "dram"))
    assert 2 * cache.footprint_bytes[0] == L4.l2_bytes == stream.footprint_bytes[0]
    assert cache.spill[0] > ONE
    assert stream.spill[0] == 0


def test_a_probe_of_nothing_demands_nothing(tmp_path: Path) -> None:
    kernels = read_kernels(built("probe:cache:0", tmp_path).folder)
    assert [int(getattr(kernels, key)[0]) for key in ("sm", "l2", "dram", "spill")] == [0] * 4


@pytest.mark.parametrize(
    "model", ["probe:dramm:50", "probe:dram", "probe:dram:101", "probe:dram:-1", "probe:", "probe"]
)
def test_bad_probes_are_the_users_mistake(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match="probe"):
        built(model, tmp_path)


@pytest.mark.parametrize(("batch_size", "precision", "index"), [(0, "fp16", 0), (1, "fp8", 0), (1, "fp16", -1)])
def test_bad_requests_are_the_users_mistake(tmp_path: Path, batch_size: int, precision: Precision, index: int) -> None:
    with pytest.raises(UserError):
        built("resnet18", tmp_path, batch_size, precision, index)


def test_counters_are_means_over_the_kernels_of_the_list(tmp_path: Path) -> None:
    engine = built("vgg11", tmp_path, 2)
    found, kernels = counters_of(engine), read_kernels(engine.folder)
    total = sum(row["duration_ns"] for row in found.kernels)
    assert [row["kernel_index"] for row in found.kernels] == list(range(len(kernels)))
    assert found.throughputs["busy_ns"] == total == kernels.duration_ns.sum()
    assert found.throughputs["kernel_count"] == len(kernels)
    for key in ("sm_pct", "l2_pct", "dram_pct"):
        mean = sum(row[key] * row["duration_ns"] for row in found.kernels) / total
        assert found.throughputs[key] == pytest.approx(mean)
        assert all(0 <= row[key] <= 100 for row in found.kernels)
    assert max(row["dram_pct"] for row in found.kernels) <= 100 * L4.dram_achieved_ratio
    assert found.throughputs["dram_pct"] > 30  # 266 MB of weights stream from memory
