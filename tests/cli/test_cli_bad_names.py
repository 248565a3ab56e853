"""Unknown models, runners, devices and keys: the line names what is wrong and the nearest right one."""

from pathlib import Path

import pytest
from command_line import Cotenant
from tiny_campaign import write_spec


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "resnet51"], ["resnet51", "resnet50"]),
        (["--model", "resnet50:img=96"], ["img", "image"]),
        (["--model", "resnet50:image=big"], ["big", "image"]),
        (["--model", "resnet50:image=96,image=64"], ["image", "twice"]),
        (["--model", "probe:drum:100"], ["'drum'", "'dram'"]),
        (["--model", "probe:dram:101"], ["probe:dram:101", "from 0 to 100"]),
        (["--model", "probe:dram:" + "9" * 5000], ["from 0 to 100"]),
        (["--model", "probe"], ["compute, cache, dram, half"]),
        (["--model", "resnet18", "--runner", "onnxruntime-cpus"], ["onnxruntime-cpus", "onnxruntime-cpu"]),
        (["--model", "resnet18", "--device", "gpu7"], ["gpu7", "cpu"]),
        (["--model", "resnet18", "--isolation", "mps"], ["mps", "own-cores"]),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(
    cotenant: Cotenant, arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    done = cotenant("build", *arguments, "--out", tmp_path / "out")
    assert done.code == 2
    for word in words:
        assert word in done.told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["show", "cost", "export"])
def test_every_command_about_a_model_knows_which_there_are(cotenant: Cotenant, command: str, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "onnx"] if command == "export" else []
    done = cotenant("models", command, "vgg15", *out)
    assert done.code == 2
    assert "vgg15" in done.told
    assert "vgg1" in done.told.replace("vgg15", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engins": {}}, ["engins", "`engines`"]),
        ({"quality": {"alfa": 0.1}}, ["quality.alfa", "`alpha`"]),
        ({"engines": {"modells": ["resnet18"]}}, ["modells", "`models`"]),
        ({"engines": {"models": ["resnet18"], "batch_sizes": [0]}}, ["batch_sizes", "from 1"]),
        ({"engines": {"models": ["resnet18"], "batch_sizes": ["8x"]}}, ["batch_sizes", "integer"]),
        ({"engines": {"models": ["resnet51"]}}, ["resnet51", "resnet50"]),
        ({"experiments": [{"kind": "pairs"}]}, ["experiments.0", "'pairs'", "`pair`"]),
        ({"experiments": [{"kind": "pair", "quads": 3}]}, ["experiments.0", "quads"]),
        ({"experiments": "pair"}, ["experiments", "list"]),
        ({"lanes": 0}, ["lanes"]),
        ({"precision": "fp8"}, ["precision", "fp16"]),
        ({"runner": "tensorflow"}, ["tensorflow", "'tensorrt'"]),
        ({"device": "gpu7"}, ["gpu7", "cpu"]),
        ({"quality": {"look_quads": [8, 2]}}, ["look_quads", "rising"]),
        ({"quality": {"look_quads": 8}}, ["quality.look_quads", "a list, as in [8]"]),
        ({"quality": {"hang_s": float("inf")}}, ["quality.hang_s", "finite"]),
        ({"quality": {"gain_min_ratio": float("nan")}}, ["quality.gain_min_ratio", "finite"]),
        ({"engines": {"models": "resnet18"}}, ["engines.0.models", "a list, as in [resnet18]"]),
        ({"engines": {"models": ["resnet18"], "batch_sizes": 8}}, ["engines.0.batch_sizes", "a list, as in [8]"]),
        ({"engines": {"models": ["resnet18"], "batch_sizes": [True]}}, ["engines.0.batch_sizes.0", "give a number"]),
        ({"engines": {"models": ["probe:drum:1"]}}, ["'drum'", "'dram'"]),
        ({"lanes": True}, ["`lanes`", "give a number"]),
        ({"experiments": [{"kind": "pair", "pairs": "some"}]}, ["experiments.0: `pairs`", "'all' or a list"]),
        ({"experiments": [{"kind": "pair", "pairs": [["a@1"]]}]}, ["experiments.0: `pairs.0`", "one item more"]),
        ({"experiments": [{"kind": "set", "sets": {"cout": 3}}]}, ["experiments.0", "`sets.cout`", "`count`"]),
    ],
)
def test_a_wrong_spec_is_told_in_one_line(
    cotenant: Cotenant, tmp_path: Path, changes: dict[str, object], words: list[str]
) -> None:
    spec = write_spec(tmp_path / "wrong.yaml", ["resnet18"], **changes)
    done = cotenant("campaign", "run", spec, "--out", tmp_path / "out")
    assert done.code == 2
    for word in words:
        assert word in done.told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["holds no spec"]),
        (b"a: [", ["YAML"]),
        (b"\xff\xfe\x00", ["wrong.yaml"]),
        (b"- 1\n", ["holds no spec"]),
        (b"[" * 50_000, ["nested too deeply"]),
        (b"name: a\nseed: 1\nname: b\n", ["`name`", "twice", "lines 1 and 3"]),
        (b"name: a\nengines: &e {models: *e}\n", ["contains itself"]),
        (b"name: 2026-13-40\n", ["not valid YAML", "month"]),
        (b"seed: " + b"9" * 5000, ["not valid YAML", "digits"]),
    ],
)
def test_a_file_that_is_no_spec_is_told(cotenant: Cotenant, tmp_path: Path, content: bytes, words: list[str]) -> None:
    (tmp_path / "wrong.yaml").write_bytes(content)
    done = cotenant("campaign", "run", "wrong.yaml", "--out", "out")
    assert done.code == 2
    for word in ["wrong.yaml", *words]:
        assert word in done.told


def test_a_spec_that_is_not_there_is_told_with_the_ready_ones(cotenant: Cotenant) -> None:
    done = cotenant("campaign", "run", "quickstrat", "--out", "out")
    assert done.code == 2
    assert "quickstrat" in done.told
    assert "quickstart" in done.told
