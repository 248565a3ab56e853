"""VGG beside Keras' implementation with the same weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from independent import Ours, assert_same
from numpy.typing import NDArray

pytestmark = pytest.mark.oracle
AREA_SHAPE = (512, 7, 7)
CHANNELS_FIRST_TO_LAST = (0, 2, 3, 1)


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Keras on torch; what it reads from the environment at its import is set for this test alone."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    pytest.importorskip("torch")
    return pytest.importorskip("keras")


def test_vgg16(keras: Any, tmp_path: Path) -> None:
    ours = Ours("vgg16", 1)
    theirs = keras.applications.VGG16(weights=None, classifier_activation=None)
    assert theirs.count_params() == ours.network.parameter_count
    for layer in theirs.layers:
        if layer.weights:
            layer.set_weights(weights_of(layer.name, ours))
    assert not ours.left, f"these of our weights are used nowhere: {sorted(ours.left)}"
    (image,) = ours.inputs()
    assert_same(ours.outputs([image], tmp_path)[0], theirs(image.transpose(CHANNELS_FIRST_TO_LAST), training=False))


def weights_of(layer: str, ours: Ours) -> list[NDArray[Any]]:
    if layer.startswith("block"):
        stage, index = (int(part) - 1 for part in layer.removeprefix("block").split("_conv"))
        name = f"stage{stage}.{index}"
        kernel = ours.take(f"{name}.weight").transpose(2, 3, 1, 0)
    else:
        name = f"classifier.{('fc1', 'fc2', 'predictions').index(layer)}"
        kernel = ours.take(f"{name}.weight")
        if layer == "fc1":  # theirs flattens with the channels last
            kernel = kernel.reshape(*AREA_SHAPE, -1).transpose(1, 2, 0, 3).reshape(kernel.shape)
    return [np.ascontiguousarray(kernel), ours.take(f"{name}.bias")]
