"""`cotenant dataset import` as a person runs it."""

import json
from pathlib import Path

import pytest
from command_line import Cotenant

MAPPING = """
format: csv
device: {name: Tesla V100, kind: gpu, sm_count: 80}
runner: triton
tenants:
  - {model: a, batch: {value: 8}, solo: {p50: {column: solo, unit: ms}}, co_run: {p50: {column: co, unit: ms}}}
  - {model: b, batch: {value: 8}}
"""
ROWS = "a,b,solo,co\nresnet50,vgg19,4.5,5.25\nvgg19,resnet50,9,11\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    source, mapping = tmp_path / "pairs.csv", tmp_path / "pairs.yaml"
    source.write_text(ROWS)
    mapping.write_text(MAPPING)
    return source, mapping


def test_import_check_describe_and_export(cotenant: Cotenant, files: tuple[Path, Path], tmp_path: Path) -> None:
    source, mapping = files
    done = cotenant("dataset", "import", source, "--mapping", mapping, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "2 rows: 2 experiments, 2 engines" in done.out
    checked = cotenant("dataset", "check", tmp_path / "out", "--digest")
    assert (checked.code, "all hold" in checked.out) == (0, True)
    described = cotenant("dataset", "describe", tmp_path / "out")
    assert "resnet50@8 slows vgg19@8 1.22x" in described.out
    assert cotenant("dataset", "export", tmp_path / "out", "--to", tmp_path / "copy").code == 0


def test_duplicates_are_loud(cotenant: Cotenant, files: tuple[Path, Path], tmp_path: Path) -> None:
    source, mapping = files
    source.write_text(ROWS + "ssd,vgg19,4.5,5.25\n")
    arguments = ["dataset", "import", source, "--mapping", mapping, "--out", tmp_path / "out"]
    done = cotenant(*arguments)
    assert done.code == 1
    assert "DUPLICATES: 1 of 3 rows repeat" in done.err
    assert "line 4 repeats line 2" in done.err
    assert "--allow-duplicates" in done.err
    assert not (tmp_path / "out").exists()
    allowed = cotenant(*arguments, "--allow-duplicates", "--json")
    assert allowed.code == 0
    assert json.loads(allowed.out)["contamination"]["repeat_count"] == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("pairs.csv", ROWS + "x,y,NaN,3\n", ["pairs.csv, line 4, column 'solo'", "'NaN' is no number"]),
        ("pairs.yaml", MAPPING.replace("runner", "ruler"), ["pairs.yaml", "no key 'ruler'"]),
        ("pairs.yaml", "a: [", ["pairs.yaml", "not valid YAML"]),
        ("pairs.yaml", "format: 2026-01-01", ["pairs.yaml", "besides texts"]),
        ("pairs.yaml", "- 1", ["pairs.yaml", "no mapping"]),
    ],
)
def test_a_mistake_is_one_line(
    cotenant: Cotenant, files: tuple[Path, Path], tmp_path: Path, name: str, text: str, words: list[str]
) -> None:
    source, mapping = files
    (tmp_path / name).write_text(text)
    done = cotenant("dataset", "import", source, "--mapping", mapping, "--out", tmp_path / "out")
    assert done.code == 2
    assert all(word in done.told for word in words), done.told
