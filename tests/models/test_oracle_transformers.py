"""ResNet, ViT, ConvNeXt and RoBERTa beside Hugging Face's implementations with the same weights."""

import re
from pathlib import Path
from typing import Any

import pytest
from independent import Ours, assert_same

pytestmark = pytest.mark.oracle
SIDE = 96
BOTTLENECKS = {"hidden_sizes": [256, 512, 1024, 2048], "layer_type": "bottleneck"}
BASICS = {"hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"}
RESNETS: dict[str, dict[str, Any]] = {
    "resnet18": {**BASICS, "depths": [2, 2, 2, 2]},
    "resnet50": {**BOTTLENECKS, "depths": [3, 4, 6, 3]},
}


@pytest.fixture
def transformers() -> Any:
    return pytest.importorskip("transformers")


@pytest.mark.parametrize("name", RESNETS)
def test_resnet(transformers: Any, tmp_path: Path, name: str) -> None:
    import torch

    config = transformers.ResNetConfig(embedding_size=64, num_labels=1000, **RESNETS[name])
    theirs = transformers.ResNetForImageClassification(config)
    ours = Ours(f"{name}:image={SIDE}", 2)
    ours.fill(theirs, resnet_name)
    (image,) = ours.inputs()
    assert_same(ours.outputs([image], tmp_path)[0], theirs(torch.tensor(image)).logits)


def resnet_name(key: str) -> str:
    key = key.replace("resnet.embedder.embedder", "stem").replace("classifier.1", "classifier")
    key = re.sub(r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)", r"stage\1.\2", key)
    key = re.sub(r"\.layer\.(\d)", lambda found: f".conv{int(found[1]) + 1}", key)
    return key.replace(".convolution", "").replace(".normalization", "")


@pytest.mark.parametrize(("name", "patch"), [("vit_ti_16", 16), ("vit_s_32", 32)])
def test_vit(transformers: Any, tmp_path: Path, name: str, patch: int) -> None:
    import torch

    width = {"vit_ti_16": 192, "vit_s_32": 384}[name]
    config = transformers.ViTConfig(
        hidden_size=width,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        image_size=SIDE,
        patch_size=patch,
        layer_norm_eps=1e-6,
        num_labels=1000,
    )
    theirs = transformers.ViTForImageClassification(config)
    ours = Ours(f"{name}:image={SIDE}", 2)
    ours.fill(theirs, lambda key: vit_name(key, width))
    (image,) = ours.inputs()
    assert_same(ours.outputs([image], tmp_path)[0], theirs(torch.tensor(image)).logits)


def vit_name(key: str, width: int) -> str:
    third = {"q": f"[0:{width}]", "k": f"[{width}:{2 * width}]", "v": f"[{2 * width}:{3 * width}]"}
    key = re.sub(r"vit\.layers\.(\d+)", r"block\1", key)
    if found := re.fullmatch(r"(.*)attention\.([qkv])_proj\.(\w+)", key):
        return f"{found[1]}qkv.{found[3]}{third[found[2]]}"
    for theirs, ours in {
        "attention.o_proj": "projection",
        "layernorm_before": "norm1",
        "layernorm_after": "norm2",
        "mlp.fc": "mlp",
        "vit.embeddings.patch_embeddings.projection": "patches",
        "vit.embeddings.cls_token": "class_token",
        "vit.embeddings.position_embeddings": "positions",
        "vit.layernorm": "norm",
    }.items():
        key = key.replace(theirs, ours)
    return key


def test_convnext(transformers: Any, tmp_path: Path) -> None:
    import torch

    config = transformers.ConvNextConfig(num_labels=1000, layer_scale_init_value=1.0)
    config.layer_norm_eps = 1e-6  # of the last norm; the others have it fixed at this value
    theirs = transformers.ConvNextForImageClassification(config)
    ours = Ours(f"convnext_tiny:image={SIDE}", 2)
    ours.fill(theirs, convnext_name)
    (image,) = ours.inputs()
    assert_same(ours.outputs([image], tmp_path)[0], theirs(torch.tensor(image)).logits)


def convnext_name(key: str) -> str:
    key = re.sub(r"convnext\.encoder\.stages\.(\d+)\.downsampling_layer\.0", r"stage\1.norm", key)
    key = re.sub(r"convnext\.encoder\.stages\.(\d+)\.downsampling_layer\.1", r"stage\1.halve", key)
    key = re.sub(r"convnext\.encoder\.stages\.(\d+)\.layers\.(\d+)", r"stage\1.\2", key)
    for theirs, ours in {
        "convnext.embeddings.patch_embeddings": "stem",
        "convnext.embeddings.layernorm": "stem.norm",
        "convnext.layernorm": "norm",
        "layer_scale_parameter": "scale",
        "dwconv": "depthwise",
        "layernorm": "norm",
        "pwconv": "mlp",
    }.items():
        key = key.replace(theirs, ours)
    return key


@pytest.mark.parametrize(("name", "width", "depth"), [("roberta_tiny", 128, 2), ("roberta_mini", 256, 4)])
def test_roberta(transformers: Any, tmp_path: Path, name: str, width: int, depth: int) -> None:
    import torch

    config = transformers.RobertaConfig(
        vocab_size=50265,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    theirs = transformers.RobertaModel(config)
    ours = Ours(f"{name}:seq=32", 2)
    ours.fill(theirs, roberta_name)
    (ids,) = ours.inputs(low=2)  # id 1 is padding, which theirs leaves out of the positions' count
    last_hidden, pooled = ours.outputs([ids], tmp_path)
    found = theirs(torch.tensor(ids))
    assert_same(last_hidden, found.last_hidden_state)
    assert_same(pooled, found.pooler_output)


def roberta_name(key: str) -> str:
    key = re.sub(r"encoder\.layer\.(\d+)", r"block\1", key)
    for theirs, ours in {
        "embeddings.word_embeddings.weight": "words",
        "embeddings.position_embeddings.weight": "positions",
        "embeddings.token_type_embeddings.weight": "token_type",
        "embeddings.LayerNorm": "norm",
        "attention.self.": "",
        "attention.output.dense": "projection",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "mlp1",
        "output.dense": "mlp2",
        "output.LayerNorm": "norm2",
        "pooler.dense": "pooler",
    }.items():
        key = key.replace(theirs, ours)
    return key


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("resnet50", "ResNet", RESNETS["resnet50"]),
        ("convnext_base", "ConvNext", {"hidden_sizes": [128, 256, 512, 1024], "depths": [3, 3, 27, 3]}),
        ("vit_b_16", "ViT", {}),
    ],
)
def test_their_published_sizes_have_as_many_parameters(
    transformers: Any, name: str, kind: str, settings: dict[str, Any]
) -> None:
    import torch

    with torch.device("meta"):
        config = getattr(transformers, f"{kind}Config")(num_labels=1000, **settings)
        theirs = getattr(transformers, f"{kind}ForImageClassification")(config)
    assert Ours(name, 1).network.parameter_count == sum(each.numel() for each in theirs.parameters())
