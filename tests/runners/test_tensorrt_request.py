"""What an engine is asked for decides its id, every part of it."""

from typing import Any

import pytest

from cotenant.models.errors import UserError
from cotenant.models.zoo import resolve
from cotenant.runners.network_request import NetworkRequest
from cotenant.runners.protocol import Engine

ASKED: dict[str, Any] = {
    "model": resolve("resnet18:image=32"),
    "batch_size": 1,
    "precision": "fp16",
    "runner": "tensorrt",
    "runner_version": "tensorrt-rtx 1.7.1.116",
    "target": "portable",
    "flags": {"revision": 1},
    "build_index": 0,
}


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("model", resolve("resnet34:image=32")),
        ("model", resolve("resnet18:image=64")),
        ("batch_size", 2),
        ("precision", "fp32"),
        ("runner", "torch-cuda"),
        ("runner_version", "tensorrt 11.4.0.106"),
        ("target", "sm_89"),
        ("flags", {"revision": 2}),
        ("build_index", 1),
    ],
)
def test_every_part_is_part_of_the_id(part: str, other: Any) -> None:
    assert NetworkRequest(**ASKED).engine_id() != NetworkRequest(**(ASKED | {part: other})).engine_id()


def test_the_same_request_has_the_same_id() -> None:
    assert NetworkRequest(**ASKED).engine_id() == NetworkRequest(**ASKED).engine_id()


def test_all_fields_but_those_of_the_built_file_are_known_beforehand() -> None:
    fields = NetworkRequest(**ASKED).fields()
    assert set(Engine.__dataclass_fields__) - set(fields) == {"engine_kind", "engine_sha256", "engine_bytes", "folder"}
    assert set(fields) <= set(Engine.__dataclass_fields__)


@pytest.mark.parametrize(("part", "bad"), [("batch_size", 0), ("precision", "int8"), ("build_index", -1)])
def test_bad_requests_are_the_users_mistake(part: str, bad: Any) -> None:
    with pytest.raises(UserError, match=str(bad)):
        NetworkRequest(**(ASKED | {part: bad}))
