"""The zoo's networks have the published sizes, and names and options say what they mean."""

import pytest

from cotenant.models.errors import UserError
from cotenant.models.zoo import catalogue, resolve

# torchvision's weights pages (ResNet, VGG, ViT b and l, ConvNeXt), timm (ViT ti and s), transformers (RoBERTa with
# pooler), ultralytics (YOLOv8)
PUBLISHED_PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vit_ti_16": 5_717_416,
    "vit_s_16": 22_050_664,
    "vit_b_16": 86_567_656,
    "vit_b_32": 88_224_232,
    "vit_l_16": 304_326_632,
    "vit_l_32": 306_535_400,
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
    "convnext_large": 197_767_336,
    "roberta_base": 124_645_632,
    "roberta_large": 355_359_744,
    "yolov8n": 3_157_200,
    "yolov8s": 11_166_560,
    "yolov8m": 25_902_640,
    "yolov8l": 43_691_520,
    "yolov8x": 68_229_648,
}
# multiply-accumulates in units of 1e9: torchvision's `GFLOPS` count one for each; ultralytics' count two
PUBLISHED_GMACS = {
    "resnet18": 1.81,
    "resnet34": 3.66,
    "resnet50": 4.09,
    "resnet101": 7.80,
    "resnet152": 11.51,
    "vgg11": 7.61,
    "vgg13": 11.31,
    "vgg16": 15.47,
    "vgg19": 19.63,
    "vit_b_16": 17.56,
    "vit_b_32": 4.41,
    "vit_l_16": 61.55,
    "vit_l_32": 15.38,
    "convnext_tiny": 4.46,
    "convnext_small": 8.68,
    "convnext_base": 15.36,
    "convnext_large": 34.36,
    "yolov8n": 8.7 / 2,
    "yolov8s": 28.6 / 2,
    "yolov8m": 78.9 / 2,
    "yolov8l": 165.2 / 2,
    "yolov8x": 257.8 / 2,
}
ROBERTA_SIZES = {
    "roberta_base": (768, 12),
    "roberta_large": (1024, 24),
    "roberta_small": (512, 4),
    "roberta_mini": (256, 4),
    "roberta_tiny": (128, 2),
}
VIT_SIZES = {"ti": (192, 12), "s": (384, 12), "b": (768, 12), "l": (1024, 24)}
ENTRIES = {entry.name: entry for entry in catalogue()}


@pytest.mark.parametrize(("name", "published"), PUBLISHED_PARAMETERS.items())
def test_parameters_are_the_published_ones(name: str, published: int) -> None:
    assert ENTRIES[name].parameter_count == published


@pytest.mark.parametrize(("name", "published"), PUBLISHED_GMACS.items())
def test_macs_are_the_published_ones(name: str, published: float) -> None:
    assert ENTRIES[name].mac_count / 1e9 == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize(("name", "size"), ROBERTA_SIZES.items())
@pytest.mark.parametrize("tokens", [32, 128, 512])
def test_roberta_follows_its_closed_formula(name: str, size: tuple[int, int], tokens: int) -> None:
    width, depth = size
    block = 4 * (width * width + width) + (8 * width * width + 5 * width) + 4 * width
    embeddings = (50265 + 514 + 1) * width + 2 * width
    pooler = width * width + width
    macs = depth * (12 * tokens * width * width + 2 * tokens * tokens * width) + width * width
    cost = resolve(f"{name}:seq={tokens}").cost(1, "fp32")
    assert cost.parameter_count == embeddings + depth * block + pooler
    assert cost.mac_count == macs


@pytest.mark.parametrize("size", VIT_SIZES)
@pytest.mark.parametrize("patch", [16, 32])
@pytest.mark.parametrize("side", [96, 224])
def test_vit_follows_its_closed_formula(size: str, patch: int, side: int) -> None:
    width, depth = VIT_SIZES[size]
    tokens = (side // patch) ** 2 + 1
    block = 4 * (width * width + width) + (8 * width * width + 5 * width) + 4 * width
    patches = 3 * patch * patch * width
    parameters = patches + width + width + tokens * width + depth * block + 2 * width + 1000 * (width + 1)
    macs = (tokens - 1) * patches + depth * (12 * tokens * width**2 + 2 * tokens**2 * width) + 1000 * width
    cost = resolve(f"vit_{size}_{patch}:image={side}").cost(1, "fp32")
    assert (cost.parameter_count, cost.mac_count) == (parameters, macs)


def test_every_variant_has_a_published_or_closed_figure() -> None:
    small_vit = {f"vit_{size}_{patch}" for size in VIT_SIZES for patch in (16, 32)}
    assert set(ENTRIES) == set(PUBLISHED_PARAMETERS) | set(ROBERTA_SIZES) | small_vit
    assert set(ENTRIES) - set(PUBLISHED_GMACS) == set(ROBERTA_SIZES) | {
        f"vit_{s}_{p}" for s in ("ti", "s") for p in (16, 32)
    }


def test_work_grows_with_the_batch_and_weights_do_not() -> None:
    one, eight = (resolve("resnet50").cost(size, "fp32") for size in (1, 8))
    assert eight.mac_count == 8 * one.mac_count
    assert eight.write_bytes == 8 * one.write_bytes
    assert eight.weight_bytes == one.weight_bytes
    half = resolve("resnet50").cost(1, "fp16")
    assert (half.mac_count, 2 * half.weight_bytes) == (one.mac_count, one.weight_bytes)


def test_names_are_canonical() -> None:
    assert resolve("resnet50:image=224").name == "resnet50"
    assert resolve("resnet50:image=96").name == "resnet50:image=96"
    assert resolve("roberta_base:seq=64").name == "roberta_base:seq=64"


def test_inputs_have_the_asked_shape_and_type() -> None:
    (image,) = resolve("vgg11:image=64").inputs(4, "fp16")
    assert (image.dtype, image.shape, image.high) == ("float16", (4, 3, 64, 64), None)
    (ids,) = resolve("roberta_tiny:seq=16").inputs(2, "fp16")
    assert (ids.dtype, ids.shape, ids.high) == ("int64", (2, 16), 50265)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet51", ["'resnet51'", "resnet50"]),
        ("zzz", ["'zzz'", "models list"]),
        ("resnet50:size=96", ["'size'", "image"]),
        ("resnet50:image=big", ["image=big"]),
        ("resnet50:image=0", ["image=0"]),
        ("resnet50:image=", ["image"]),
        ("resnet50:", ["image"]),
        ("vit_b_16:image=100", ["image=100", "16"]),
        ("roberta_base:seq=513", ["seq=513", "512"]),
    ],
)
def test_what_cannot_be_is_told_with_what_can(name: str, words: list[str]) -> None:
    with pytest.raises(UserError) as told:
        resolve(name)
    for word in words:
        assert word in str(told.value)


@pytest.mark.parametrize("batch_size", [0, -1, True, 1.5, "8", 5000])
def test_a_batch_size_is_a_whole_number(batch_size: int) -> None:
    with pytest.raises(UserError, match="no batch size"):
        resolve("resnet18").cost(batch_size, "fp32")


def test_the_source_tells_variants_options_and_precisions_apart_and_not_batches() -> None:
    models = ("resnet18", "resnet34", "resnet18:image=96", "roberta_tiny")
    sources = {resolve(name).source_sha256(precision) for name in models for precision in ("fp32", "fp16")}
    assert len(sources) == 8
    assert resolve("resnet18").source_sha256("fp32") == resolve("resnet18:image=224").source_sha256("fp32")
