"""What a dataset says in plain words: what stands in its tables, nothing more, and what is missing."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from damaged_dataset import DamagedDataset
from every_kind import run_every_kind
from raw_campaign import PEAKS, SELF_TEST, SPANS_NS, Maker, small_campaign

from cotenant.datasets.build import build_dataset
from cotenant.datasets.columns import TABLES
from cotenant.datasets.describe import _Labels as Labels
from cotenant.datasets.describe import describe_dataset
from cotenant.datasets.description import SLOWDOWNS_SHOWN, UNKNOWN_REASON, Description
from cotenant.datasets.read import read_table
from cotenant.models.errors import UserError

RESNET, VIT, _ = SPANS_NS


def described(folder: Path) -> Description:
    build_dataset(folder)
    return describe_dataset(folder)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    small_campaign(folder)
    build_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def found(campaign: Path) -> Description:
    return describe_dataset(campaign)


def test_it_tells_what_was_measured_on_what(campaign: Path, found: Description) -> None:
    assert found.devices == ["Test CPU (cpu, 4 cores) with virtual, 2 lanes, isolation processes"]
    assert found.engines == [RESNET, VIT], "the self-test's probe is no engine that anybody asked about"
    assert found.experiment_counts == {"null": 2, "pair": 3, "self_test": 1, "solo": 16}
    assert found.row_counts == {name: read_table(campaign, name).num_rows for name in TABLES}
    experiments = read_table(campaign, "experiments").to_pylist()
    assert found.verdict_counts == {
        word: sum(row["verdict"] == word for row in experiments) for word in found.verdict_counts
    }
    assert sum(found.verdict_counts.values()) == len(experiments)


def test_profiles_stand_as_in_the_table(campaign: Path, found: Description) -> None:
    for row, line in zip(read_table(campaign, "solo_profiles").to_pylist(), found.profiles, strict=True):
        numbers = [float(number) for number in re.findall(r"[\d.]+(?= ms|, |\])", line.partition(": ")[2])]
        milliseconds = [row[f"span_{name}_ns"] / 1e6 for name in ("p50", "p50_lower", "p50_upper", "p95")]
        assert numbers[:4] == pytest.approx(milliseconds, abs=0.005)
        assert line.endswith(f"{row['throughput_items_per_s']:.1f} items/s (n = {row['sample_count']})")


def test_slowdowns_stand_as_in_the_table_the_largest_first(campaign: Path, found: Description) -> None:
    pairs = [row for row in read_table(campaign, "slowdowns").to_pylist() if row["kind"] == "pair"]
    assert found.slowdown_count == len(pairs) == len(found.slowdowns)
    told = [slowdown.slowdown_ratio for slowdown in found.slowdowns]
    assert told == sorted((row["slowdown_ratio"] for row in pairs), reverse=True)
    assert {(s.experiment_id, s.slowdown_lower_ratio, s.slowdown_upper_ratio) for s in found.slowdowns} == {
        (row["experiment_id"], row["slowdown_lower_ratio"], row["slowdown_upper_ratio"]) for row in pairs
    }
    assert sorted((s.engine, *s.beside) for s in found.slowdowns) == sorted(
        [(RESNET, RESNET)] * 2 + [(VIT, VIT)] * 2 + [(RESNET, VIT), (VIT, RESNET)]
    )


def test_the_page_says_it_in_sentences(campaign: Path, found: Description) -> None:
    lines = found.text().splitlines()
    assert lines[0] == f"Dataset {campaign / 'dataset'}"
    assert lines[1].startswith("Measured on Test CPU")
    sentences = [line for line in lines if " slows " in line]
    assert len(sentences) == SLOWDOWNS_SHOWN
    assert all(re.fullmatch(r"  \S+ slows \S+ 1\.20x \[1\.[12]\d, 1\.2\d\], gain 1\.67", line) for line in sentences)
    (floor,) = [line for line in lines if "can be chance" in line]
    assert f"{found.noise_floor_ratios['cpu-0']:.3f}x" in floor


def test_nothing_is_missing_from_a_whole_campaign(found: Description) -> None:
    assert found.missing == []
    assert "Missing" not in found.text()


def test_folder_and_dataset_say_the_same_as_json_too(campaign: Path, found: Description) -> None:
    assert describe_dataset(campaign / "dataset") == found
    told = json.loads(json.dumps(found.as_dict()))
    assert told["slowdowns"][0]["slowdown_ratio"] == found.slowdowns[0].slowdown_ratio
    assert set(told) == set(Description.__dataclass_fields__)


def test_noise_and_failure_are_said_beside_the_number(tmp_path: Path) -> None:
    maker = Maker(tmp_path, slowdown=1.0, noise=0.03, quads=3)
    maker.null(RESNET, VIT)
    maker.pair(RESNET, VIT)
    maker.slowdown = 2.0
    maker.pair(VIT, VIT, self_test=SELF_TEST | {"passed": False})
    found = described(tmp_path)
    assert (found.slowdown_count, found.within_noise_count) == (4, 2)
    sentences = [line for line in found.text().splitlines() if " slows " in line]
    assert [line.endswith(", failed") for line in sentences] == [True, True, False, False]
    assert [line.endswith(" (within noise)") for line in sentences] == [False, False, True, True]
    assert found.reason_counts["serialised"] == 1
    assert "  1 x serialised: tenants took turns" in found.text()


def test_a_bare_pair_misses_everything_else(tmp_path: Path) -> None:
    Maker(tmp_path, quads=1).pair(RESNET, VIT, peaks=None)
    found = described(tmp_path)
    assert found.missing == [
        f"no solo profile of {RESNET}, {VIT}: their executions have no slowdown_ratio (experiment `solo`)",
        "no noise floor of Test CPU: no null experiment has bounds (experiment `null`)",
        "no measured peaks of Test CPU: throughputs have no percentages",
    ]
    assert found.profiles == []
    assert found.noise_floor_ratios == {"cpu-0": None}
    text = found.text()
    assert "can be chance" not in text
    assert "Alone" not in text
    assert re.search(rf"{VIT} slows {RESNET} 1\.\d\dx, gain", text), "one quad has no bounds to show"


def test_a_dataset_of_solos_speaks_of_no_slowdowns(tmp_path: Path) -> None:
    maker = Maker(tmp_path, noise=0.0)
    maker.solo(RESNET, repeats=2, executions=12, peaks=PEAKS | {"flop_per_s": 1e9})
    maker.solo(VIT, repeats=1, executions=1, peaks=PEAKS | {"flop_per_s": 1e9})
    found = described(tmp_path)
    assert "slows" not in found.text()
    assert f"{VIT}: no execution counts" in found.text()
    assert f"solo profiles with too few executions or blocks: {RESNET}, {VIT} (more `repeats`)" in found.missing
    assert any(re.match(r"1 .* the measured compute peak: .* sm_pct is null", line) for line in found.missing)


def test_what_failed_and_what_is_not_done_is_told(campaign: Path, tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    shutil.copytree(campaign, folder)
    maker = Maker(folder)
    maker.failure("one")
    maker.failure("two")
    done = read_table(folder, "experiments")["cell_id"].to_pylist()
    cells = [{"cell_id": cell_id} for cell_id in [*done, "later", "never"]]
    (folder / "plan.json").write_text(json.dumps({"cells": cells}))
    assert describe_dataset(folder).missing == [
        f"2 experiments failed (LaneLost 2x); see {folder / 'failed'}",
        f"2 of {len(cells)} planned experiments are not in the dataset (`cotenant campaign run` goes on)",
    ]
    shutil.copytree(folder / "dataset", tmp_path / "alone")
    assert describe_dataset(tmp_path / "alone").missing == [], "a dataset on its own has no plan"


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"null", b"\xff", b'{"cells": 3}', b'{"cells": [{}]}'])
def test_damaged_records_of_what_is_not_done_are_told(campaign: Path, tmp_path: Path, damaged: bytes) -> None:
    folder = tmp_path / "campaign"
    shutil.copytree(campaign, folder)
    Maker(folder).failure("one")
    (folder / "plan.json").write_bytes(damaged)
    (record,) = (folder / "failed").iterdir()
    record.write_bytes(damaged)
    assert describe_dataset(folder).missing == [
        f"1 experiments failed (unreadable record 1x); see {folder / 'failed'}",
        f"{folder / 'plan.json'} is damaged: how much is left is unknown (`cotenant campaign run` writes it again)",
    ]


def test_engines_of_one_name_are_told_apart() -> None:
    same = {"model": "resnet18", "batch_size": 1}
    engines = [
        {"engine_id": "a", "precision": "fp32", **same},
        {"engine_id": "b", "precision": "fp16", **same},
        {"engine_id": "c", "precision": "fp16", **same},
        {"engine_id": "d", "precision": "fp16", "model": "resnet18", "batch_size": 2},
    ]
    labels = Labels(engines)
    assert [labels.of(name) for name in "abcd"] == [
        "resnet18@1 fp32",
        "resnet18@1 fp16 b",
        "resnet18@1 fp16 c",
        "resnet18@2",
    ]
    assert labels.of("e") == "engine e", "a row may name an engine that is not there"


def test_words_of_a_newer_minor_version_are_told(campaign: Path, tmp_path: Path) -> None:
    copied = DamagedDataset(campaign / "dataset", tmp_path / "dataset")
    copied.edit("experiments", 0, verdict_reasons=["too_hot"], kind="marathon")
    found = describe_dataset(tmp_path / "dataset")
    assert f"  1 x too_hot: {UNKNOWN_REASON}" in found.text()
    assert found.experiment_counts["marathon"] == 1


def test_all_kinds_of_company_and_of_profiles_are_told_apart(tmp_path: Path) -> None:
    found = describe_dataset(run_every_kind(tmp_path))
    assert found.slowdown_count == 9, "two each of pair, set and sweep, three of the chain; a null is no company"
    assert any(line.partition(": ")[0].endswith("@1 in turns") for line in found.profiles)
    with_two = [slowdown for slowdown in found.slowdowns if len(slowdown.beside) == 2]
    assert re.search(r"  \S+ and \S+ slow \S+ \d", replace(found, slowdowns=with_two).text())


def test_a_folder_without_a_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is neither a campaign folder nor a dataset"):
        describe_dataset(tmp_path)
    Maker(tmp_path)
    with pytest.raises(UserError, match="derive it with `cotenant dataset build"):
        describe_dataset(tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        describe_dataset(tmp_path / "campaign.yaml")
