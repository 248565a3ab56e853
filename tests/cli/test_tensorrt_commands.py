"""`cotenant build --runner tensorrt` on a machine without a GPU: real engines, and every mistake in one line."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from command_line import Cotenant, Done, finish, wait_until
from tensorrt_chosen import chosen_rtx
from tensorrt_networks import write_open, write_refused
from tensorrt_plans import TENSORRT_TAG, plan_bytes
from tiny_campaign import write_net

from cotenant.models.digest import sha256_of
from cotenant.models.zoo import resolve

SLOW = "convnext_base:image=64"  # some seconds


@pytest.fixture(autouse=True)
def rtx(require: Callable[[str, bool, str], None]) -> Iterator[None]:
    with chosen_rtx(require):
        yield


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def build(tmp_path: Path, cache: Path) -> Callable[..., Done]:
    command = Cotenant(tmp_path / "home", tmp_path)

    def run(model: str, *options: object) -> Done:
        where = ("--runner", "tensorrt", "--device", "portable", "--cache", cache, "--out", tmp_path / "out")
        return command("build", *where, "--model", model, *options)

    return run


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "engines").iterdir()) if (cache / "engines").exists() else []


def test_engines_of_several_batch_sizes_are_built_and_described(
    build: Callable[..., Done], cache: Path, tmp_path: Path
) -> None:
    done = build("yolov8n:image=32", "--batch", "1,2", "--precision", "fp16", "--json")
    assert done.code == 0, done.err
    told = {engine["batch_size"]: engine for engine in json.loads(done.out)}
    assert set(told) == {1, 2}
    for engine in told.values():
        plan = cache / "engines" / engine["engine_id"] / "engine.plan"
        assert engine["engine_sha256"] == hashlib.sha256(plan.read_bytes()).hexdigest()
        assert (engine["build_target"], engine["engine_kind"]) == ("portable", "tensorrt-rtx")
    assert len(list((tmp_path / "out" / "engines").glob("*/meta.json"))) == 2


def test_without_a_device_the_portable_target_is_built_for(tmp_path: Path, cache: Path) -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("with a GPU, engines are built for it")
    path = write_net(tmp_path / "mine.onnx")
    command = Cotenant(tmp_path / "home", tmp_path)
    done = command("build", "--runner", "tensorrt", "--model", f"file:{path}", "--cache", cache, "--json")
    assert done.code == 0, done.err
    assert [engine["build_target"] for engine in json.loads(done.out)] == ["portable"]


def test_an_operator_that_tensorrt_lacks(build: Callable[..., Done], cache: Path, tmp_path: Path) -> None:
    done = build(f"file:{write_refused(tmp_path / 'mine.onnx')}")
    assert done.code == 2
    for word in ["mine.onnx", "node 1 (Det 'the_determinant')", "UNSUPPORTED_NODE"]:
        assert word in done.told
    assert entries(cache) == []


def test_a_dimension_left_open(build: Callable[..., Done], tmp_path: Path) -> None:
    path = write_open(tmp_path / "mine.onnx")
    done = build(f"file:{path}")
    assert done.code == 2
    assert "the size of width is open" in done.told
    done = build(f"file:{path}:width=4", "--batch", "3", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)[0]["input_shapes"] == {"x": [3, 4]}


@pytest.mark.parametrize("content", [b"\xff\x13 no network" * 40, b""], ids=["junk", "empty"])
def test_a_file_that_is_no_network(build: Callable[..., Done], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(content)
    done = build(f"file:{path}")
    assert done.code == 2
    assert "mine.onnx" in done.told


def test_a_corrupted_network(build: Callable[..., Done], tmp_path: Path) -> None:
    path = write_net(tmp_path / "mine.onnx")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    done = build(f"file:{path}")
    assert done.code == 2
    assert "cut short" in done.told


def test_a_target_that_there_is_not(tmp_path: Path) -> None:
    command = Cotenant(tmp_path / "home", tmp_path)
    done = command("build", "--runner", "tensorrt", "--device", "sm_61", "--model", "resnet18", "--out", "out")
    assert done.code == 2
    assert "'sm_61'" in done.told


def test_a_truncated_plan_is_told_and_built_anew(build: Callable[..., Done], cache: Path, tmp_path: Path) -> None:
    model = f"file:{write_net(tmp_path / 'mine.onnx')}"
    assert build(model).code == 0
    plan = entries(cache)[0] / "engine.plan"
    whole = plan.read_bytes()
    plan.write_bytes(whole[: len(whole) // 2])
    done = build(model)
    assert done.code == 0, done.err
    assert f"has {len(whole) // 2} bytes instead of {len(whole)}" in done.err
    assert plan.read_bytes() == whole


def test_a_foreign_plan_is_refused_naming_both_sides(build: Callable[..., Done], cache: Path, tmp_path: Path) -> None:
    model = f"file:{write_net(tmp_path / 'mine.onnx')}"
    assert build(model).code == 0
    for foreign, words in (
        (plan_bytes(TENSORRT_TAG, (11, 4, 0, 106)), ["was built by TensorRT 11.4.0.106", "here is TensorRT-RTX"]),
        (plan_bytes(version=(1, 6, 0, 9)), ["was built by TensorRT-RTX 1.6.0.9", "here is TensorRT-RTX"]),
        (plan_bytes()[:-1], ["has 63 bytes, its header says 64"]),
        (b"\x7fELF" + bytes(60), ["is no plan of TensorRT or TensorRT-RTX"]),
    ):
        replace_plan(entries(cache)[0], foreign)
        done = build(model)
        assert done.code == 1
        for word in [*words, str(entries(cache)[0] / "engine.plan"), "build the engine again"]:
            assert word in done.told


def replace_plan(entry: Path, plan: bytes) -> None:
    """Put another plan into a cache entry and make its meta.json agree, as an entry copied from elsewhere would."""
    (entry / "engine.plan").write_bytes(plan)
    meta = json.loads((entry / "meta.json").read_text())
    digest = hashlib.sha256(plan).hexdigest()
    meta["files"]["engine.plan"] = {"bytes": len(plan), "sha256": digest}
    meta["engine"] |= {"engine_sha256": digest, "engine_bytes": len(plan)}
    del meta["meta_sha256"]
    (entry / "meta.json").write_text(json.dumps(meta | {"meta_sha256": sha256_of(meta)}))


@pytest.mark.serial
def test_ctrl_c_ends_a_build_within_a_second_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    resolve(SLOW).export(1, "fp16", cache)
    command = Cotenant(tmp_path / "home", tmp_path)
    process = command.start(
        *("build", "--runner", "tensorrt", "--device", "portable", "--model", SLOW, "--precision", "fp16"),
        *("--cache", cache, "--out", tmp_path / "out"),
    )
    wait_until(lambda: bool(list((cache / "engines").glob(".tmp-*/build.log"))), process, "a build")
    everyone = psutil.Process(process.pid).children(recursive=True)
    assert everyone
    began_s = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    took_s = time.monotonic() - began_s
    assert done.code == 130
    assert "Traceback" not in done.err
    assert done.err.strip().splitlines()[-1].startswith("Stopped; what is finished is kept.")
    assert took_s < 1.5  # a second, and the end of the interpreter
    assert not psutil.wait_procs(everyone, timeout=0)[1]
    assert entries(cache) == []


def test_where_no_tensorrt_is_it_says_what_to_install(tmp_path: Path) -> None:
    command = Cotenant(tmp_path / "home", tmp_path)
    done = command(
        "build", "--runner", "tensorrt", "--device", "portable", "--model", "resnet18", COTENANT_TENSORRT="tensorflow"
    )
    assert done.code == 2
    assert "tensorrt or tensorrt-rtx" in done.told
