"""Sensitivity experiments: their cells, and over the zoo on the simulated device what probes tell of true demands.

The truth comes straight from the engines' kernel lists, in fractions, by record 10 alone.
"""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from cotenant.datasets.check import check_dataset
from cotenant.datasets.read import read_table
from cotenant.models.errors import UserError
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec
from cotenant.profiler.experiments import sensitivity
from cotenant.profiler.experiments.kinds import EngineKey
from cotenant.runners.protocol import Lane

Row = dict[str, Any]
ZOO = ("convnext_tiny", "resnet50", "roberta_base", "vgg16", "vit_b_16", "yolov8n")  # one of each family
QUICK = {
    "look_quads": [4], "block_s": 0.02, "block_executions_min": 3, "lead_in_s": 5e-4, "lead_in_executions": 1,
    "settle_s": 1e-3, "settle_executions": 1, "rest_s": 1e-4,
}  # fmt: skip
ONE = 1 << 20
L2_BYTES, DRAM_ACHIEVED = 50_331_648, Fraction(92, 100)  # of runners/simulated/devices/l4.yaml
METRICS = {"sm_pct": "compute", "l2_pct": "cache", "dram_pct": "dram"}
SPEARMAN_MIN = 0.8
SLACK = 0.02  # of 66 pairs of intervals of 95 percent some miss each other by a little
KEYS = [EngineKey(name, 1, "fp16") for name in ("a", "b")]


def test_the_full_probe_calibrates_itself_beside_every_intensity() -> None:
    spec = sensitivity.SensitivitySpec(
        kind="sensitivity", engines=("b@1",), probes=("dram",), intensities_pct=(100,), calibration_pct=(50, 100),
        repeats=2,
    )  # fmt: skip
    found = sensitivity.cells(spec, KEYS, [Lane()] * 2)
    assert [tuple(key.label for key in cell.tenants) for cell in found] == [
        *[("b@1", "probe:dram:100@1")] * 2,
        *[("probe:dram:100@1", "probe:dram:50@1")] * 2,
        *[("probe:dram:100@1", "probe:dram:100@1")] * 2,
    ]
    assert [cell.repeat for cell in found] == [0, 1] * 3
    assert all(key.precision == "fp32" for cell in found[2:] for key in cell.tenants)
    by_default = sensitivity.cells(sensitivity.SensitivitySpec(kind="sensitivity"), KEYS, [Lane()] * 2)
    assert len(by_default) == 2 * 3 * len(sensitivity.INTENSITIES_PCT) + 3 * len(sensitivity.CALIBRATION_PCT)
    with pytest.raises(UserError, match="`calibration_pct`"):
        sensitivity.cells(spec.model_copy(update={"calibration_pct": (101,)}), KEYS, [Lane()] * 2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def campaign(out: Path, cache: Path, batch_size: int, intensities_pct: list[int]) -> Path:
    spec = {
        "name": "zoo", "runner": "simulated", "device": "l4", "lanes": 2, "precision": "fp16", "seed": 11,
        "engines": {"models": list(ZOO), "batch_sizes": [batch_size]}, "quality": QUICK,
        "experiments": [{"kind": "solo", "repeats": 1}, {"kind": "sensitivity", "intensities_pct": intensities_pct}],
    }  # fmt: skip
    assert run_campaign(parse_spec(spec, "zoo"), out, cache, QuietProgress()).failed_count == 0
    return out


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    return campaign(tmp_path_factory.mktemp("zoo") / "out", cache, 4, [25, 50, 75, 100])


def models(out: Path) -> dict[str, str]:
    """Engine id -> model of the networks."""
    rows = read_table(out, "engines").to_pylist()
    return {row["engine_id"]: row["model"] for row in rows if row["model"] in ZOO}


def throughputs(out: Path, source: str) -> dict[str, Row]:
    own = models(out)
    rows = read_table(out, "throughputs").to_pylist()
    return {row["engine_id"]: row for row in rows if row["counter_source"] == source and row["engine_id"] in own}


def kernels(out: Path, engine_id: str) -> dict[str, list[int]]:
    """The numbers of an engine's kernel list, as its file holds them."""
    (path,) = (out / "engines" / engine_id).glob("kernels.json")
    return dict(json.loads(path.read_bytes()))


def mean(kernel: dict[str, list[int]], demands: list[Fraction]) -> Fraction:
    durations = kernel["duration_ns"]
    return 100 * sum((d * n for d, n in zip(demands, durations, strict=True)), Fraction(0)) / sum(durations)


def true_pct(kernel: dict[str, list[int]]) -> dict[str, Fraction]:
    """An engine's mean demands, alone."""
    alone = {name: [Fraction(part, ONE) for part in kernel[name]] for name in ("sm", "l2", "dram")}
    return {f"{name}_pct": mean(kernel, demands) for name, demands in alone.items()}


def beside_stream_pct(kernel: dict[str, list[int]]) -> Fraction:
    """The mean demand on memory beside somebody who streams through the whole cache and so keeps half of it."""
    demands = []
    for dram, spill, footprint in zip(kernel["dram"], kernel["spill"], kernel["footprint_bytes"], strict=True):
        lost = Fraction(max(0, footprint - L2_BYTES // 2), footprint) if footprint else Fraction(0)
        demands.append((dram + spill * lost) / Fraction(ONE))
    return mean(kernel, demands)


def test_weighted_means_are_those_of_the_kernel_lists(zoo: Path) -> None:
    assert check_dataset(zoo).findings == []
    found = throughputs(zoo, "simulated")
    assert len(found) == len(ZOO)
    for engine_id, row in found.items():
        kernel = kernels(zoo, engine_id)
        expected = true_pct(kernel)
        expected["dram_pct"] *= DRAM_ACHIEVED  # counters are of the data sheet's bandwidth
        for name, value in expected.items():
            assert row[name] == pytest.approx(float(value), rel=1e-12)
        busy_ns, gaps_ns = sum(kernel["duration_ns"]), sum(kernel["gap_ns"])
        assert (row["busy_ns"], row["wall_ns"]) == (busy_ns, busy_ns + gaps_ns - kernel["gap_ns"][0])
        assert row["gpu_utilization_pct"] == pytest.approx(100 * busy_ns / (busy_ns + gaps_ns), rel=1e-12)
        moved = Fraction(sum(d * n for d, n in zip(kernel["dram"], kernel["duration_ns"], strict=True)), ONE)
        assert row["dram_moved_bytes"] == pytest.approx(float(moved) * 300 * 0.92, abs=1)


def test_every_curve_rises_with_the_probes_intensity(zoo: Path) -> None:
    curves: dict[tuple[str, str], list[Row]] = {}
    for row in read_table(zoo, "sensitivities").to_pylist():
        curves.setdefault((row["engine_id"], row["probe"]), []).append(row)
    assert len(curves) == len(ZOO) * 3 + 3
    for rows in curves.values():
        assert [row["intensity_pct"] for row in rows] in ([25, 50, 75, 100], [10, 25, 50, 75, 100])
        for weak, strong in pairwise(rows):
            assert strong["slowdown_upper_ratio"] >= weak["slowdown_lower_ratio"] * (1 - SLACK)
    own = models(zoo)
    raised = [rows[-1]["slowdown_ratio"] - rows[0]["slowdown_ratio"] for (e, p), rows in curves.items() if e in own]
    assert max(raised) > 0.3, "and some of them much"


@pytest.fixture(scope="module", params=[1, 4])
def any_batch(request: pytest.FixtureRequest, zoo: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == 4:
        return zoo
    return campaign(tmp_path_factory.mktemp("batch") / "out", cache, request.param, [100])


def ranks(out: Path, metric: str, truth: dict[str, Fraction]) -> float:
    """Spearman's over the zoo; what the probes could not tell from nothing ranks below all that they could."""
    rows = throughputs(out, "probe")
    for row in rows.values():
        assert row[metric] is not None or (metric, "below_resolution") in row["null_reasons"]
    told = [0.0 if rows[engine][metric] is None else rows[engine][metric] for engine in truth]
    return float(stats.spearmanr(told, [float(value) for value in truth.values()]).statistic)


@pytest.mark.parametrize("metric", METRICS)
def test_probes_rank_the_zoo_as_its_true_demands_do(any_batch: Path, metric: str) -> None:
    truth = {engine: true_pct(kernels(any_batch, engine))[metric] for engine in models(any_batch)}
    assert len(truth) == 6
    assert ranks(any_batch, metric, truth) >= SPEARMAN_MIN


def test_compute_and_cache_are_told_within_a_few_percent_of_the_device(zoo: Path) -> None:
    for engine, row in throughputs(zoo, "probe").items():
        truth = true_pct(kernels(zoo, engine))
        assert row["sm_pct"] == pytest.approx(float(truth["sm_pct"]), abs=4)
        assert row["l2_pct"] == pytest.approx(float(truth["l2_pct"]), abs=4)


def test_memory_is_told_as_demanded_beside_a_stream(tmp_path: Path, cache: Path) -> None:
    """At batch 8 yolov8n lives in the cache when alone, and fetches from memory what a neighbour drives out."""
    out = campaign(tmp_path / "out", cache, 8, [100])
    alone = {engine: true_pct(kernels(out, engine))["dram_pct"] for engine in models(out)}
    beside = {engine: beside_stream_pct(kernels(out, engine)) for engine in models(out)}
    assert ranks(out, "dram_pct", beside) >= SPEARMAN_MIN
    assert ranks(out, "dram_pct", alone) < SPEARMAN_MIN, "another question, which probes do not answer"
    for metric in ("sm_pct", "l2_pct"):
        truth = {engine: true_pct(kernels(out, engine))[metric] for engine in models(out)}
        assert ranks(out, metric, truth) >= SPEARMAN_MIN


def test_a_probe_taken_for_an_engine_is_told_for_what_it_is(tmp_path: Path, cache: Path) -> None:
    names = [f"probe:{kind}:{pct}" for kind, pct in (("compute", 30), ("cache", 65), ("dram", 45))]
    spec = {
        "name": "probes", "runner": "simulated", "device": "l4", "lanes": 2, "seed": 3, "quality": QUICK,
        "engines": {"models": names}, "experiments": [{"kind": "sensitivity", "intensities_pct": [100]}],
    }  # fmt: skip
    run_campaign(parse_spec(spec, "probes"), tmp_path / "out", cache, QuietProgress())
    stored = read_table(tmp_path / "out", "throughputs").to_pylist()
    rows = {row["engine_id"]: row for row in stored if row["counter_source"] == "probe"}
    engines = {row["model"]: row["engine_id"] for row in read_table(tmp_path / "out", "engines").to_pylist()}
    for name, metric, pct in zip(names, METRICS, (30, 65, 45), strict=True):
        assert rows[engines[name]][metric] == pytest.approx(pct, abs=3)
    for name in names[1:]:
        assert ("sm_pct", "below_resolution") in rows[engines[name]]["null_reasons"], "it computes nothing: unknown"


def test_time_slices_are_no_contention_and_make_no_percentages(tmp_path: Path, cache: Path) -> None:
    """Whatever takes turns is slowed alike by every probe, which once passed for a measurement of four resources."""
    spec = {
        "name": "slices", "runner": "simulated", "device": "l4", "lanes": 2, "seed": 3, "isolation": "processes",
        "quality": {**QUICK, "block_s": 0.1}, "precision": "fp16",
        "engines": {"models": ["resnet50"], "batch_sizes": [4]},
        "experiments": [{"kind": "sensitivity", "intensities_pct": [100]}],
    }  # fmt: skip
    run_campaign(parse_spec(spec, "slices"), tmp_path / "out", cache, QuietProgress())
    own = models(tmp_path / "out")
    rows = [row for row in read_table(tmp_path / "out", "sensitivities").to_pylist() if row["engine_id"] in own]
    assert all(row["slowdown_ratio"] > 1.5 for row in rows), "and yet they are slowed"
    assert {row["verdict"] for row in rows} == {"failed"}
    (row,) = throughputs(tmp_path / "out", "probe").values()
    assert {dict(row["null_reasons"])[name] for name in METRICS} == {"failed_experiment"}
