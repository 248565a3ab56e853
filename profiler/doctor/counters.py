"""Which counter sources this machine allows, one line each, and which of them `auto` takes."""

from collections.abc import Iterator
from pathlib import Path

from cotenant.profiler.counters.preflight import of_machine
from cotenant.profiler.counters.tiers import AUTOMATIC, choose
from cotenant.profiler.doctor.check import Check, State
from cotenant.profiler.quality.container import ROOT
from cotenant.profiler.quality.nvml_reading import NvmlReading

STATES: dict[str, State] = {"yes": "ok", "no": "missing", "unknown": "unknown"}


def checks(nvml: NvmlReading, root: Path = ROOT) -> Iterator[Check]:
    """Tell each source, then the one that is taken on a GPU where a command says `--counters auto`."""
    tiers = of_machine(nvml, root)
    for tier in tiers:
        yield Check(f"counters.{tier.source}", STATES[tier.state], tier.value, tier.remedy)
    chosen = choose(AUTOMATIC, {tier.source: tier for tier in tiers})
    state: State = "limited" if chosen.is_fallback else "ok"
    told = f"{chosen.source} is what `--counters auto` takes here on a GPU"
    remedy = next((tier.remedy for tier in tiers if tier.state == "no" and tier.remedy), None)
    yield Check("counters.source", state, told, remedy if chosen.is_fallback else None)
