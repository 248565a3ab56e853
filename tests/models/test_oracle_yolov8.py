"""YOLOv8 beside a second implementation in torch, written here for it.

No library that we may depend on has the architecture: the one that published it is under the AGPL. So this one stands
on the published table of layers (a flat list, each entry naming whence it takes its input), unlike ours, and on
torch's own operators; it shares nothing with ours but the weights.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from independent import Ours, assert_same

pytestmark = pytest.mark.oracle
SIDE = 96
STRIDES = (8, 16, 32)
BINS = 16
# (inputs, kind, our name); an input is the number of an earlier entry
LAYERS: list[tuple[tuple[int, ...], str, str]] = [
    ((-1,), "conv2", "backbone.0"),  # 0
    ((-1,), "conv2", "backbone.1"),
    ((-1,), "c2f+", "backbone.1.csp"),  # 2
    ((-1,), "conv2", "backbone.2"),
    ((-1,), "c2f+", "backbone.2.csp"),  # 4
    ((-1,), "conv2", "backbone.3"),
    ((-1,), "c2f+", "backbone.3.csp"),  # 6
    ((-1,), "conv2", "backbone.4"),
    ((-1,), "c2f+", "backbone.4.csp"),  # 8
    ((-1,), "sppf", "backbone.pyramid"),  # 9
    ((-1,), "twice", ""),
    ((-1, 6), "join", ""),
    ((-1,), "c2f", "neck.up16"),  # 12
    ((-1,), "twice", ""),
    ((-1, 4), "join", ""),
    ((-1,), "c2f", "neck.up8"),  # 15
    ((-1,), "conv2", "neck.down16"),
    ((-1, 12), "join", ""),
    ((-1,), "c2f", "neck.csp16"),  # 18
    ((-1,), "conv2", "neck.down32"),
    ((-1, 9), "join", ""),
    ((-1,), "c2f", "neck.csp32"),  # 21
]
HEAD_INPUTS = (15, 18, 21)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["yolov8n", "yolov8m"])
def test_yolov8(torch: Any, tmp_path: Path, name: str) -> None:
    ours = Ours(f"{name}:image={SIDE}", 2)
    (image,) = ours.inputs()
    boxes, scores = Detector(torch, ours)(torch.tensor(image))
    assert not ours.left, f"these of our weights are used nowhere: {sorted(ours.left)}"
    found_boxes, found_scores = ours.outputs([image], tmp_path)
    assert_same(found_boxes, boxes)
    assert_same(found_scores, scores)


class Detector:
    """The table of layers, run with our weights."""

    def __init__(self, torch: Any, ours: Ours) -> None:
        self.torch = torch
        self.functions = torch.nn.functional
        self.ours = ours

    def __call__(self, image: Any) -> tuple[Any, Any]:
        done: list[Any] = []
        for sources, kind, name in LAYERS:
            inputs = [image if not done else done[source] for source in sources]
            done.append(self._layer(kind, name, inputs))
        return self._head([done[number] for number in HEAD_INPUTS])

    def _layer(self, kind: str, name: str, inputs: list[Any]) -> Any:
        (x, *rest) = inputs
        match kind:
            case "conv2":
                return self._conv(x, name, stride=2)
            case "c2f" | "c2f+":
                return self._c2f(x, name, shortcut=kind == "c2f+")
            case "sppf":
                return self._sppf(x, name)
            case "twice":
                return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            case "join":
                return self.torch.cat([x, *rest], 1)
        raise AssertionError(kind)

    def _plain(self, x: Any, name: str, stride: int = 1) -> Any:
        weight = self.torch.tensor(self.ours.take(f"{name}.weight"))
        bias = self.torch.tensor(self.ours.take(f"{name}.bias"))
        return self.functions.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    def _conv(self, x: Any, name: str, stride: int = 1) -> Any:
        return self.functions.silu(self._plain(x, name, stride))

    def _c2f(self, x: Any, name: str, shortcut: bool) -> Any:
        pattern = re.compile(re.escape(name) + r"\.(\d+)\.0\.weight")
        count = sum(bool(pattern.fullmatch(weight)) for weight in self.ours.network.weights)
        x = self._conv(x, f"{name}.first")
        kept = list(x.chunk(2, 1))
        for index in range(count):
            y = self._conv(self._conv(kept[-1], f"{name}.{index}.0"), f"{name}.{index}.1")
            kept.append(kept[-1] + y if shortcut else y)
        return self._conv(self.torch.cat(kept, 1), f"{name}.last")

    def _sppf(self, x: Any, name: str) -> Any:
        x = self._conv(x, f"{name}.first")
        # three pools of 5 one after another see 5, 9 and 13 cells
        wider = [self.functions.max_pool2d(x, cells, 1, cells // 2) for cells in (5, 9, 13)]
        return self._conv(self.torch.cat([x, *wider], 1), f"{name}.last")

    def _head(self, levels: list[Any]) -> tuple[Any, Any]:
        weights = self.torch.tensor(self.ours.take("head.bins")).flatten()
        assert weights.tolist() == list(range(BINS))
        boxes, scores = [], []
        for number, (x, stride) in enumerate(zip(levels, STRIDES, strict=True)):
            sides = self._tower(x, f"head.{number}.box")
            batch, _, high, wide = sides.shape
            far = (sides.reshape(batch, 4, BINS, high, wide).softmax(2) * weights[:, None, None]).sum(2)
            down, across = self.torch.meshgrid(self.torch.arange(high), self.torch.arange(wide), indexing="ij")
            left, top = across + 0.5 - far[:, 0], down + 0.5 - far[:, 1]
            right, bottom = across + 0.5 + far[:, 2], down + 0.5 + far[:, 3]
            box = self.torch.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 1)
            boxes.append((box * stride).flatten(2))
            scores.append(self._tower(x, f"head.{number}.class").sigmoid().flatten(2))
        return self.torch.cat(boxes, 2), self.torch.cat(scores, 2)

    def _tower(self, x: Any, name: str) -> Any:
        return self._plain(self._conv(self._conv(x, f"{name}.0"), f"{name}.1"), f"{name}.2")
