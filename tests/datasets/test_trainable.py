"""Which predictors a dataset can train is said from what it holds, and what is missing for the others is named."""

from pathlib import Path

import pytest
from every_kind import run_every_kind
from profiled_campaign import profiled_campaign
from raw_campaign import Maker

from cotenant.datasets.build import build_dataset
from cotenant.datasets.describe import describe_dataset
from cotenant.datasets.trainable import PREDICTORS, Trainable


def found(folder: Path) -> dict[str, Trainable]:
    return {each.predictor: each for each in describe_dataset(folder).predictors}


def test_solo_profiles_alone_train_nothing(tmp_path: Path) -> None:
    Maker(tmp_path).solo("resnet18@1")
    build_dataset(tmp_path)
    told = found(tmp_path)
    assert set(told) == set(PREDICTORS)
    assert all(each.lacks for each in told.values())
    assert "executions beside each other" in told["constant mean, no counters"].lacks[0]


def test_a_pair_trains_what_needs_no_counters(tmp_path: Path) -> None:
    made = Maker(tmp_path, quads=8)
    made.solo("resnet18@1")
    made.solo("vit_ti_16@1")
    made.pair("resnet18@1", "vit_ti_16@1")
    build_dataset(tmp_path)
    able = {name for name, each in found(tmp_path).items() if not each.lacks}
    assert {"constant mean, no counters", "Mendoza, Pitot (factorisation of pairs and sets)"} <= able
    assert "gpulets" not in able
    text = describe_dataset(tmp_path).text()
    assert "Predictors that it can train: constant mean, no counters" in text
    assert "  not gpulets: no L2 throughput and Memory [%] (counter set `paper`)" in text


def test_every_kind_of_experiment_on_a_simulated_device_trains_the_papers(tmp_path: Path) -> None:
    told = found(run_every_kind(tmp_path))
    for name in ("static, EWMA and time-weighted regression (the paper)", "prospective forms, at dispatch", "gpulets"):
        assert not told[name].lacks, told[name]
    assert told["Abacus"].lacks
    assert told["Prophet, GPUPool (kernel traces)"].lacks
    assert any("share_pct" in lack for lack in told["iGniter"].lacks)


def test_counters_of_ncu_are_counters(tmp_path: Path) -> None:
    profiled_campaign(tmp_path)
    build_dataset(tmp_path)
    assert (
        "kernels with their counters (counter set `paper`)"
        not in found(tmp_path)["KACE, Orion, Echo (kernel metrics)"].lacks
    )


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_lack_is_one_plain_phrase(name: str, tmp_path: Path) -> None:
    Maker(tmp_path).solo("resnet18@1")
    build_dataset(tmp_path)
    for lack in found(tmp_path)[name].lacks:
        assert lack == lack.strip()
        assert "\n" not in lack
        assert not lack.endswith(".")
