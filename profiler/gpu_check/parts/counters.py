"""Nsight Compute on this GPU: both sets on a few small engines, passes and seconds, and reports for replay in tests.

recorded/<device>/ncu-<version>/<engine>-<set>.{ncu-rep,csv,log,json}: the report, what ncu prints of it as raw CSV, its
log, and the command that made it. Both readers must agree on every value.
"""

import json
import math
import re
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotenant.profiler.gpu_check import rig
from cotenant.profiler.gpu_check.facts import Facts, Skip
from cotenant.profiler.gpu_check.machine import without_paths
from cotenant.profiler.gpu_check.parts.recordings import device_word
from cotenant.runners.protocol import Device, Engine

if TYPE_CHECKING:
    from cotenant.profiler.counters.reports.report import Report

RUNNER = "torch-cuda"
ENGINES = {
    "probes": (("probe:compute:100", "fp32"), ("probe:dram:100", "fp32"), ("probe:cache:100", "fp32")),
    "models": (("resnet18:image=96", "fp16"), ("roberta_tiny:seq=16", "fp16")),
}
PRINTED_STEP = 0.00501  # half of the last digit that ncu prints
RECORD_BYTES_MAX = 200_000  # a report larger than this is measured and not kept
START_S_MIN = 25.0  # what one more run of ncu may take


def measure(facts: Facts) -> None:
    """Profile the engines that `facts.argument` names; skipped where there is no ncu or no permission."""
    from cotenant.profiler.counters.metrics import METRIC_SETS
    from cotenant.profiler.counters.ncu.errors import CountersForbidden, NcuMissing
    from cotenant.profiler.counters.ncu.program import examined
    from cotenant.runners.registry import load

    device = rig.first_gpu().device
    try:
        program = examined()
    except NcuMissing as error:
        raise Skip(str(error)) from error
    facts.note(device=device.device_type, ncu_version=program.version, ncu_options=sorted(program.options))
    runner, rows = load(RUNNER), []
    for model, precision in ENGINES[facts.argument]:
        engine = runner.build(model, 1, precision, runner.target(device), facts.cache)  # type: ignore[arg-type]
        for counter_set in METRIC_SETS.values():
            if facts.left_s < START_S_MIN:
                facts.note(left_out=f"{model} {counter_set.name} and what follows: time ran out")
                return
            try:
                rows.append(_profiled(facts, program, engine, device, counter_set))
            except CountersForbidden as error:
                raise Skip(str(error)) from error
            facts.note(profiled=rows)


def _profiled(facts: Facts, program: Any, engine: Engine, device: Device, counter_set: Any) -> dict[str, Any]:
    from cotenant.profiler.counters.aggregate import throughputs_of
    from cotenant.profiler.counters.ncu.lock import counter_session
    from cotenant.profiler.counters.ncu.options import NcuOptions
    from cotenant.profiler.counters.ncu.runs import Runs

    with counter_session(limit_s=facts.left_s), tempfile.TemporaryDirectory(prefix="cotenant-gpu-check-") as name:
        folder, began_s = Path(name), time.monotonic()
        kept = facts.folder / "logs" / "ncu"
        runs = Runs(program, engine, RUNNER, device, counter_set, NcuOptions(kept=kept), folder)
        report = runs.full()
        seconds = time.monotonic() - began_s
        throughputs, kernels = throughputs_of(report, counter_set)
        _both_readers(facts, folder / "report.ncu-rep", runs.metrics, program.path, engine, counter_set.name)
        _keep(facts, folder, program, engine, device, counter_set.name)
    return {
        "engine": f"{engine.model}@{engine.batch_size}",
        "counter_set": counter_set.name,
        "seconds": round(seconds, 3),
        "passes": report.passes,
        "kernel_count": len(kernels) or None,
        "outcome": runs.outcome,
        "throughputs": throughputs,
    }


def _both_readers(facts: Facts, path: Path, metrics: Any, program: Path, engine: Engine, name: str) -> None:
    from cotenant.profiler.counters.reports.read import read_report
    from cotenant.profiler.counters.reports.report import NoReader

    label = f"{engine.model}, {name}"
    try:
        by_package = read_report(path, metrics, program, "package")
    except NoReader as error:
        facts.note(no_package_reader=str(error))
        return
    by_csv = read_report(path, metrics, program, "csv")
    unlike = differences(by_package, by_csv)
    if unlike:
        facts.note(**{f"readers_differ_{re.sub('[^a-z0-9]+', '_', label)}": unlike[:10]})
    facts.check(not unlike, f"both readers agree on every value ({label})")
    facts.check(bool(by_package.workloads), f"something was profiled ({label})")


def differences(by_package: "Report", by_csv: "Report") -> list[str]:
    """Return what two readers tell differently, beyond the digits that ncu prints."""
    both = list(zip(by_package.workloads, by_csv.workloads, strict=False))
    found = [] if len(both) == max(len(by_package.workloads), len(by_csv.workloads)) else ["the number of results"]
    if by_package.passes != by_csv.passes:
        found.append("the passes")
    for index, (own, other) in enumerate(both):
        if replace(own, metrics={}) != replace(other, metrics={}) or own.metrics.keys() != other.metrics.keys():
            found.append(f"what result {index} is")
            continue
        for name, value in own.metrics.items():
            if not math.isclose(value, other.metrics[name], rel_tol=1e-9, abs_tol=PRINTED_STEP):
                found.append(f"result {index}, {name}: {value!r} and {other.metrics[name]!r}")
    return found


def _keep(facts: Facts, folder: Path, program: Any, engine: Engine, device: Device, name: str) -> None:
    from cotenant.profiler.counters.reports import raw_csv

    report = folder / "report.ncu-rep"
    if report.stat().st_size > RECORD_BYTES_MAX:
        facts.note(not_kept=f"{engine.model} {name}: a report of {report.stat().st_size} bytes")
        return
    target = facts.folder / "recorded" / device_word(device.name) / f"ncu-{program.version}"
    target.mkdir(parents=True, exist_ok=True)
    stem = target / f"{re.sub('[^a-z0-9]+', '_', engine.model)}-{name}"
    shutil.copy(report, stem.with_suffix(".ncu-rep"))
    stem.with_suffix(".csv").write_text(without_paths(raw_csv.printed(report, program.path), facts.folder))
    log = folder / "log.txt"
    stem.with_suffix(".log").write_text(without_paths(log.read_text() if log.exists() else "", facts.folder))
    made_by = f"python -m cotenant.profiler.gpu_check, part counters-{facts.argument}"
    told = {"device": device.device_type, "ncu": program.version, "made_by": made_by, "counter_set": name}
    stem.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
