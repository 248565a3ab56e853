"""TensorRT and TensorRT-RTX: which is there, its version, whether it builds and whether it executes."""

from collections.abc import Iterator, Mapping
from typing import Any

from cotenant.profiler.doctor.apart import NoAnswer, ask
from cotenant.profiler.doctor.check import Check
from cotenant.profiler.doctor.packages import install_line
from cotenant.runners.tensorrt.flavour import FLAVOURS, TENSORRT_RTX

PROBE = "cotenant.profiler.doctor.tensorrt_probe"
TITLES = {flavour.engine_kind: flavour.title for flavour in FLAVOURS}
WITHOUT_GPU = TENSORRT_RTX.engine_kind  # builds where no GPU is
Answer = dict[str, Any] | NoAnswer


def asked(engine_kind: str) -> Answer:
    """Ask one of the two in a process of its own."""
    try:
        return ask(PROBE, engine_kind)
    except NoAnswer as error:
        return error


def checks(answers: Mapping[str, Answer]) -> Iterator[Check]:
    """Tell each of the two, then whether engines can be built."""
    for kind, told in answers.items():
        yield _one(kind, told)
    yield _build(answers)


def _one(kind: str, told: Answer) -> Check:
    name, install = f"tensorrt.{kind}", install_line(kind)
    if isinstance(told, NoAnswer):
        return Check(name, "unknown", f"{TITLES[kind]} gave no answer ({told})", f"install it again: {install}")
    if not told["there"]:
        return Check(name, "missing", f"{TITLES[kind]} is not installed", install)
    if "refused" in told:
        what, _, remedy = str(told["refused"]).rpartition("; ")
        return Check(name, "limited", what or remedy, remedy if what else install)
    value = f"{told['version']} (module {told['module']})"
    if told["runtime"] is None:
        return Check(name, "ok", f"{value}; its runtime starts")
    if told["runtime"] == "no driver":
        return Check(name, "ok" if told["builds"] else "limited", f"{value}; executing needs a GPU and its driver")
    remedy = f"install a driver that it supports, or another version: {install}"
    return Check(name, "limited", f"{value}; its runtime does not start: {told['runtime']}", remedy)


def _build(answers: Mapping[str, Answer]) -> Check:
    able = {kind: told for kind, told in answers.items() if not isinstance(told, NoAnswer) and told.get("builds")}
    if told := able.get(WITHOUT_GPU):
        value = f"engines can be built here, also without a GPU ({TITLES[WITHOUT_GPU]} {told['version']})"
        return Check("tensorrt.build", "ok", value)
    if able and all(told["runtime"] is None for told in able.values()):
        return Check("tensorrt.build", "ok", "engines can be built here, for the GPU of this machine")
    why = "TensorRT builds on the GPU that shall run the engine" if able else "no TensorRT can be used"
    return Check("tensorrt.build", "missing", f"no engines can be built: {why}", install_line(WITHOUT_GPU))
