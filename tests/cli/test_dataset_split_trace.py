"""`cotenant dataset split` and `trace` as a person runs them."""

import json
from pathlib import Path

import pytest
from command_line import Cotenant
from raw_campaign import small_campaign

from cotenant.datasets.build import build_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_campaign(tmp_path / "campaign", quads=2)
    build_dataset(tmp_path / "campaign")
    return tmp_path / "campaign"


def test_split_says_what_it_made_and_what_leaks(cotenant: Cotenant, folder: Path) -> None:
    done = cotenant("dataset", "split", folder, "--by", "random")
    assert done.code == 0, done.err
    assert "split random:" in done.out
    assert "LEAK, by design of a split of single executions: " in done.out
    assert "(3 runs are on several sides)" in done.out
    whole = cotenant("dataset", "split", folder)
    assert "LEAK" not in whole.out
    assert "split run:" in whole.out
    told = json.loads(
        cotenant("dataset", "split", folder, "--by", "leave-one-model-out", "--model", "resnet18", "--json").out
    )
    assert [split["split"] for split in told["splits"]] == ["leave-one-model-out:resnet18"]
    assert set(told["splits"][0]["parts"]) == {"train", "test", "beside"}
    checked = cotenant("dataset", "check", folder)
    assert (checked.code, "all hold" in checked.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by", "models"], ["no run has the condition `train`", "--train-model"]),
        (["--by", "models", "--train-model", "vgg"], ["no run deployed 'vgg'", "resnet18, vit_ti_16"]),
        (["--by", "run", "--train-most", "3"], ["no such option: train_most"]),
        (["--by", "luck"], ["'luck'", "leave-one-model-out"]),
    ],
)
def test_split_refuses_in_one_line(cotenant: Cotenant, folder: Path, arguments: list[str], words: list[str]) -> None:
    done = cotenant("dataset", "split", folder, *arguments)
    assert done.code == 2
    assert all(word in done.told for word in words), done.told


def test_trace_lists_experiments_and_writes_one(cotenant: Cotenant, folder: Path, tmp_path: Path) -> None:
    listed = json.loads(cotenant("dataset", "trace", folder, "--json").out)
    lines = cotenant("dataset", "trace", folder).out.splitlines()
    assert [line.split()[1] for line in lines] == [row["experiment_id"] for row in listed]
    done = cotenant("dataset", "trace", folder, "1", "--out", tmp_path / "one.json")
    assert done.code == 0, done.err
    events = json.loads((tmp_path / "one.json").read_text())["traceEvents"]
    assert f"{len(events):,} events of experiment {listed[0]['experiment_id']}" in done.out
    told = json.loads(cotenant("dataset", "trace", folder, listed[1]["experiment_id"][:9], "--json").out)
    assert (tmp_path / told["path"]).is_file()
    refused = cotenant("dataset", "trace", folder, "99")
    assert (refused.code, "numbers go from 1 to" in refused.told) == (2, True)
