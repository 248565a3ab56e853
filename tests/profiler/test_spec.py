"""Specs: what a good one becomes, and the one line that each bad one gets."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from cotenant.models.errors import UserError
from cotenant.profiler.campaign.spec import CampaignSpec, load_spec, parse_spec, ready_campaigns

GOOD: dict[str, Any] = {
    "name": "t",
    "engines": {"models": ["resnet18:image=32"], "batch_sizes": [1, 2]},
    "experiments": [{"kind": "pair"}, {"kind": None, "count": 2}],
}


def changed(**keys: object) -> dict[str, Any]:
    return {**GOOD, **keys}


def test_a_bare_null_in_yaml_is_the_null_experiment() -> None:
    assert [entry.kind for entry in parse_spec(GOOD, "t").experiments] == ["pair", "null"]


def test_the_resolved_spec_parses_to_itself() -> None:
    spec = parse_spec(GOOD, "t")
    assert parse_spec(spec.resolved(), "t") == spec


def test_a_device_may_be_named_by_its_index() -> None:
    assert parse_spec(changed(device=0), "t").device == "0"
    with pytest.raises(UserError, match="`device`"):
        parse_spec(changed(device=True), "t")


def test_merged_keys_may_be_overridden_and_keys_may_not_stand_twice(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("name: t\nengines: {models: [a]}\n<<: {lanes: 3}\nlanes: 2\n")
    assert load_spec(str(path)).lanes == 2
    path.write_text("name: t\nengines:\n  models: [a]\n  models: [b]\n")
    with pytest.raises(UserError, match=r"`models` stands twice, in lines 3 and 4"):
        load_spec(str(path))


def test_every_ready_campaign_parses() -> None:
    assert "quickstart" in ready_campaigns()
    for name in ready_campaigns():
        assert isinstance(load_spec(name), CampaignSpec)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (changed(lans=2), "unknown key `lans`; did you mean `lanes`?"),
        (changed(quality={"block_seconds": 1}), "unknown key `quality.block_seconds`; did you mean `block_s`?"),
        (changed(engines=[{"models": ["x"], "batchsizes": [1]}]), "did you mean `batch_sizes`?"),
        (
            changed(experiments=[{"kind": "pair", "selfpairs": True}]),
            "unknown key `selfpairs`; did you mean `self_pairs`",
        ),
        (changed(experiments=[{"kind": "pear"}]), "unknown kind 'pear'; did you mean `pair`?"),
        (changed(experiments=[{"pairs": "all"}]), "experiments.0: each experiment needs a `kind`"),
        (changed(experiments={"kind": "pair"}), "`experiments` must be a list"),
        (changed(lanes=0), "`lanes`: Input should be greater than or equal to 1"),
        (changed(lanes="two"), "`lanes`"),
        (changed(precision="fp8"), "`precision`: Input should be 'fp32' or 'fp16'"),
        (changed(engines={"models": ["x"], "batch_sizes": [0]}), "batch sizes are whole numbers from 1"),
        (changed(engines={"models": ["x"], "batch_sizes": ["8x"]}), "`engines.0.batch_sizes.0`"),
        (changed(engines={"models": []}), "`engines.0.models`"),
        (changed(quality={"look_quads": [8, 4]}), "must be rising numbers of quads"),
        (
            changed(experiments=[{"kind": "null", "count": True}]),
            "experiments.0: `count`: true and false",
        ),
        (changed(engines={"models": ["x"], "build_index": False}), "`engines.0.build_index`: true and false"),
        (changed(experiments=[{"kind": "pair", "pairs": [["a@1", 2]]}]), "experiments.0: `pairs.0.1`: Input should be"),
        (changed(experiments=[{"kind": "pair", "pairs": [["a", "b", "c"]]}]), "`pairs.0`: List should have at most 2"),
        (changed(engines=[3]), "`engines.0`: Input should be keys with values"),
        ({"name": "t"}, "`engines` is missing"),
        ([], "holds no spec"),
        (None, "holds no spec"),
    ],
)
def test_a_bad_spec_gets_one_line_that_names_the_place(content: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_spec(content, "here.yaml")
    message = str(caught.value)
    assert line in message
    assert message.startswith("here.yaml")
    assert "\n" not in message


def test_bad_yaml_and_unknown_names_get_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [unclosed\nengines: }")
    for name, line in ((str(broken), "is not valid YAML"), ("quickstrat", "neither a file nor a ready campaign")):
        with pytest.raises(UserError, match=line) as caught:
            load_spec(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("runner", "models", "precision"),
    [
        ("onnxruntime-cpu", ["resnet18"], "fp32"),
        ("simulated", ["resnet18"], "fp32"),
        ("tensorrt", ["resnet18"], "fp16"),
        ("torch-cuda", ["resnet18", "file:{net}"], "fp32"),
        ("torch-cuda", ["file:missing.onnx"], "fp16"),
    ],
)
def test_a_spec_that_names_no_precision_gets_that_of_its_runner_or_of_the_users_file(
    runner: str, models: list[str], precision: str, tmp_path: Path
) -> None:
    net = tmp_path / "net.onnx"
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), net)
    named = [name.format(net=net) for name in models]
    assert parse_spec({"name": "t", "runner": runner, "engines": {"models": named}}, "t").precision == precision
