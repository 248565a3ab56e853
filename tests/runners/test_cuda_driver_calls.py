"""Every name of the CUDA driver and of NVRTC that our sources use exists in the real bindings."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cotenant.runners.cuda
from cotenant.runners.cuda.driver_errors import LOST, OUT_OF_MEMORY
from cotenant.runners.cuda.driver_gpu import NOT_READY, NOT_SUPPORTED

FOLDER = Path(next(iter(cotenant.runners.cuda.__path__)))
DRIVER_NAME = re.compile(r"(cu[A-Z]|CU[a-z]|CU_)\w+")
NVRTC_NAME = re.compile(r"nvrtc[A-Z]\w+")

driver = pytest.importorskip("cuda.bindings.driver", reason="needs the extra `cuda`: pip install cuda-bindings")
nvrtc = importlib.import_module("cuda.bindings.nvrtc")


def attributes() -> Iterator[ast.Attribute]:
    for path in sorted(FOLDER.glob("*.py")):
        yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute))


def chains() -> Iterator[tuple[str, ...]]:
    """The names of our sources that look like the vendor's: `cuInit`, or an enumeration and its member."""
    for node in attributes():
        owner = node.value.attr if isinstance(node.value, ast.Attribute) else None
        if DRIVER_NAME.fullmatch(node.attr) or NVRTC_NAME.fullmatch(node.attr):
            yield (owner, node.attr) if owner is not None and owner.startswith("CU") else (node.attr,)


USED = sorted(set(chains()))


def test_the_list_was_found() -> None:
    assert ("cuEventElapsedTime",) in USED
    assert ("nvrtcGetCUBIN",) in USED
    assert ("CUstream_flags", "CU_STREAM_NON_BLOCKING") in USED
    assert len(USED) > 50


@pytest.mark.parametrize("chain", USED, ids=".".join)
def test_it_exists_on_the_real_module(chain: tuple[str, ...]) -> None:
    if chain[0].startswith("CU_DEVICE_ATTRIBUTE_"):  # enumeration kept in a variable first
        chain = ("CUdevice_attribute", *chain)
    found = nvrtc if chain[0].startswith("nvrtc") else driver
    for name in chain:
        found = getattr(found, name)
    assert callable(found) or int(found) >= 0


@pytest.mark.parametrize("name", sorted({*LOST, OUT_OF_MEMORY, NOT_READY, NOT_SUPPORTED}))
def test_errors_that_we_tell_apart_exist(name: str) -> None:
    assert int(getattr(driver.CUresult, name)) > 0
