"""Which runners can measure on this machine: the summary of everything above."""

from collections.abc import Iterator, Mapping
from typing import Any

from cotenant.profiler.doctor.apart import NoAnswer, ask
from cotenant.profiler.doctor.check import Check

PROBE = "cotenant.profiler.doctor.runner_probe"
GPU_REMEDY = "use a machine with an NVIDIA GPU; see `driver` above"
OTHER_REMEDY = "see what its package needs"
Answer = dict[str, Any] | NoAnswer


def asked(name: str) -> Answer:
    """Ask a runner in a process of its own."""
    try:
        return ask(PROBE, name)
    except NoAnswer as error:
        return error


def checks(answers: Mapping[str, Answer]) -> Iterator[Check]:
    """Tell each runner, then in one line who measures, who simulates and who does neither."""
    for name, told in answers.items():
        yield _one(name, told)
    yield _summary(answers)


def _one(name: str, told: Answer) -> Check:
    check_id = f"runner.{name}"
    if isinstance(told, NoAnswer):
        return Check(check_id, "unknown", f"it gave no answer ({told})")
    if "refused" in told:
        what, _, remedy = str(told["refused"]).rpartition("; ")
        return Check(check_id, "missing", what or remedy, remedy if what else OTHER_REMEDY)
    if not told["devices"]:
        needs = "needs an NVIDIA GPU, and none can be used here" if told["needs_gpu"] else "finds no device here"
        return Check(
            check_id, "missing", f"{told['version']}: {needs}", GPU_REMEDY if told["needs_gpu"] else OTHER_REMEDY
        )
    return Check(check_id, "ok", _able(told))


def _able(told: dict[str, Any]) -> str:
    isolations = ", ".join(told["isolations"])
    names = [device["name"] for device in told["devices"]]
    if _kinds(told) == {"simulated"}:
        return f"simulates in virtual time, and measures nothing: {', '.join(names)} ({isolations})"
    lanes = max(device["lane_count_max"] for device in told["devices"])
    return f"measures: version {told['version']} on {', '.join(names)}, up to {lanes} lanes ({isolations})"


def _summary(answers: Mapping[str, Answer]) -> Check:
    able = {name: told for name, told in answers.items() if not isinstance(told, NoAnswer) and told["devices"]}
    simulate = [name for name, told in able.items() if _kinds(told) == {"simulated"}]
    measure = [name for name in able if name not in simulate]
    neither = [name for name in answers if name not in able]
    parts = [f"measure here: {', '.join(measure) or 'none'}"]
    parts += [f"simulate here: {', '.join(simulate)}"] if simulate else []
    parts += [f"not here: {', '.join(neither)}"] if neither else []
    remedy = None if measure else "pip install cotenant (it brings onnxruntime, which measures on any processor)"
    return Check("runner.summary", "ok" if measure else "missing", "; ".join(parts), remedy)


def _kinds(told: dict[str, Any]) -> set[str]:
    return {device["kind"] for device in told["devices"]}
