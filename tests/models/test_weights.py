"""Weights: the same bytes everywhere, of the deviation asked for, written once, made anew when damaged."""

import hashlib
import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cotenant.models import weights as module
from cotenant.models.graph import Network, Weight
from cotenant.models.model import Precision
from cotenant.models.weights import ALIGNMENT_BYTES, numbers, placed, weights_key, write_weights
from cotenant.models.zoo import resolve

MODEL = "roberta_tiny:seq=16"
# Of `declared`, as first written. If these change, so did what every zoo model computes: raise DIGEST_REVISION.
GOLDEN: dict[Precision, str] = {
    "fp32": "89ff6844a9ff9fab1e48185b259390a8bd01e0de88c090ee24ff828e320ea030",
    "fp16": "ac18c04e83dba64c068db6baf923ade2f4a3a204c064eb481130a904d34fe49d",
}


def declared(precision: Precision = "fp32") -> list[Weight]:
    net = Network("golden", 1, precision)
    net.weight("odd", (7, 3), 0.5)
    net.weight("shifted", (128, 65), 0.1, mean=1.0)
    net.weight("ramp", (16,), 0.0, ramp=True)
    net.weight("constant", (5,), 0.0, mean=0.25)
    return list(net.weights.values())


def written(weights: list[Weight]) -> bytes:
    stream = io.BytesIO()
    write_weights(weights, stream)
    return stream.getvalue()


@pytest.mark.parametrize(("precision", "sha256"), GOLDEN.items())
def test_the_bytes_are_those_of_every_other_machine(precision: Precision, sha256: str) -> None:
    assert hashlib.sha256(written(declared(precision))).hexdigest() == sha256


@pytest.mark.parametrize("precision", GOLDEN)
def test_each_tensor_lies_where_it_is_said_to(precision: Precision) -> None:
    weights = declared(precision)
    data = written(weights)
    places = placed([weight.byte_count for weight in weights])
    for weight, place in zip(weights, places, strict=True):
        found = np.frombuffer(data, weight.dtype, count=int(np.prod(weight.shape)), offset=place.offset)
        assert np.array_equal(found.reshape(weight.shape), numbers(weight))
        assert place.offset % ALIGNMENT_BYTES == 0
    assert all(first.offset + first.byte_count <= second.offset for first, second in pairwise(places))


def test_large_tensors_are_made_in_pieces_of_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(declared())
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 6)
    assert written(declared()) == whole


def test_numbers_have_the_deviation_asked_for() -> None:
    weight = Weight("any", (500, 400), "float32", seed=3, mean=-0.5, std=0.2)
    found = numbers(weight).astype(np.float64)
    error = 0.2 / np.sqrt(found.size)
    assert found.mean() == pytest.approx(-0.5, abs=5 * error)
    assert found.std() == pytest.approx(0.2, rel=0.01)
    assert np.abs(found + 0.5).max() <= 0.2 * np.sqrt(3) + 1e-6
    assert abs(np.corrcoef(found.ravel()[:-1], found.ravel()[1:])[0, 1]) < 5 / np.sqrt(found.size)


def test_names_and_networks_have_numbers_of_their_own() -> None:
    one, other = Network("one", 1, "fp32"), Network("other", 1, "fp32")
    found = [numbers(net.weights[net.weight(name, (64,), 1.0).name]) for net in (one, other) for name in ("a", "b")]
    assert all(abs(np.corrcoef(x, y)[0, 1]) < 0.6 for i, x in enumerate(found) for y in found[:i])
    assert weights_key(list(one.weights.values())) != weights_key(list(other.weights.values()))


def test_batches_and_lengths_share_one_file_that_is_written_once(tmp_path: Path) -> None:
    first = resolve(MODEL).export(1, "fp32", tmp_path)
    assert first.weights_path is not None
    before = first.weights_path.stat()
    others = [
        resolve(name).export(size, "fp32", tmp_path) for name in (MODEL, "roberta_tiny:seq=32") for size in (2, 8)
    ]
    assert {(other.weights_path, other.weights_sha256) for other in others} == {
        (first.weights_path, first.weights_sha256)
    }
    after = first.weights_path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len({each.graph_path for each in (first, *others)}) == 5
    assert resolve(MODEL).export(1, "fp16", tmp_path).weights_path != first.weights_path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lose_the_note(path: Path) -> None:
    path.with_name("weights.json").unlink()


def garble_the_note(path: Path) -> None:
    path.with_name("weights.json").write_text("[]")


@pytest.mark.parametrize("damage", [flip, cut, lose_the_note, garble_the_note, Path.unlink])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: object) -> None:
    export = resolve(MODEL).export(1, "fp32", tmp_path)
    assert export.weights_path is not None
    whole = export.weights_path.read_bytes()
    assert callable(damage)
    damage(export.weights_path)
    again = resolve(MODEL).export(1, "fp32", tmp_path)
    assert again.weights_sha256 == export.weights_sha256 == hashlib.sha256(whole).hexdigest()
    assert export.weights_path.read_bytes() == whole


EXPORT = f"""
import pathlib, sys
from cotenant.models.zoo import resolve
export = resolve({MODEL!r}).export(1, "fp32", pathlib.Path(sys.argv[1]))
print(export.weights_path, export.weights_sha256)
"""


def test_two_processes_end_with_one_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EXPORT, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [process.communicate(timeout=120)[0].split() for process in processes]
    assert found[0] == found[1]
    path, sha256 = Path(found[0][0]), found[0][1]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert sorted(each.name for each in path.parent.iterdir()) == sorted(
        [".lock", "weights.bin", "weights.json", "roberta_tiny_seq_16_b1_fp32.onnx"]
    )


def test_nothing_that_needs_no_weights_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(weight: Weight) -> None:
        raise AssertionError(weight)

    monkeypatch.setattr(module, "_chunks", refuse)
    model = resolve("vgg19")
    assert model.cost(8, "fp16").weight_bytes == 2 * 143_667_240
    assert len(model.source_sha256("fp32")) == 64
    assert model.inputs(8, "fp32")[0].shape == (8, 3, 224, 224)
