"""TensorRT-RTX as tests need it: chosen even where TensorRT is installed too, or the test skipped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cotenant.runners.tensorrt.flavour import CHOICE, TENSORRT_RTX, is_there

Require = Callable[[str, bool, str], None]


@contextmanager
def chosen_rtx(require: Require) -> Iterator[None]:
    there = any(map(is_there, TENSORRT_RTX.modules))
    require("tensorrt-rtx", there, "pip install 'cotenant[tensorrt-rtx]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHOICE, TENSORRT_RTX.engine_kind)
        yield
