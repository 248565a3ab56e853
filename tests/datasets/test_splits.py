"""Splits of whole datasets: every execution once in each, on the side that a plain reading of the rules says."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_campaign import SPANS_NS
from raw_serving import Turns

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.export import export_dataset
from cotenant.datasets.read import read_table
from cotenant.datasets.splits.check import split_faults
from cotenant.datasets.splits.derive import make_split
from cotenant.datasets.splits.runs import Runs
from cotenant.datasets.splits.stored import FACTS, METADATA_KEY, stored_split, stored_splits
from cotenant.datasets.splits.ways import WAYS
from cotenant.models.errors import UserError, WorkError

RESNET, VIT, _ = SPANS_NS
VGG = "vgg11@1"
MODELS = {label: label.partition("@")[0] for label in (RESNET, VIT, VGG)}
LIGHT, HEAVY = {"offered_load": 0.4}, {"offered_load": 0.9}
Row = dict[str, Any]


class Served(Turns):
    """Serves a network of batch size 1 more."""

    def span(self, label: str, ratio: float) -> int:
        return super().span(RESNET if label == VGG else label, ratio)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Serving of the paper's sets, marked by condition; pairs, a set of three, turns, solos and a self-test."""
    folder = tmp_path_factory.mktemp("measured")
    made = Served(folder, quads=2, lanes=3)
    made.self_test()
    for label in MODELS:
        made.solo(label, repeats=1)
    made.sequential([RESNET, VIT])
    made.serving([RESNET, VIT], groups=20, served=LIGHT, condition="train")
    made.serving([VIT, RESNET], groups=20, served=HEAVY, condition="test1")
    made.serving([VGG, VGG], groups=20, served=HEAVY, condition="test2")
    made.serving([RESNET, VGG], groups=20, served=LIGHT, condition="test3")
    for first, second in ((RESNET, VIT), (VIT, VGG), (RESNET, RESNET), (VGG, VGG)):
        made.pair(first, second)
    made.together("set", [RESNET, VIT, VGG])
    build_dataset(folder)
    return folder


@pytest.fixture
def folder(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "campaign"))


def tables(folder: Path) -> tuple[list[Row], dict[str, Row], dict[str, str]]:
    """Executions, experiments by id, and the model of each engine."""
    experiments = {row["experiment_id"]: row for row in read_table(folder, "experiments").to_pylist()}
    models = {row["engine_id"]: row["model"] for row in read_table(folder, "engines").to_pylist()}
    return read_table(folder, "executions").to_pylist(), experiments, models


def parts_of(folder: Path, name: str, split: str | None = None) -> list[str]:
    """The part of each execution, in order of the executions, whose keys are compared."""
    rows = stored_split(folder, name).read(split or name).to_pylist()
    executions, _, _ = tables(folder)
    keys = [(row["experiment_id"], row["execution_id"]) for row in executions]
    assert [(row["experiment_id"], row["execution_id"]) for row in rows] == keys
    return [row["part"] for row in rows]


def counts_in_training(row: Row, experiments: dict[str, Row]) -> bool:
    uncut = (row["role"], row["censored"], row["co_censored"]) == ("main", "none", "none")
    return uncut and experiments[row["experiment_id"]]["verdict"] != "failed"


def networks(experiment: Row) -> set[str]:
    return {model for model in experiment["deployed_models"] if not model.startswith("probe:")}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "leave-one-model-out"])
def test_every_execution_has_one_part(folder: Path, way: str) -> None:
    made = make_split(folder, way)
    executions, experiments, _ = tables(folder)
    parts = parts_of(folder, way)
    facts = json.loads((made.stored.folder / FACTS).read_text())["splits"][0]
    assert {part: told["row_count"] for part, told in facts["parts"].items()} == Counter(parts)
    kept = [part for part, row in zip(parts, executions, strict=True) if counts_in_training(row, experiments)]
    assert {p: n["training_row_count"] for p, n in facts["parts"].items() if n["training_row_count"]} == Counter(kept)
    assert check_dataset(folder).findings == []


def test_runs_are_never_on_both_sides_and_each_kind_is_shared_out(folder: Path) -> None:
    seen = set()
    for seed in range(8):
        make_split(folder, "run", seed=seed)
        executions, experiments, _ = tables(folder)
        sides: dict[str, set[str]] = {}
        for row, part in zip(executions, parts_of(folder, "run"), strict=True):
            sides.setdefault(row["experiment_id"], set()).add(part)
        assert all(len(each) == 1 for each in sides.values())
        of_kind = Counter((experiments[id_]["kind"], next(iter(each))) for id_, each in sides.items())
        assert (of_kind["pair", "train"], of_kind["pair", "test"]) == (3, 1)
        assert (of_kind["serving", "train"], of_kind["serving", "test"]) == (3, 1)
        seen.add(tuple(sorted(id_ for id_, each in sides.items() if each == {"test"})))
    assert len(seen) > 1, "the seed decides"


def test_random_tells_how_many_neighbours_it_parts(folder: Path) -> None:
    made = make_split(folder, "random", seed=3)
    executions, experiments, _ = tables(folder)
    parts, neighbours = parts_of(folder, "random"), 0
    sides: dict[str, list[str]] = {}
    for row, part in zip(executions, parts, strict=True):
        if counts_in_training(row, experiments):
            own = sides.setdefault(row["experiment_id"], [])
            neighbours += bool(own) and own[-1] != part
            own.append(part)
    assert made.tallies[0].neighbour_count == neighbours > 100
    assert made.tallies[0].shared_run_count == sum(len(set(own)) > 1 for own in sides.values())


def test_concurrency_is_what_runs_at_once(folder: Path) -> None:
    make_split(folder, "concurrency")
    executions, experiments, _ = tables(folder)
    for row, part in zip(executions, parts_of(folder, "concurrency"), strict=True):
        assert part == ("test" if experiments[row["experiment_id"]]["kind"] == "set" else "train")
    with pytest.raises(UserError, match="falls into test"):
        make_split(folder, "concurrency", train_most=3)


def test_how_many_run_at_once_in_each_kind(measured: Path) -> None:
    found = {run.kind: run.concurrency for run in Runs(measured / "dataset").by_id.values()}
    assert found == {"self_test": 2, "solo": 1, "sequential": 1, "serving": 2, "pair": 2, "set": 3}


def test_nothing_of_a_left_out_model_trains(folder: Path) -> None:
    made = make_split(folder, "leave-one-model-out")
    executions, experiments, models = tables(folder)
    assert [tally.split for tally in made.tallies] == [f"leave-one-model-out:{m}" for m in sorted(MODELS.values())]
    for tally in made.tallies:
        left_out = tally.split.partition(":")[2]
        for row, part in zip(executions, parts_of(folder, "leave-one-model-out", tally.split), strict=True):
            deployed = left_out in networks(experiments[row["experiment_id"]])
            own = models[row["engine_id"]] == left_out
            assert part == ("test" if own else "beside" if deployed else "train")
    only = make_split(folder, "leave-one-model-out", "one", models=("vgg11",))
    assert [tally.split for tally in only.tallies] == ["one:vgg11"]
    assert check_dataset(folder).findings == []


def test_the_papers_sets_by_condition(folder: Path) -> None:
    make_split(folder, "models")
    executions, experiments, _ = tables(folder)
    for row, part in zip(executions, parts_of(folder, "models"), strict=True):
        assert part == (experiments[row["experiment_id"]]["condition"] or "unassigned")


def test_the_papers_sets_by_names(folder: Path) -> None:
    make_split(folder, "models", train_models=("resnet18", "vit_ti_16"), train_loads=(0.4,))
    executions, experiments, _ = tables(folder)
    training = {"resnet18", "vit_ti_16"}
    found = set()
    for row, part in zip(executions, parts_of(folder, "models"), strict=True):
        run = experiments[row["experiment_id"]]
        deployed, load = networks(run), run["offered_load"]
        if not deployed or (deployed <= training and load is None):
            expected = "unassigned"
        elif not deployed & training:
            expected = "test2"
        elif deployed - training:
            expected = "test3"
        else:
            expected = "train" if load == 0.4 else "test1"
        assert part == expected
        found.add(part)
    assert found == {"train", "test1", "test2", "test3", "unassigned"}
    make_split(folder, "models", train_models=("resnet18", "vit_ti_16"))
    assert "test1" not in parts_of(folder, "models"), "all loads are the training set's"


def conditions(folder: Path, **of: str) -> None:
    """Give the runs of some sets another condition."""
    path = next((folder / "dataset" / "experiments").rglob("*.parquet"))
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        row["condition"] = of.get(row["condition"], row["condition"])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


@pytest.mark.parametrize(
    ("renamed", "says"),
    [
        ({"test3": "test2"}, "of test2 deployed resnet18, which training runs deployed too"),
        ({"test1": "test2"}, "of test2 deployed resnet18, vit_ti_16, which training"),
        ({"test2": "test1"}, "of test1 deployed vgg11, which no training run deployed"),
        ({"train": "other"}, "no run has the condition `train`"),
    ],
)
def test_sets_that_leak_are_refused(folder: Path, renamed: dict[str, str], says: str) -> None:
    conditions(folder, **renamed)
    with pytest.raises(UserError, match=says):
        make_split(folder, "models")
    assert stored_splits(folder) == []


@pytest.mark.parametrize(
    ("way", "options", "says"),
    [
        ("models", {"train_models": ("resnet50",)}, "no run deployed 'resnet50'; deployed models are: resnet18, vgg11"),
        ("models", {"train_models": ("vgg11",), "train_loads": (0.5,)}, "load of 0.5; loads are: 0.4, 0.9"),
        ("models", {"train_loads": (0.4,)}, "--train-load needs --train-model"),
        ("run", {"train_ratio": 1.0}, "leaves one side empty"),
        ("random", {"train_ratio": float("nan")}, "leaves one side empty"),
        ("concurrency", {"train_most": 0}, "no limit"),
        ("concurrency", {"train_most": 1}, "falls into train"),
        ("leave-one-model-out", {"models": ("alexnet",)}, "no run deployed 'alexnet'"),
        ("run", {"models": ("vgg11",)}, "no such option"),
        ("by luck", {}, "no way 'by luck'"),
    ],
)
def test_options_that_do_not_fit_are_refused(measured: Path, way: str, options: Row, says: str) -> None:
    with pytest.raises(UserError, match=says):
        make_split(measured, way, **options)


@pytest.mark.parametrize("name", ["a/b", ".hidden", ".."])
def test_names_are_names_of_folders(measured: Path, name: str) -> None:
    with pytest.raises(UserError, match="name of a split"):
        make_split(measured, "run", name)


def test_the_same_again_byte_for_byte(folder: Path) -> None:
    contents = []
    for _ in range(2):
        made = make_split(folder, "random", seed=5)
        contents.append([path.read_bytes() for path in sorted(made.stored.folder.iterdir())])
    assert contents[0] == contents[1]
    assert [path.name for path in made.stored.folder.parent.iterdir()] == ["random"], "nothing else is left there"


def test_parts_and_counts_follow_the_keys_not_the_order_of_rows(folder: Path) -> None:
    """The executions table is written in small row groups and the experiments the other way round."""
    names = ("random", "run", "leave-one-model-out")
    before = [make_split(folder, name) for name in names]
    parts = [made.stored.read().to_pydict() for made in before]
    for table, groups in (("executions", 57), ("experiments", 1)):
        path = next((folder / "dataset" / table).rglob("*.parquet"))
        rows = pq.read_table(path)
        if table == "experiments":
            rows = rows.take(np.arange(rows.num_rows)[::-1])
        pq.write_table(rows, path, row_group_size=rows.num_rows // groups)
    after = [make_split(folder, name) for name in names]
    assert parts == [made.stored.read().to_pydict() for made in after]
    counts = [[[tally.as_dict() for tally in made.tallies] for made in each] for each in (before, after)]
    assert counts[0] == counts[1]


def edit(path: Path, change: Any) -> None:
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def swap_one(table: pa.Table) -> pa.Table:
    parts = table["part"].to_pylist()
    place = parts.index("test")
    parts[place] = "train"
    return table.set_column(
        3, table.schema.field(3), pa.array(parts).dictionary_encode().cast(table.schema.field(3).type)
    )


def newer(table: pa.Table) -> pa.Table:
    facts = json.loads(table.schema.metadata[METADATA_KEY])
    return table.replace_schema_metadata(
        {**table.schema.metadata, METADATA_KEY: json.dumps({**facts, "version": "2.0"}).encode()}
    )


def strange(table: pa.Table) -> pa.Table:
    facts = json.loads(table.schema.metadata[METADATA_KEY])
    return table.replace_schema_metadata(
        {**table.schema.metadata, METADATA_KEY: json.dumps({**facts, "options": {"luck": 1}}).encode()}
    )


PLANTED = {
    "on another side than its options say": lambda folder: edit(folder / "part-00000.parquet", swap_one),
    "not those of the executions": lambda folder: edit(folder / "part-00000.parquet", lambda t: t.slice(1)),
    "executions that there are not": lambda folder: edit(
        folder / "part-00000.parquet", lambda t: pa.concat_tables([t, t.slice(0, 1)])
    ),
    "name another split": lambda folder: folder.rename(folder.parent / "other"),
    "split.json is missing, damaged": lambda folder: (folder / FACTS).unlink(),
    "is missing, damaged or no split": lambda folder: (folder / "part-00000.parquet").write_bytes(b"PAR1"),
    "has options that are none": lambda folder: edit(folder / "part-00000.parquet", strange),
    "has 2 files for 1 splits": lambda folder: shutil.copy(
        folder / "part-00000.parquet", folder / "part-00001.parquet"
    ),
}


@pytest.mark.parametrize("says", PLANTED)
def test_check_finds_a_planted_fault(folder: Path, says: str) -> None:
    made = make_split(folder, "run")
    PLANTED[says](made.stored.folder)
    found = list(split_faults(folder / "dataset"))
    assert any(says in fault for _, fault in found), found


def test_check_finds_a_split_of_other_experiments(folder: Path) -> None:
    make_split(folder, "run")
    conditions(folder, train="trained")
    assert ["made of other experiments" in fault for _, fault in split_faults(folder / "dataset")] == [True]


def test_check_finds_a_leak_in_a_set_that_was_sound(folder: Path) -> None:
    """The file claims the experiments that there are now, which leak."""
    made = make_split(folder, "models")
    conditions(folder, test3="test2")
    sha256 = Runs(folder / "dataset").sha256
    path = made.stored.folder / "part-00000.parquet"

    def claim(table: pa.Table) -> pa.Table:
        facts = {**json.loads(table.schema.metadata[METADATA_KEY]), "runs_sha256": sha256}
        return table.replace_schema_metadata({**table.schema.metadata, METADATA_KEY: json.dumps(facts).encode()})

    edit(path, claim)
    assert any("of test2 deployed resnet18" in fault for _, fault in split_faults(folder / "dataset"))


def test_a_newer_version_is_refused_and_a_missing_name_is_told(folder: Path) -> None:
    made = make_split(folder, "run")
    with pytest.raises(UserError, match="no split 'random', splits: run"):
        stored_split(folder, "random")
    edit(made.stored.folder / "part-00000.parquet", newer)
    with pytest.raises(UserError, match="install a newer"):
        stored_splits(folder)


def test_a_damaged_dataset_is_told(folder: Path) -> None:
    path = next((folder / "dataset" / "executions").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[: random.Random(1).randrange(100, 2000)])
    with pytest.raises(WorkError, match="truncated"):
        make_split(folder, "run")


def test_a_partitioned_copy_splits_alike(folder: Path, tmp_path: Path) -> None:
    export_dataset(folder, str(tmp_path / "copy"), None, "cc-by-4.0", None)
    for way in ("random", "leave-one-model-out"):
        one, other = (make_split(where, way).stored for where in (folder, tmp_path / "copy"))
        assert one.read().to_pydict() == other.read().to_pydict()
