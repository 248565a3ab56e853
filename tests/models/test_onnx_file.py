"""The user's own file: the same numbers at every batch size, named by its content, wherever its weights lie."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from tiny_campaign import write_net

from cotenant.models.errors import UserError
from cotenant.models.model import Export
from cotenant.models.zoo import resolve

CHANNELS = 64  # so that both weights are large enough to be moved to the shared file


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_net(tmp_path / "net.onnx", channels=CHANNELS)


def external(path: Path, to: Path) -> Path:
    """The same network with every weight in a file beside it."""
    to.parent.mkdir(exist_ok=True)
    onnx.save(onnx.load(path), to, save_as_external_data=True, location=f"{to.stem}.data", size_threshold=0)
    return to


def run(graph: Path, images: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"image": images})
    return np.asarray(scores)


def export(path: Path, batch_size: int, cache: Path) -> Export:
    return resolve(f"file:{path}").export(batch_size, "fp32", cache)


def images(batch_size: int) -> NDArray[Any]:
    return np.random.default_rng(1).standard_normal((batch_size, 3, 16, 16)).astype(np.float32)


@pytest.mark.parametrize("outside", [False, True], ids=["weights inside", "weights outside"])
def test_every_batch_size_computes_what_the_file_computes(net: Path, tmp_path: Path, outside: bool) -> None:
    path = external(net, tmp_path / "outside" / "net.onnx") if outside else net
    expected = run(net, images(4))
    exports = {size: export(path, size, tmp_path / "cache") for size in (1, 2, 4)}
    for size, made in exports.items():
        assert np.allclose(run(made.graph_path, images(4)[:size]), expected[:size], rtol=1e-5, atol=1e-6)
    assert len({made.weights_path for made in exports.values()}) == 1
    assert len({made.weights_sha256 for made in exports.values()}) == 1


def test_its_costs_are_those_of_its_operators(net: Path) -> None:
    cost = resolve(f"file:{net}").cost(2, "fp32")
    assert cost.mac_count == 2 * (CHANNELS * 256 * 27 + CHANNELS * 10)
    assert cost.parameter_count == CHANNELS * 27 + CHANNELS * 10
    assert cost.weight_bytes == 4 * cost.parameter_count


def test_its_digest_follows_its_content_not_its_place(net: Path, tmp_path: Path) -> None:
    def digest(path: Path) -> str:
        return resolve(f"file:{path}").source_sha256("fp32")

    copy = tmp_path / "copy.onnx"
    copy.write_bytes(net.read_bytes())
    assert digest(copy) == digest(net)
    assert digest(write_net(tmp_path / "other.onnx", seed=1, channels=CHANNELS)) != digest(net)
    outside = external(net, tmp_path / "outside" / "net.onnx")
    before = digest(outside)
    data = outside.with_name("net.data")
    data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
    assert digest(outside) != before


def test_a_file_that_changes_while_in_use_is_told(net: Path, tmp_path: Path) -> None:
    model = resolve(f"file:{net}")
    write_net(net, seed=1, channels=CHANNELS)
    with pytest.raises(UserError, match="was changed while"):
        model.export(1, "fp32", tmp_path / "cache")


def test_open_sides_are_given_by_name(tmp_path: Path) -> None:
    path = write_net(tmp_path / "open.onnx", side="side")
    with pytest.raises(UserError, match=r"side.* is open.*side=N"):
        resolve(f"file:{path}")
    model = resolve(f"file:{path}:side=24")
    assert model.inputs(3, "fp32")[0].shape == (3, 3, 24, 24)
    assert model.name.endswith("open.onnx:side=24")
    with pytest.raises(UserError, match="'depth'"):
        resolve(f"file:{path}:side=24,depth=2")
    with pytest.raises(UserError, match="side=0"):
        resolve(f"file:{path}:side=0")


def test_a_fixed_batch_size_is_kept(tmp_path: Path) -> None:
    path = write_net(tmp_path / "fixed.onnx", batch=2)
    assert resolve(f"file:{path}").cost(2, "fp32").mac_count > 0
    with pytest.raises(UserError, match="batch size is fixed at 2"):
        resolve(f"file:{path}").cost(1, "fp32")


def test_its_precision_is_its_own(net: Path) -> None:
    with pytest.raises(UserError, match="fp16 was asked"):
        resolve(f"file:{net}").cost(1, "fp16")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../net.data", "outside the model's folder"),
        ("/etc/hostname", "outside the model's folder"),
        ("missing.data", "missing.data, which holds"),
        ("net.data", "net.data holds"),
    ],
)
def test_external_data_lies_beside_the_file_and_is_whole(net: Path, tmp_path: Path, location: str, words: str) -> None:
    outside = external(net, tmp_path / "outside" / "net.onnx")
    data = outside.with_name("net.data")
    data.rename(tmp_path / "net.data")
    data.write_bytes(b"short")
    model = onnx.load(outside, load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = location
    outside.write_bytes(model.SerializeToString())
    with pytest.raises(UserError) as told:
        resolve(f"file:{outside}")
    assert words in str(told.value)
    assert str(told.value).startswith(str(outside))
    assert "\n" not in str(told.value)
