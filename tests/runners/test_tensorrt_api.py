"""Every call that we make of TensorRT exists: the list comes from our Protocols, so that it cannot go stale."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from cotenant.runners.tensorrt import api_build, api_rtx, api_run
from cotenant.runners.tensorrt.flavour import is_there
from cotenant.runners.tensorrt.targets import CAPABILITIES

Require = Callable[[str, bool, str], None]


def members(api: ModuleType) -> list[tuple[str, str]]:
    """(class, member) of every Protocol of a module; the library's module itself is called Module."""
    protocols = [each for each in vars(api).values() if isinstance(each, type) and each.__module__ == api.__name__]
    named = [(each, {*each.__annotations__, *vars(each)}) for each in protocols]
    return sorted(
        (each.__name__, name)
        for each, names in named
        for name in names
        if not name.startswith("_") or name == "__version__"
    )


def missing(library: Any, api: ModuleType) -> list[str]:
    owners = {name: library if name == "Module" else getattr(library, name, None) for name, _ in members(api)}
    return [f"{owner}.{name}" for owner, name in members(api) if not hasattr(owners[owner], name)]


def library_or_skip(require: Require, word: str, names: tuple[str, ...], reason: str) -> Any:
    there = [name for name in names if is_there(name)]
    require(word, bool(there), reason)
    return import_module(there[0])


def test_the_protocols_are_looked_through() -> None:
    assert ("Builder", "build_serialized_network") in members(api_build)
    assert ("IBuilderConfig", "progress_monitor") in members(api_build)
    assert ("Module", "__version__") in members(api_run)
    assert ("IExecutionContext", "is_stream_capturable") in members(api_rtx)


def test_a_call_that_is_not_there_is_found() -> None:
    class Without:
        Builder = type("Builder", (), {})

    assert "Builder.create_network" in missing(Without, api_build)


def test_tensorrt_rtx_has_every_call(require: Require) -> None:
    rtx = library_or_skip(require, "tensorrt-rtx", ("tensorrt_rtx",), "pip install 'cotenant[tensorrt-rtx]'")
    assert [missing(rtx, api) for api in (api_build, api_run, api_rtx)] == [[], [], []]


def test_the_targets_are_the_capabilities_that_tensorrt_rtx_knows(require: Require) -> None:
    rtx = library_or_skip(require, "tensorrt-rtx", ("tensorrt_rtx",), "pip install 'cotenant[tensorrt-rtx]'")
    known = {name for name in rtx.ComputeCapability.__members__ if name.startswith("SM")}
    assert known == {f"SM{capability}" for capability in CAPABILITIES}


def test_the_lean_runtime_has_every_call_of_an_execution(require: Require) -> None:
    names = ("tensorrt_lean", "tensorrt_lean_bindings")
    lean = library_or_skip(require, "tensorrt-lean", names, "pip install tensorrt-lean-cu13-bindings and -libs")
    assert missing(lean, api_run) == []


def test_tensorrt_has_every_call(require: Require) -> None:
    names = ("tensorrt", "tensorrt_bindings")
    tensorrt = library_or_skip(require, "tensorrt", names, "its libraries come from NVIDIA's own index")
    assert [missing(tensorrt, api) for api in (api_build, api_run)] == [[], []]
